"""The array language that converters are written in: each primitive folds known values and emits MXNet nodes for pending ones."""

from onnx_import.nd.elementwise import *  # noqa: F403
from onnx_import.nd.narrowing import *  # noqa: F403
from onnx_import.nd.shaping import *  # noqa: F403
from onnx_import.nd.tape import emit, emit_many, host, ints, known, scalar
from onnx_import.nd.value import Value, constant
