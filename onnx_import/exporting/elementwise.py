"""Element by element: operators of one operand, of two, of one and a number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnx_import.exporting.build import Refused, Use, mx

_UNARY = {
    "Abs": "abs _npi_absolute _np_abs _npi_abs",
    "Acos": "arccos _npi_arccos",
    "Acosh": "arccosh _npi_arccosh",
    "Asin": "arcsin _npi_arcsin",
    "Asinh": "arcsinh _npi_arcsinh",
    "Atan": "arctan _npi_arctan",
    "Atanh": "arctanh _npi_arctanh",
    "Ceil": "ceil _npi_ceil",
    "Cos": "cos _npi_cos",
    "Cosh": "cosh _npi_cosh",
    "Erf": "erf",
    "Exp": "exp _npi_exp",
    "Floor": "floor _npi_floor",
    "Log": "log _npi_log",
    "Neg": "negative _npi_negative",
    "Reciprocal": "reciprocal _npi_reciprocal",
    "Relu": "relu _npx_relu",
    "Sigmoid": "sigmoid LogisticRegressionOutput _npx_sigmoid",
    "Sign": "sign _npi_sign",
    "Sin": "sin _npi_sin",
    "Sinh": "sinh _npi_sinh",
    "Softsign": "softsign",
    "Sqrt": "sqrt _npi_sqrt",
    "Tan": "tan _npi_tan",
    "Tanh": "tanh _npi_tanh",
}

_BINARY = {
    "Add": "elemwise_add _plus _Plus broadcast_add broadcast_plus _npi_add _grad_add",
    "Sub": "elemwise_sub _sub _minus _Minus broadcast_sub broadcast_minus _npi_subtract",
    "Mul": "elemwise_mul _mul _Mul broadcast_mul _npi_multiply",
    "Div": "elemwise_div _div _Div broadcast_div _npi_true_divide",
    "Pow": "_power _Power broadcast_power _npi_power",
    "Max": "_maximum _Maximum broadcast_maximum _npi_maximum",
    "Min": "_minimum _Minimum broadcast_minimum _npi_minimum",
    "Equal": "_equal _Equal broadcast_equal _npi_equal",
    "Greater": "_greater _Greater broadcast_greater _npi_greater",
    "GreaterOrEqual": "_greater_equal _Greater_Equal broadcast_greater_equal _npi_greater_equal",
    "Less": "_lesser _Lesser broadcast_lesser _npi_less",
    "LessOrEqual": "_lesser_equal _Lesser_Equal broadcast_lesser_equal _npi_less_equal",
    "NotEqual": "_not_equal _Not_Equal broadcast_not_equal _npi_not_equal",
    "And": "_logical_and broadcast_logical_and _npi_logical_and",
    "Or": "_logical_or broadcast_logical_or _npi_logical_or",
    "Xor": "_logical_xor broadcast_logical_xor _npi_logical_xor",
    "Mod": "_mod _Mod broadcast_mod _npi_mod",
    "BitwiseAnd": "_npi_bitwise_and",
    "BitwiseOr": "_npi_bitwise_or",
    "BitwiseXor": "_npi_bitwise_xor",
}

# The tensor comes first, or second where the name says reversed.
_SCALAR = {
    "Add": ("_plus_scalar _PlusScalar _npi_add_scalar", ""),
    "Sub": ("_minus_scalar _MinusScalar _npi_subtract_scalar", "_rminus_scalar _RMinusScalar _npi_rsubtract_scalar"),
    "Mul": ("_mul_scalar _MulScalar _npi_multiply_scalar", ""),
    "Div": ("_div_scalar _DivScalar _npi_true_divide_scalar", "_rdiv_scalar _RDivScalar _npi_rtrue_divide_scalar"),
    "Pow": ("_power_scalar _PowerScalar _npi_power_scalar", "_rpower_scalar _RPowerScalar _npi_rpower_scalar"),
    "Max": ("_maximum_scalar _MaximumScalar _npi_maximum_scalar", ""),
    "Min": ("_minimum_scalar _MinimumScalar _npi_minimum_scalar", ""),
    "Equal": ("_equal_scalar _EqualScalar _npi_equal_scalar", ""),
    "Greater": ("_greater_scalar _GreaterScalar _npi_greater_scalar", ""),
    "GreaterOrEqual": ("_greater_equal_scalar _GreaterEqualScalar _npi_greater_equal_scalar", ""),
    "Less": ("_lesser_scalar _LesserScalar _npi_less_scalar", ""),
    "LessOrEqual": ("_lesser_equal_scalar _LesserEqualScalar _npi_less_equal_scalar", ""),
    "NotEqual": ("_not_equal_scalar _NotEqualScalar _npi_not_equal_scalar", ""),
    "And": ("_logical_and_scalar _npi_logical_and_scalar", ""),
    "Or": ("_logical_or_scalar _npi_logical_or_scalar", ""),
    "Xor": ("_logical_xor_scalar _npi_logical_xor_scalar", ""),
    "Mod": ("_mod_scalar _ModScalar _npi_mod_scalar", "_rmod_scalar _RModScalar _npi_rmod_scalar"),
    "BitwiseAnd": ("_npi_bitwise_and_scalar", ""),
    "BitwiseOr": ("_npi_bitwise_or_scalar", ""),
    "BitwiseXor": ("_npi_bitwise_xor_scalar", ""),
}
_COMPARISONS = {"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "NotEqual"}
_LOGICAL = {"And", "Or", "Xor"}


def _unary(op: str, names: str) -> None:
    @mx(*names.split())
    def convert(use: Use) -> str:
        """One ONNX operator, on operands of the result's type."""
        return use.emit(op, use.cast(use.inputs[0], use.dtypes[0], use.dtype))


for _op, _names in _UNARY.items():
    _unary(_op, _names)


@mx(
    *[
        "_copy",
        "identity",
        "_np_copy",
        "_npi_copy",
        "BlockGrad",
        "stop_gradient",
        "MakeLoss",
        "make_loss",
        "_npx_stop_gradient",
    ],
    *["LinearRegressionOutput", "MAERegressionOutput", "SVMOutput", "Dropout", "_npx_dropout", "_identity_with_attr_like_rhs"],
)
def unchanged(use: Use) -> str:
    """What does something while training alone."""
    if use.get("mode") == "always":
        raise Refused("it drops while it infers, at random")
    return use.inputs[0]


def apply(use: Use, op: str, left: tuple[str, str], right: tuple[str, str], dtype: str) -> str:
    """Two operands, each a value and its dtype, as a result of a dtype: MXNet's legacy comparisons give numbers."""
    if op in _LOGICAL:
        operands = [use.cast(value, kind, "bool") for value, kind in (left, right)]
        return use.cast(use.emit(op, *operands), "bool", dtype)
    common = np.result_type(left[1], right[1]).name if op in _COMPARISONS else dtype
    a, b = (use.cast(value, kind, common) for value, kind in (left, right))
    if op == "NotEqual":
        return use.cast(use.emit("Not", use.emit("Equal", a, b)), "bool", dtype)
    if op == "Mod" and np.dtype(common).kind == "f":
        # The sign is the divisor's; ONNX has only C's fmod for floats.
        return use.emit("Sub", a, use.emit("Mul", use.emit("Floor", use.emit("Div", a, b)), b))
    if op.startswith("Bitwise"):
        op = _bitwise(use, op, common)
    return use.cast(use.emit(op, a, b), "bool" if op in _COMPARISONS else common, dtype)


def _bitwise(use: Use, op: str, dtype: str) -> str:
    """The operator on bits, which is the logical one of truth values."""
    if dtype == "bool":
        return op.removeprefix("Bitwise")
    if use.build.opset < 18:
        raise Refused(f"ONNX has bitwise operators from opset 18 on, and opset {use.build.opset} is asked for")
    return op


@mx("_npi_bitwise_not")
def bitwise_not(use: Use) -> str:
    """The other bits."""
    return use.emit(_bitwise(use, "BitwiseNot", use.dtype), use.inputs[0])


def _binary(op: str, names: str) -> None:
    @mx(*names.split())
    def convert(use: Use) -> str:
        """One ONNX operator on two operands."""
        left, right = zip(use.inputs, use.dtypes, strict=True)
        return apply(use, op, left, right, use.dtype)


for _op, _names in _BINARY.items():
    _binary(_op, _names)


def _scalar(op: str, names: str, is_reversed: bool) -> None:
    @mx(*names.split())
    def convert(use: Use) -> str:
        """One ONNX operator on a tensor and a number."""
        number = float(use.get("scalar", 0.0))
        kind = use.dtypes[0]
        # A comparison of whole numbers with a fraction is one of floats.
        other = kind if np.dtype(kind).kind == "f" or (number.is_integer() and kind != "bool") else "float32"
        if op not in _COMPARISONS and op not in _LOGICAL:
            other = use.dtype
        one, two = (use.inputs[0], kind), (use.const(number, other), other)
        return apply(use, op, two, one, use.dtype) if is_reversed else apply(use, op, one, two, use.dtype)


for _op, (_plain, _reversed) in _SCALAR.items():
    for _names, _turned in ((_plain, False), (_reversed, True)):
        if _names:
            _scalar(_op, _names, _turned)


@mx("logical_not", "_npi_logical_not")
def logical_not(use: Use) -> str:
    """Whether a number is zero."""
    return use.cast(use.emit("Not", use.cast(use.inputs[0], use.dtypes[0], "bool")), "bool", use.dtype)


@mx("square", "_npi_square")
def square(use: Use) -> str:
    """A number by itself."""
    return use.emit("Mul", use.inputs[0], use.inputs[0])


def _number(use: Use, value: float) -> str:
    return use.const(value, use.dtype)


@mx("_hypot", "broadcast_hypot", "_npi_hypot")
def hypotenuse(use: Use) -> str:
    """The longest side of a triangle with a right angle."""
    squares = [use.emit("Mul", side, side) for side in use.inputs]
    return use.emit("Sqrt", use.emit("Add", *squares))


@mx("_npi_copysign")
def copysign(use: Use) -> str:
    """The size of one with the sign of the other; MXNet does not look at the sign of a zero."""
    size = use.emit("Abs", use.inputs[0])
    return use.emit("Where", use.emit("Less", use.inputs[1], _number(use, 0)), use.emit("Neg", size), size)


@mx("_npi_ldexp", "_npi_ldexp_scalar", "_npi_rldexp_scalar")
def load_exponent(use: Use) -> str:
    """A number times a power of two."""
    if use.node.op == "_npi_ldexp":
        number, exponent = use.inputs
    else:
        pair = (use.inputs[0], _number(use, float(use.get("scalar"))))
        number, exponent = pair if use.node.op == "_npi_ldexp_scalar" else pair[::-1]
    return use.emit("Mul", number, use.emit("Pow", _number(use, 2), exponent))


@mx("rsqrt")
def rsqrt(use: Use) -> str:
    """One over the square root."""
    return use.emit("Reciprocal", use.emit("Sqrt", use.inputs[0]))


@mx("log2", "_npi_log2", "log10", "_npi_log10")
def logarithm(use: Use) -> str:
    """A logarithm of another base."""
    base = 2.0 if use.node.op.endswith("2") else 10.0
    return use.emit("Div", use.emit("Log", use.inputs[0]), _number(use, math.log(base)))


@mx("log1p", "_npi_log1p")
def log1p(use: Use) -> str:
    """The logarithm of one more."""
    return use.emit("Log", use.emit("Add", use.inputs[0], _number(use, 1)))


@mx("expm1", "_npi_expm1")
def expm1(use: Use) -> str:
    """One less than the power of e."""
    return use.emit("Sub", use.emit("Exp", use.inputs[0]), _number(use, 1))


@mx("rint", "_npi_rint")
def rint(use: Use) -> str:
    """The nearest whole number; halves go down, as MXNet has it."""
    return use.emit("Ceil", use.emit("Sub", use.inputs[0], _number(use, 0.5)))


@mx("round")
def round_away(use: Use) -> str:
    """The nearest whole number; halves go away from zero."""
    up = use.emit("Floor", use.emit("Add", use.emit("Abs", use.inputs[0]), _number(use, 0.5)))
    return use.emit("Mul", use.emit("Sign", use.inputs[0]), up)


@mx("fix", "trunc", "_npi_fix", "_npi_trunc")
def truncate(use: Use) -> str:
    """What stands before the point."""
    return use.emit("Mul", use.emit("Sign", use.inputs[0]), use.emit("Floor", use.emit("Abs", use.inputs[0])))


@mx("_npi_isnan", "_npi_isinf", "_npi_isfinite", "_npi_isposinf", "_npi_isneginf")
def is_what(use: Use) -> str:
    """Which numbers are none, or infinite, or neither."""
    if use.node.op in ("_npi_isposinf", "_npi_isneginf"):
        return use.emit("IsInf", use.inputs[0], **{f"detect_{'negative' if 'pos' in use.node.op else 'positive'}": 0})
    if use.node.op == "_npi_isfinite":
        either = use.emit("Or", use.emit("IsNaN", use.inputs[0]), use.emit("IsInf", use.inputs[0]))
        return use.emit("Not", either)
    return use.emit("IsNaN" if use.node.op == "_npi_isnan" else "IsInf", use.inputs[0])


@mx("clip", "_npi_clip")
def clip(use: Use) -> str:
    """Values between two numbers; either may be missing."""
    limits = [use.get("a_min"), use.get("a_max")]
    return use.emit("Clip", use.inputs[0], *("" if limit is None else _number(use, float(limit)) for limit in limits))


@mx("hard_sigmoid")
def hard_sigmoid(use: Use) -> str:
    """A line between 0 and 1."""
    return use.emit("HardSigmoid", use.inputs[0], alpha=float(use.get("alpha", 0.2)), beta=float(use.get("beta", 0.5)))


@mx("Cast", "cast", "_npi_cast", "amp_cast")
def cast(use: Use) -> str:
    """Another type."""
    return (
        use.emit("Identity", use.inputs[0]) if use.dtype == use.dtypes[0] else use.cast(use.inputs[0], use.dtypes[0], use.dtype)
    )


@mx("add_n", "ElementWiseSum")
def add_n(use: Use) -> str:
    """The sum of any number of tensors."""
    return use.emit("Sum", *use.inputs)


@mx("where", "_npi_where")
def where(use: Use) -> str:
    """One of two by a condition; a vector chooses whole rows."""
    condition = use.cast(use.inputs[0], use.dtypes[0], "bool")
    if use.node.op == "where" and len(use.shapes[0]) == 1 < len(use.shape):
        condition = use.emit("Reshape", condition, use.const([-1, *[1] * (len(use.shape) - 1)]))
    values = [use.cast(value, kind, use.dtype) for value, kind in zip(use.inputs[1:], use.dtypes[1:], strict=True)]
    return use.emit("Where", condition, *values)


@mx("zeros_like", "ones_like", "_npi_full_like", "_np_zeros_like", "_np_ones_like")
def filled(use: Use) -> str:
    """One number in the shape of another tensor."""
    value: Any = use.get("fill_value", 0.0) if "full" in use.node.op else float("ones" in use.node.op)
    return use.emit("Expand", use.const(value, use.dtype), use.emit("Shape", use.inputs[0]))


@mx("_zeros", "_npi_zeros", "_ones", "_npi_ones")
def plain(use: Use) -> str:
    """A tensor of one number whose size waits for the batch."""
    if 0 in use.shape:
        raise Refused("its shape cannot be told")
    return use.const(np.full(use.shape, float("ones" in use.node.op)), use.dtype)
