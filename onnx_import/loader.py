"""A model file -> a checked ModelProto."""

from __future__ import annotations

import onnx

from onnx_import.errors import InvalidModel


def load(source: str | bytes | onnx.ModelProto) -> onnx.ModelProto:
    """The model of a path, of bytes, or itself."""
    if isinstance(source, onnx.ModelProto):
        return source
    try:
        return onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load(source)
    except Exception as error:
        raise InvalidModel(f"{source!r} is no ONNX model: {error}") from None
