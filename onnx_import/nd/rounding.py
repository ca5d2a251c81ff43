"""Rounding to bfloat16 inside a float32 carrier, in arithmetic that MXNet has.

Veltkamp's splitting in float64: with C = 2**45 + 1, C*x - (C*x - x) is x rounded to 8 significant bits, ties to even, exactly, for
every x of float32 (the sum's last place is bfloat16's last place of x, and its other bits are even). Below bfloat16's normal
numbers, whose spacing is one, adding and subtracting a number whose last place is that spacing rounds likewise.
"""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import true_dtype
from onnx_import.nd.tape import emit
from onnx_import.nd.value import Value, constant

SMALLEST_NORMAL = 2.0**-126
LAST_PLACE = 1.5 * 2.0 ** (52 - 133)


def round_bfloat16(value: Value) -> Value:
    """A value carried in float32 with every number rounded to the nearest of bfloat16; infinities and NaN stay what they are."""
    if value.data is not None:
        with np.errstate(all="ignore"):
            return constant(value.data.astype(true_dtype("bfloat16")).astype(np.float32), "bfloat16")
    shape = value.shape
    wide = emit("Cast", [value], shape, "float64", dtype="float64")
    scaled = emit("_mul_scalar", [wide], shape, "float64", scalar=float(2**45 + 1))
    rest = emit("elemwise_sub", [wide, scaled], shape, "float64")
    rounded = emit("elemwise_add", [scaled, rest], shape, "float64")
    tiny = emit("_npi_less_scalar", [emit("abs", [wide], shape, "float64")], shape, "bool", scalar=SMALLEST_NORMAL)
    place = constant(np.full((1,) * len(shape), LAST_PLACE))  # an attribute would be read with a wrong last bit
    raised = emit("broadcast_add", [wide, place], shape, "float64")
    nearest = emit("broadcast_sub", [raised, place], shape, "float64")
    signed = emit("_npi_copysign", [emit("_npi_where", [tiny, nearest, rounded], shape, "float64"), wide], shape, "float64")
    # Divided by themselves zeros, infinities and NaN are NaN: those stay, whose sign `_npi_copysign` does not see.
    plain = emit("_npi_isfinite", [emit("elemwise_div", [wide, wide], shape, "float64")], shape, "bool")
    chosen = emit("_npi_where", [plain, signed, wide], shape, "float64")
    return emit("Cast", [chosen], shape, "bfloat16", dtype="float32")
