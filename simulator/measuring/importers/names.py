"""Names of the tools whose profiles can be read."""

from enum import StrEnum


class Source(StrEnum):
    """What `--format` takes."""

    AUTO = "auto"
    ORT = "onnxruntime"
    PYTORCH = "pytorch"
    TRTEXEC = "trtexec"
    TFLITE = "tflite"
