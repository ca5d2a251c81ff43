"""Verification: right answers pass, wrong ones are named, and neither by luck."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser

from onnx_import import oracle, verify
from onnx_import.errors import InvalidInput, VerificationError
from onnx_import.oracle import OracleError

Change = Callable[[Any], Any]


def model(body: str, inputs: str = "float[n, 4] x", outputs: str = "float[n, 4] y") -> onnx.ModelProto:
    """A model in ONNX's text syntax."""
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : 19]> g ({inputs}) => ({outputs}) {{ {body} }}')


@pytest.fixture(autouse=True)
def reference_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluator judges, whatever else is installed: its answers are those that `right` gives."""
    monkeypatch.setattr(oracle, "prepare", lambda model, path=None: oracle.reference(model))


def right(proto: onnx.ModelProto, change: Change = lambda value: value) -> Callable[[dict[str, Any]], list[Any]]:
    """Runs a model as ONNX says, with a change to its outputs."""
    judge = oracle.reference(proto)
    return lambda feeds: [change(value) for value in judge.run(feeds)]


EXP = model("y = Exp (x)")
ROUND = model("f = Round (x) y = Cast <to = 7> (f)", outputs="int64[n, 4] y")


def test_right_answers_pass_at_two_sizes() -> None:
    """An open dimension is tried at two sizes, and said."""
    found = verify.verify(EXP, right(EXP))
    assert [each.shape for each in found] == [(1, 4), (3, 4)]
    assert all(each.ok and each.absolute == 0 for each in found)
    assert found[1].case == "x 3x4"
    assert found[0].oracle


@pytest.mark.parametrize(
    "change", [lambda y: y * np.float32(1 + 1e-5), lambda y: y + np.float32(1e-6)], ids=["relative", "absolute"]
)
def test_another_order_of_rounding_passes(change: Change) -> None:
    """Floats may be off by what summing in another order explains; the error is reported."""
    assert max(each.absolute for each in verify.verify(EXP, right(EXP, change))) > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda y: y * np.float32(1.01), r"y \(float32, 3x4\): .* where ONNX gives"),
        (lambda y: y.astype(np.float64), "float64 of shape .* where ONNX gives float32"),
        (lambda y: y[:, :2], r"shape \(1, 2\) where ONNX gives"),
        (lambda y: np.where(y == y.max(), np.nan, y).astype(np.float32), "NaN"),
        (lambda y: y[::-1], "x 3x4"),
    ],
    ids=["value", "dtype", "shape", "nan", "only-at-the-second-size"],
)
def test_wrong_answers_are_named(change: Change, said: str) -> None:
    """Output, size and difference are in the message."""
    with pytest.raises(VerificationError, match=said):
        verify.verify(EXP, right(EXP, change))


def test_whole_numbers_must_be_equal() -> None:
    """One off in one element is wrong."""

    def change(y: Any) -> Any:
        y[0, 0] += 1
        return y

    with pytest.raises(VerificationError, match="1 of 4 elements are others, by up to 1"):
        verify.verify(ROUND, right(ROUND, change))


def test_a_small_output_is_judged_by_its_own_size() -> None:
    """An output around 0.01 may not be off by 0.001."""
    small = model("c = Constant <value = float {0.01}> () y = Mul (x, c)")
    with pytest.raises(VerificationError):
        verify.verify(small, right(small, lambda y: y + np.float32(1e-3)))


@pytest.mark.parametrize(("kind", "number"), [("float16", 10), ("bfloat16", 16)])
def test_half_precision_is_judged_more_loosely(kind: str, number: int) -> None:
    """A model that computes in half precision differs by half precision, whatever type its outputs have."""
    half = model(f"h = Cast <to = {number}> (x) e = Exp (h) y = Cast <to = 1> (e)")
    assert verify.loosest(half) == kind
    assert verify.verify(half, right(half, lambda y: y * np.float32(1.01)))
    with pytest.raises(VerificationError):
        verify.verify(half, right(half, lambda y: y * np.float32(1.3)))


def test_what_is_drawn_is_compared_by_shape() -> None:
    """Two draws of random numbers are never equal."""
    drawn = model("y = RandomNormalLike (x)")
    assert verify.verify(drawn, right(drawn, lambda y: y + 1))
    with pytest.raises(VerificationError, match="shape"):
        verify.verify(drawn, right(drawn, lambda y: y[:, 1:]))


def test_quantized_models_may_round_one_value_to_the_other_side() -> None:
    """One step in one element of many, never two steps or everywhere."""
    body = "s = Constant <value = float {0.05}> () z = Constant <value = uint8 {128}> () y = QuantizeLinear (x, s, z)"
    proto = model(body, outputs="uint8[n, 4] y")

    def one(y: Any) -> Any:
        y[0, 0] += 1
        return y

    assert verify.verify(proto, right(proto, one))
    for change in (lambda y: y + np.uint8(1), lambda y: y + np.uint8(2) * (np.arange(y.size).reshape(y.shape) == 0)):
        with pytest.raises(VerificationError):
            verify.verify(proto, right(proto, lambda y, change=change: change(y).astype(np.uint8)))


@pytest.mark.parametrize(
    ("got", "want", "ok"),
    [
        ([np.ones(2)], [np.ones(2)], True),
        ([np.ones(2)], [np.ones(2), np.ones(2)], False),
        ([{"a": 1.0}], [{"a": 1.0}], True),
        ([{"a": 1.0}], [{"b": 1.0}], False),
        (None, None, True),
        (np.ones(2), None, False),
        (np.array(["a", "b"], object), np.array(["a", "b"], object), True),
        (np.array(["a", "c"], object), np.array(["a", "b"], object), False),
        (np.array([np.inf, 1]), np.array([np.inf, 1]), True),
        (np.array([-np.inf, 1]), np.array([np.inf, 1]), False),
        (np.array([2**64 - 1], np.uint64), np.array([0], np.uint64), False),
        (np.zeros((0, 2)), np.zeros((0, 2)), True),
        (np.array([1 + 2j]), np.array([1 - 2j]), False),
    ],
)
def test_every_kind_of_value_is_compared(got: Any, want: Any, ok: bool) -> None:
    """Sequences and maps element by element, text by letters, infinities by sign."""
    assert all(each.ok for each in verify.compare("y", got, want)) == ok


def test_given_feeds_are_the_cases() -> None:
    """A caller's own inputs take the place of seeded ones."""
    found = verify.verify(EXP, right(EXP), [{"x": np.zeros((7, 4), np.float32)}])
    assert [each.shape for each in found] == [(7, 4)]


def test_sizes_are_tried_until_the_oracle_takes_them() -> None:
    """A kernel of 100 needs an input of 100."""
    wide = model(
        "k = Constant <value = float {1.0}> () s = Constant <value_ints = [1, 1, 100]> () w = Expand (k, s) y = Conv (x, w)",
        inputs="float[n, 1, t] x",
        outputs="float[n, 1, u] y",
    )
    assert [each.shape for each in verify.verify(wide, right(wide))] == [(1, 1, 29), (3, 1, 413)]


def test_smaller_numbers_are_tried_where_an_index_is_out_of_range() -> None:
    """A table of two rows takes 0 and 1: at the likely sizes, before others are tried."""
    rows = model(
        "t = Constant <value_floats = [1.0, 2.0]> () y = Gather (t, x)", inputs="int64[n, 4] x", outputs="float[n, 4] y"
    )
    assert len(verify.verify(rows, right(rows))) == 2
    long = model("t = Constant <value_floats = [1.0, 2.0]> () y = Gather (t, x)", "int64[n, t] x", "float[n, t] y")
    assert [each.shape for each in verify.verify(long, right(long))] == [(1, 8), (3, 32)]


def test_a_model_that_no_size_suits_is_an_oracles_error() -> None:
    """Nothing can be said of it, and the first reason is given."""
    never = model("a = Constant <value_floats = [1.0, 2.0, 3.0]> () y = Add (x, a)")
    with pytest.raises(OracleError, match="Add"):
        verify.verify(never, lambda feeds: [])


def test_a_missing_output_is_wrong() -> None:
    """As many outputs as the model has."""
    with pytest.raises(VerificationError, match="gives 0 outputs, ONNX's 1"):
        verify.verify(EXP, lambda feeds: [])


def test_the_report_lists_the_worst_and_counts_the_rest() -> None:
    """Seven wrong outputs fill no screen."""
    names = [f"y{at}" for at in range(7)]
    many = model(" ".join(f"{name} = Exp (x)" for name in names), outputs=", ".join(f"float[n, 4] {name}" for name in names))
    with pytest.raises(VerificationError, match=r"and 9 more$"):
        verify.verify(many, right(many, lambda y: y + 1))


def picky(proto: onnx.ModelProto, *taken: int) -> Callable[[dict[str, Any]], list[Any]]:
    """Runs a model as ONNX says, at some sizes of the last axis alone."""

    def run(feeds: dict[str, Any]) -> list[Any]:
        if feeds["x"].shape[-1] not in taken:
            raise InvalidInput("too narrow")
        return right(proto)(feeds)

    return run


def test_sizes_that_the_converted_model_refuses_are_left_out() -> None:
    """A pool over more than there is has no answer; other sizes have, and two are compared."""
    wide = model("y = Exp (x)", inputs="float[n, t] x", outputs="float[n, t] y")
    assert [each.shape for each in verify.verify(wide, picky(wide, 12, 128, 4096))] == [(1, 12), (3, 128)]


def test_sizes_that_would_take_long_are_not_looked_for() -> None:
    """A second case of a hundred times the first is none: the first one's size, of other rows, is."""
    wide = model("y = Exp (x)", inputs="float[n, t] x", outputs="float[n, t] y")
    assert [each.shape for each in verify.verify(wide, picky(wide, 8, 4096))] == [(1, 8), (3, 8)]


def test_a_model_that_refuses_every_size_is_refused() -> None:
    """Its own reason is given, and nothing passes unseen."""
    wide = model("y = Exp (x)", inputs="float[n, t] x", outputs="float[n, t] y")
    with pytest.raises(InvalidInput, match="too narrow"):
        verify.verify(wide, picky(wide))
    with pytest.raises(InvalidInput, match="too narrow"):
        verify.verify(wide, picky(wide, 8), [{"x": np.zeros((1, 3), np.float32)}])


def test_the_slow_way_is_asked_only_where_the_quick_one_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A size more costs onnxruntime milliseconds, ONNX's evaluator minutes."""
    asked = []

    def quick(feeds: Any) -> list[Any]:
        asked.append(feeds["x"].shape[-1])
        if asked[-1] == 8:
            raise OracleError("not this one")
        return oracle.reference(wide).run(feeds)

    def slow(feeds: Any) -> list[Any]:
        raise AssertionError("nobody needs it")

    wide = model("y = Exp (x)", inputs="float[n, t] x", outputs="float[n, t] y")
    monkeypatch.setattr(oracle, "prepare", lambda model, path=None: oracle.Oracle("quick", slow, quick))
    assert [each.shape for each in verify.verify(wide, right(wide))] == [(1, 32), (3, 12)]
