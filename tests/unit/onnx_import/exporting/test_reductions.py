"""Reductions, over axes however they are said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.onnx_import.exporting.exported import export_op, numpy_op

SERIES = {"x": (2, 3, 4)}
AXES: dict[str, dict[str, Any]] = {
    "one": {"axis": 1},
    "two-kept": {"axis": (1, 2), "keepdims": True},
    "all": {},
    "others": {"axis": 1, "exclude": True},
    "none": {"axis": ()},
}
OTHERS: dict[str, Callable[..., Any]] = {
    "2-norm": lambda s, x: s.norm(x, axis=1),
    "1-norm": lambda s, x: s.norm(x, ord=1, axis=(1, 2)),
    "argmax": lambda s, x: s.argmax(x, axis=1),
    "argmin-kept": lambda s, x: s.argmin(x, axis=1, keepdims=True),
    "argmax-of-all": lambda s, x: s.argmax(x),
    "argmax-channel": lambda s, x: s.argmax_channel(s.sum(x, axis=2)),
    "over-root": lambda s, x: s.contrib.div_sqrt_dim(x),
}


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod"])
@pytest.mark.parametrize("opset", [13, 18])
def test_reductions(name: str, axes: str, opset: int) -> None:
    """Axes are an attribute or an input, as the opset has it."""
    assert export_op(lambda s, x: getattr(s, name)(x, **AXES[axes]), SERIES, opset=opset)[1]


@pytest.mark.parametrize("case", OTHERS)
def test_others(case: str) -> None:
    """Norms and places."""
    assert export_op(OTHERS[case], SERIES)[1]


@pytest.mark.parametrize("axis", [1, None])
def test_numpys_reductions(axis: int | None) -> None:
    """A reduction of everything is a scalar here."""
    assert [each.shape for each in export_op(numpy_op("_npi_mean", axis=axis), SERIES)[1]][:1] == [(1, 4) if axis else ()]
