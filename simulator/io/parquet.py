"""Parquet, where pyarrow is there to read and write it."""

from typing import Any

from simulator.errors import OutputError


def arrow_library() -> Any:
    """Pyarrow.

    Raises:
        OutputError: it is not installed.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError("Parquet needs pyarrow: pip install 'nn-simulator[parquet]' (CSV needs nothing)") from error
    return arrow
