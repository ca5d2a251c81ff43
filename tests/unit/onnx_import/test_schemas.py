"""Registrations against ONNX's schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from onnx_import import registry, schemas


def converter(function: Callable[..., Any], op: str = "CumSum", since: int = 11, domain: str = "") -> registry.Converter:
    """A registration that is in no registry."""
    names = tuple(function.__kwdefaults__ or ())
    return registry.Converter(op, domain, since, function, "", names, False)


def right(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> None:
    """As ONNX has CumSum."""


def misspelt(x: Any, axis: Any, *, exclusives: int = 0) -> None:
    """An attribute that no version has."""


def short(x: Any) -> None:
    """An input too few."""


def long(x: Any, axis: Any, more: Any) -> None:
    """An input that CumSum never has."""


def any_number(*inputs: Any) -> None:
    """For operators with any number of inputs."""


def test_our_converters_agree_with_onnx() -> None:
    """Every registration names an operator, a version and attributes that ONNX has, and takes all its inputs."""
    assert schemas.check() == []
    assert len(registry.converters()) > 100


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (converter(right), None),
        (converter(right, since=12), "ONNX defines it at [11, 14]"),
        (converter(right, op="CumSun"), "ONNX defines it at []"),
        (converter(right, op="CumSum", domain="com.elsewhere"), None),
        (converter(misspelt), "no attribute 'exclusives'"),
        (converter(short), "takes 1 to 1 inputs; version 1"),
        (converter(long), "takes 3 to 3 inputs"),
        (converter(any_number, "Concat", 4), None),
        (converter(short, "Concat", 4), "takes 1 to 1"),
    ],
)
def test_each_disagreement_is_told(given: registry.Converter, said: str | None) -> None:
    """A wrong version, a misspelt attribute, a wrong number of inputs."""
    faults = schemas.check([given])
    assert [said in fault for fault in faults] == ([True] * len(faults) if said else [])
    assert bool(faults) == bool(said)


def test_an_attribute_may_be_that_of_another_operator_with_the_same_function() -> None:
    """One function may serve several operators: what one of them lacks is None for it."""

    def scatter(data: Any, indices: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> None:
        """Scatter and ScatterElements."""

    old, new = converter(scatter, "Scatter", 9), converter(scatter, "ScatterElements", 16)
    assert schemas.check([old, new]) == []
    assert "'reduction'" in schemas.check([old])[0]


def test_a_converter_answers_for_the_versions_before_the_next() -> None:
    """Attributes are looked for in the versions that a converter covers, and in no other."""

    def axes_given(x: Any, *, axes: list[int] | None = None, keepdims: int = 1) -> None:
        """ReduceSum before opset 13."""

    def axes_fed(x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> None:
        """ReduceSum from opset 13 on."""

    old, new = converter(axes_given, "ReduceSum", 1), converter(axes_fed, "ReduceSum", 13)
    assert schemas.check([old, new]) == []
    assert "version 13 has 1 to 2" in schemas.check([old])[0]
