"""Sequences and optionals against ONNX's evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from onnx_import import backend
from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check, compare

TENSORS = [np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((1, 3), np.float32), -np.ones((2, 3), np.float32)]
SAME = [TENSORS[0], TENSORS[2], TENSORS[0] * 2]


def run(text: str, feeds: dict[str, Any]) -> list[Any]:
    """Compare a model in ONNX's text syntax with the evaluator, and give its outputs."""
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> g {text}')
    got = backend.prepare(model).run(feeds)
    for index, (mine, theirs) in enumerate(zip(got, ReferenceEvaluator(model).run(None, feeds), strict=True)):
        compare(mine, theirs, f"output {index}", 1e-5, 1e-6)
    return list(got)


@pytest.mark.parametrize("place", [0, 2, -1, -3])
def test_sequence_at_and_erase(place: int) -> None:
    """A position counts from either end; what is left keeps its order."""
    check("SequenceAt", [SAME, np.array(place)])
    check("SequenceErase", [SAME, np.array(place, np.int32)])


@pytest.mark.parametrize("op", ["SequenceAt", "SequenceErase"])
def test_no_such_position(op: str) -> None:
    """A position beyond the sequence is named."""
    with pytest.raises(OnnxImportError, match="position 3"):
        check(op, [SAME, np.array(3)], want=[])


def test_sequence_insert() -> None:
    """In front of a position, or at the end without one."""
    for place in (0, 1, -1):
        want = list(SAME)
        want.insert(place, TENSORS[1])
        check("SequenceInsert", [SAME, TENSORS[1], np.array(place)], want=[want])
    check("SequenceInsert", [SAME, TENSORS[1]], want=[[*SAME, TENSORS[1]]])
    check("SequenceInsert", [SAME, TENSORS[1], np.array(3)], want=[[*SAME, TENSORS[1]]])
    with pytest.raises(OnnxImportError, match="position 4"):
        check("SequenceInsert", [SAME, TENSORS[1], np.array(4)], want=[])


def test_sequence_erase_last_and_length() -> None:
    """The last one goes by default; the length is an int64 scalar."""
    check("SequenceErase", [SAME])
    check("SequenceLength", [SAME], want=[np.array(3)])


def test_sequence_construct() -> None:
    """From tensors, or from nothing and insertions."""
    check("SequenceConstruct", TENSORS)
    got = run(
        "(float[2] x) => (seq(float[N]) s, int64 n) {e = SequenceEmpty() s = SequenceInsert(e, x) n = SequenceLength(e)}",
        {"x": SAME[0][0, :2]},
    )
    assert len(got[0]) == 1


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
@pytest.mark.parametrize(
    ("split", "axis", "keepdims"), [(None, 0, 1), (None, -1, 0), (2, 1, 1), (7, 1, 1), ([1, 3], 0, 0), ([0, 5], 1, 1)], ids=str
)
def test_split_to_sequence(split: Any, axis: int, keepdims: int, dtype: str) -> None:
    """Slices of one size, of given sizes, or single ones with or without their axis."""
    x = np.random.RandomState(0).randint(0, 9, (4, 5)).astype(dtype)
    check("SplitToSequence", [x, None if split is None else np.array(split)], {"axis": axis, "keepdims": keepdims})


@pytest.mark.parametrize("split", [[1, 2], [-1, 5], 0], ids=str)
def test_split_that_does_not_fit(split: Any) -> None:
    """Sizes that do not make up the axis are refused."""
    with pytest.raises(OnnxImportError, match="slices"):
        check("SplitToSequence", [np.zeros((4, 2), np.float32), np.array(split)], {"axis": 0}, want=[])


def test_concat_from_sequence() -> None:
    """Along an axis of theirs, or a new one."""
    text = "(float[2, 3] a, float[1, 3] b) => (float[N, 3] y) {s = SequenceConstruct(a, b, a) y = ConcatFromSequence<axis = -2>(s)}"
    run(text, {"a": TENSORS[0], "b": TENSORS[1]})
    for axis in (0, 1, -1):
        check("ConcatFromSequence", [SAME], {"axis": axis, "new_axis": 1})


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "bool"])
@pytest.mark.parametrize("time_axis", [0, 1])
def test_reverse_sequence(time_axis: int, dtype: str) -> None:
    """Only the first `lengths[i]` slices turn around."""
    x = (np.random.RandomState(1).rand(4, 4, 2) * 9).astype(dtype)
    prepared = check("ReverseSequence", [x, np.array([3, 1, 4, 2])], {"time_axis": time_axis, "batch_axis": 1 - time_axis})
    assert len(prepared.program.last) == 1


@pytest.mark.parametrize("known", [(), (0, 1)])
def test_reverse_sequence_of_what_mxnet_has_no_type_for(known: tuple[int, ...]) -> None:
    """Text and complex numbers are turned as numbers are, whichever axis is time."""
    words = np.array([["a", "b", "c"], ["d", "e", "f"]], object)
    turned = np.array([["b", "a", "c"], ["f", "e", "d"]], object)
    axes = {"time_axis": 1, "batch_axis": 0}
    check("ReverseSequence", [words, np.array([2, 3])], axes, known=known, want=[turned])
    check("ReverseSequence", [words.T.copy(), np.array([2, 3])], known=known, want=[turned.T])
    check("ReverseSequence", [np.array([[1, 2j, 3]], np.complex64), np.array([2])], axes, known=known)


def test_lengths_beyond_the_axis() -> None:
    """A length that a caller gives too large stands for the whole axis; as many as sequences or an error."""
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    check("ReverseSequence", [x, np.array([7, 2])])
    with pytest.raises(OnnxImportError, match="lengths for 2"):
        check("ReverseSequence", [x, np.array([1, 1, 1])], want=[])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("(float[N, M] a) => (float[N, M] b) {b = Add(a, a)}", "float[N, M]"),
        ("(float[N, M] a) => (int64[2] b) {b = Shape(a)}", "int64[2]"),
    ],
    ids=["add", "shape"],
)
def test_sequence_map(body: str, kind: str) -> None:
    """The body runs for each tensor."""
    run(f"(seq(float[N, M]) s) => (seq({kind}) t) {{t = SequenceMap(s) <body = g {body}>}}", {"s": TENSORS})


def test_sequence_map_with_more_inputs() -> None:
    """Another sequence gives its tensor at the same place, a tensor is the same for each; a name of the graph around is seen."""
    pair = "(float[N] a, float[N] b) => (float[N] sum, float[N] all) {sum = Add(a, b) all = Add(sum, k)}"
    feeds = {"s": SAME, "t": [SAME[1], SAME[2], SAME[0]], "u": SAME[1], "k": SAME[2]}
    outer = "(seq(float[N, M]) s, seq(float[N, M]) t, float[N, M] u, float[N, M] k) => (seq(float[N, M]) c, seq(float[N, M]) d, seq(float[N, M]) e, seq(float[N, M]) f)"
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["" : 21]> g {outer} {{c, d = SequenceMap(s, t) <body = g {pair}> e, f = SequenceMap(s, u) <body = h {pair}>}}'
    )
    got = backend.prepare(model).run(feeds)
    c, d, e, f = ([np.asarray(x) for x in column] for column in got)
    for place in range(3):
        assert np.array_equal(c[place], feeds["s"][place] + feeds["t"][place])
        assert np.array_equal(d[place], c[place] + feeds["k"])
        assert np.array_equal(e[place], feeds["s"][place] + feeds["u"])
        assert np.array_equal(f[place], e[place] + feeds["k"])
    with pytest.raises(OnnxImportError, match="3 and 2"):
        backend.prepare(model).run({**feeds, "t": SAME[:2]})


def test_optional() -> None:
    """A value, or nothing, and whether there is something."""
    kind = onnx.helper.make_tensor_type_proto(1, [2, 3])
    check("Optional", [TENSORS[0]], want=[TENSORS[0]])
    check("Optional", [], {"type": kind}, want=[None])
    check("OptionalGetElement", [TENSORS[0]])
    check("OptionalGetElement", [SAME])
    check("OptionalHasElement", [TENSORS[0]])
    check("OptionalHasElement", [])


def test_empty_optional_has_no_element() -> None:
    """To get what is not there is an error."""
    kind = onnx.helper.make_optional_type_proto(onnx.helper.make_tensor_type_proto(1, [2]))
    node = onnx.helper.make_node("OptionalGetElement", ["x"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "g", [onnx.helper.make_value_info("x", kind)], [onnx.helper.make_tensor_value_info("y", 1, [2])]
    )
    prepared = backend.prepare(onnx.helper.make_model(graph))
    with pytest.raises(OnnxImportError, match="empty optional"):
        prepared.run({"x": None})
    assert prepared.run({"x": TENSORS[0][0, :2]})[0].tolist() == [0, 1]


def test_reverse_sequence_of_another_number_of_steps() -> None:
    """The number of steps is no constant of the symbol, which would have MXNet read beyond fewer of them."""
    texts = set()
    for steps in (3, 7):
        prepared = check("ReverseSequence", [np.arange(steps * 2.0).reshape(steps, 2), np.array([9, 2])], known=[1])
        (stage,) = prepared.program.last[0].stages
        texts.add((stage.text, *map(str, stage.constants.values())))
    assert len(texts) == 1
