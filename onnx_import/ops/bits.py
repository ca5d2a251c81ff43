"""The same bits as another type."""

from __future__ import annotations

from onnx_import import nd
from onnx_import.dtypes import ONNX_NAMES, bits, is_float, is_integer, true_dtype
from onnx_import.errors import InvalidModel
from onnx_import.host.bits import bit_cast as bit_cast_on_host
from onnx_import.nd import Value
from onnx_import.registry import op


@op("BitCast", since=26)
def bit_cast(x: Value, *, to: int) -> Value:
    """The bits read as those of another type of the same width: whole numbers wrap around, others go by the host library."""
    target = ONNX_NAMES[to]
    if "string" in (x.dtype, target) or _width(x.dtype) != _width(target):
        raise InvalidModel(f"BitCast from {x.dtype} to {target}, which have not the same width")
    if not is_float(x.dtype) and not is_float(target):
        return nd.cast(x, target)
    read: Value = nd.host(bit_cast_on_host, [x], [(x.shape, target)], source=x.dtype, target=target)[0]
    return read


def _width(dtype: str) -> int:
    if is_integer(dtype):
        return bits(dtype)
    return 4 if dtype == "float4_e2m1fn" else true_dtype(dtype).itemsize * 8
