"""Reads files: ONNX structure, YAML, the catalogue."""
