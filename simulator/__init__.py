"""Predicts latency, energy, memory and bottlenecks of a neural network (ONNX) on a machine (YAML).

    import simulator as sim
    model = sim.load_model("resnet50.onnx", batch=8)
    hw = sim.load_hardware("rtx4090")
    est = sim.estimate(model, hw, precision="fp16")
    est.to_dict()

Names are imported when first used: `import simulator` alone loads neither onnx nor matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.api import (
        battery_life,
        calibrate,
        compare,
        estimate,
        explain,
        load_hardware,
        load_model,
        plan,
        recommend,
        trace,
        validate,
    )
    from simulator.errors import SimulatorError
    from simulator.machine.spec import HardwareSpec
    from simulator.model import Model
    from simulator.result.estimate import Estimate
    from simulator.studies import pareto, pareto_of_networks, sensitivity, solve, sweep, whatif

__version__ = "0.1.0"

_HOMES = {
    "load_model": "simulator.api",
    "load_hardware": "simulator.api",
    "estimate": "simulator.api",
    "explain": "simulator.api",
    "plan": "simulator.api",
    "battery_life": "simulator.api",
    "trace": "simulator.api",
    "validate": "simulator.api",
    "calibrate": "simulator.api",
    "whatif": "simulator.studies",
    "sweep": "simulator.studies",
    "pareto": "simulator.studies",
    "pareto_of_networks": "simulator.studies",
    "solve": "simulator.studies",
    "sensitivity": "simulator.studies",
    "compare": "simulator.api",
    "recommend": "simulator.api",
    "Estimate": "simulator.result.estimate",
    "HardwareSpec": "simulator.machine.spec",
    "Model": "simulator.model",
    "SimulatorError": "simulator.errors",
}

__all__ = [
    "Estimate",
    "HardwareSpec",
    "Model",
    "SimulatorError",
    "battery_life",
    "calibrate",
    "compare",
    "estimate",
    "explain",
    "load_hardware",
    "load_model",
    "pareto",
    "pareto_of_networks",
    "plan",
    "recommend",
    "sensitivity",
    "solve",
    "sweep",
    "trace",
    "validate",
    "whatif",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'simulator' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
