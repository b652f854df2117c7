"""ONNX Runtime, imported when it is first needed (extra `measure`)."""

import importlib
from typing import Any, Final

from simulator.errors import UsageError

PROVIDER: Final = "CPUExecutionProvider"


def onnxruntime() -> Any:
    """The module.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise UsageError("this needs ONNX Runtime: pip install 'nn-simulator[measure]'") from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """What the runtime raises for models that it does not load or run."""
    state = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    own = (e for e in vars(state).values() if isinstance(e, type) and issubclass(e, Exception))
    return (*own, RuntimeError, ValueError)


def open_session(model: str | bytes, threads: int, *, profile_prefix: str | None = None, optimize: bool = True) -> Any:
    """A session on the CPU with so many threads within an operator and one operator at a time."""
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # errors come as exceptions
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    return ort.InferenceSession(model, options, providers=[PROVIDER])
