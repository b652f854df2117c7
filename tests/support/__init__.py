"""Builders that several test files share: small ONNX models and small machines."""
