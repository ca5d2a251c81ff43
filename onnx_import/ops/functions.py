"""Functions of one real number: each an MXNet operator and the numpy function that folds it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.nd import Value
from onnx_import.registry import op

FUNCTIONS: dict[str, tuple[int, str, Callable[..., Array]]] = {
    "Acos": (7, "arccos", np.arccos),
    "Acosh": (9, "arccosh", np.arccosh),
    "Asin": (7, "arcsin", np.arcsin),
    "Asinh": (9, "arcsinh", np.arcsinh),
    "Atan": (7, "arctan", np.arctan),
    "Atanh": (9, "arctanh", np.arctanh),
    "Ceil": (1, "ceil", np.ceil),
    "Cos": (7, "cos", np.cos),
    "Cosh": (9, "cosh", np.cosh),
    "Erf": (9, "erf", np.vectorize(math.erf, otypes=[np.float64])),
    "Exp": (1, "exp", np.exp),
    "Floor": (1, "floor", np.floor),
    "Log": (1, "log", np.log),
    "Reciprocal": (1, "reciprocal", np.reciprocal),
    "Sin": (7, "sin", np.sin),
    "Sinh": (9, "sinh", np.sinh),
    "Sqrt": (1, "sqrt", np.sqrt),
    "Tan": (7, "tan", np.tan),
}
"""Operator: the opset it dates from, MXNet's operator, numpy's function."""


def _register(name: str, since: int, mxnet_op: str, function: Callable[..., Array]) -> None:
    @op(name, since=since)
    def converter(x: Value) -> Value:
        return nd.unary(mxnet_op, x, function)


for _name, (_since, _mxnet_op, _function) in FUNCTIONS.items():
    _register(_name, _since, _mxnet_op, _function)


@op("Round", since=11)
def round(x: Value) -> Value:
    """The nearest whole number, ties to even."""
    return nd.half_even(x)
