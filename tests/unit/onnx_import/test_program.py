"""Graphs that run: traced once for each kind of feeds, with the numbers that a trace depends on in its key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import import nd, registry
from onnx_import.errors import InvalidInput, UnsupportedModel
from onnx_import.graph import Graph, Node, Tensor, Type, ValueInfo
from onnx_import.program import Program
from onnx_import.stages import HostStage, SymbolStage

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def info(name: str, dtype: str = "float32", shape: Any = None) -> ValueInfo:
    """A tensor's name and type."""
    return ValueInfo(name, Type(dtype=dtype, shape=shape))


def kinds(program: Program) -> list[list[type]]:
    """The kinds of stages of the last run's blocks."""
    return [[type(stage) for stage in block.stages] for block in program.last]


@pytest.fixture
def arithmetic() -> Graph:
    """(x + w) reshaped to a fed shape, and x's own shape."""
    nodes = [
        Node("Add", ["x", "w"], ["sum"], since=14),
        Node("Reshape", ["sum", "sizes"], ["y"], {"allowzero": 0}, since=14),
        Node("Shape", ["x"], ["s"], {"start": 0}, since=15),
    ]
    weights = {"w": Tensor("float32", np.ones(3, np.float32))}
    inputs = [info("x", shape=("N", 3)), info("sizes", "int64", (None,))]
    return Graph(nodes, inputs, [info("y"), info("s", "int64")], weights)


@pytest.fixture
def nonzero() -> Graph:
    """Something before and something after an operator whose output has a size that only its values tell."""
    nodes = [
        Node("Add", ["x", "x"], ["twice"], since=14),
        Node("Mul", ["x", "x"], ["square"], since=14),
        Node("NonZero", ["twice"], ["places"], since=13),
        Node("Add", ["places", "places"], ["doubled"], since=14),
        Node("Add", ["square", "x"], ["other"], since=14),
    ]
    return Graph(nodes, [info("x", shape=("N", 3))], [info("doubled", "int64"), info("other")])


def test_one_symbol(arithmetic: Graph) -> None:
    """A graph without data-dependent sizes is one MXNet symbol, and answers the same when it is run again."""
    program = Program(arithmetic)
    for _ in range(2):
        y, shape = program.run({"x": X, "sizes": np.array([3, -1])})
        np.testing.assert_array_equal(y, (X + 1).reshape(3, 2))
        assert shape.tolist() == [2, 3]
        assert kinds(program) == [[SymbolStage]]
    assert program.static == {"sizes"}


def test_static_inputs_are_part_of_the_key(arithmetic: Graph) -> None:
    """An input whose numbers decide a shape may have others in the next call."""
    program = Program(arithmetic)
    for sizes in ([6], [2, 3], [3, 2], [6]):
        assert program.run({"x": X, "sizes": np.array(sizes)})[0].shape == tuple(sizes)


def test_shapes_unseen(arithmetic: Graph) -> None:
    """Another number of rows is traced when it comes, and the traces of few shapes are kept."""
    program = Program(arithmetic, capacity=2)
    for rows in (1, 2, 5, 1):
        assert program.run({"x": np.zeros((rows, 3), np.float32), "sizes": np.array([-1])})[0].shape == (3 * rows,)
    assert len(program._blocks) == 2


def test_data_dependent_sizes(nonzero: Graph) -> None:
    """Sizes that values decide split the trace there; what was computed before is kept, and another size is another trace."""
    program = Program(nonzero)
    for feed in (X, X, X * 0, X):
        doubled, other = program.run({"x": feed})
        np.testing.assert_array_equal(doubled, 2 * np.array(np.nonzero(feed)))
        np.testing.assert_array_equal(other, feed * feed + feed)
    assert kinds(program) == [[SymbolStage, HostStage], [SymbolStage]]


def test_runs_do_not_share_memory(arithmetic: Graph) -> None:
    """What one run answered is not overwritten by the next."""
    program = Program(arithmetic)
    first = program.run({"x": X, "sizes": np.array([6])})[0]
    kept = first.copy()
    program.run({"x": X * 7, "sizes": np.array([6])})
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    ("feeds", "message"),
    [
        ({"x": X}, "'sizes' is missing"),
        ({"x": X.astype(np.float64), "sizes": np.array([6])}, "'x' is float64; the model takes float32"),
        ({"x": X[0], "sizes": np.array([6])}, "'x' has 1 axes"),
        ({"x": X[:, :2], "sizes": np.array([6])}, "'x' is 2 long on axis 1"),
        ({"x": X, "sizes": np.array([6]), "z": X}, "no input 'z'"),
        ({"x": X, "sizes": np.array([4])}, "do not fill"),
    ],
    ids=["missing", "dtype", "rank", "size", "unknown", "value"],
)
def test_wrong_feeds(arithmetic: Graph, feeds: dict[str, Any], message: str) -> None:
    """What does not fit is said in a line that names the input; the program works on."""
    program = Program(arithmetic)
    with pytest.raises(InvalidInput, match=message):
        program.run(feeds)
    assert program.run({"x": X, "sizes": np.array([6])})[0].shape == (6,)


def test_all_problems_at_once() -> None:
    """Every node that cannot be lowered is named in one error; what depends on it is not blamed."""
    nodes = [
        Node("Nonsense", ["x"], ["a"], name="first"),
        Node("Add", ["a", "x"], ["b"], since=14, name="behind"),
        Node("Rubbish", ["x"], ["c"], name="second"),
    ]
    with pytest.raises(UnsupportedModel) as raised:
        Program(Graph(nodes, [info("x", shape=(2, 3))], [info("b"), info("c")])).run({"x": X})
    assert [problem.node for problem in raised.value.problems] == ["first", "second"]


def test_equal_nodes_are_emitted_once() -> None:
    """The same operator on the same inputs becomes one MXNet node."""
    nodes = [Node("Add", ["x", "y"], ["a"], since=14), Node("Add", ["x", "y"], ["b"], since=14)]
    program = Program(Graph(nodes, [info("x", shape=(2, 3)), info("y", shape=(2, 3))], [info("a"), info("b")]))
    one, two = program.run({"x": X, "y": X})
    np.testing.assert_array_equal(one, two)
    (stage,) = program.last[0].stages
    assert isinstance(stage, SymbolStage)
    assert stage.text.count("elemwise_add") == 1


def test_constants_fold() -> None:
    """What is computed from constants alone is no part of the symbol."""
    two = Tensor("float32", np.full((2, 3), 2, np.float32))
    nodes = [Node("Mul", ["w", "w"], ["four"], since=14), Node("Add", ["x", "four"], ["y"], since=14)]
    program = Program(Graph(nodes, [info("x", shape=(2, 3))], [info("y")], {"w": two}))
    np.testing.assert_array_equal(program.run({"x": X})[0], X + 4)
    (stage,) = program.last[0].stages
    assert isinstance(stage, SymbolStage)
    assert "mul" not in stage.text


def test_reshape_serves_other_rows() -> None:
    """A reshape that keeps its rows is the same MXNet node for any number of them."""
    texts = []
    for rows in (1, 4):
        nodes = [Node("Reshape", ["x", "sizes"], ["y"], {"allowzero": 0}, since=14)]
        weights = {"sizes": Tensor("int64", np.array([0, 3, 2]))}
        program = Program(Graph(nodes, [info("x", shape=("N", 6))], [info("y")], weights))
        program.run({"x": np.zeros((rows, 6), np.float32)})
        (stage,) = program.last[0].stages
        assert isinstance(stage, SymbolStage)
        texts.append(stage.text)
    assert texts[0] == texts[1]


def test_values_have_an_array_or_a_node() -> None:
    """A constant's array is at hand in its carrier dtype."""
    value = nd.constant(np.array([1, 2], np.int16), "int16")
    assert (value.dtype, value.carrier, value.is_known) == ("int16", "int32", True)


def test_callers_own_their_arrays() -> None:
    """A fed array that its caller writes into after the run changes no remembered answer."""
    nodes = [Node("Reshape", ["x", "s"], ["y"], {"allowzero": 0}, since=14), Node("Identity", ["s"], ["t"], since=14)]
    program = Program(Graph(nodes, [info("x", shape=(2, 3)), info("s", "int64", (1,))], [info("y"), info("t", "int64")]))
    sizes = np.array([6])
    program.run({"x": X, "s": sizes})
    sizes[0] = -1
    assert program.run({"x": X, "s": np.array([6])})[1].tolist() == [6]


def test_numbers_looked_at_are_the_programs_own() -> None:
    """So does an input that is too large to be static, and that the trace had to look at."""
    nodes = [Node("Pad", ["x", "s"], ["y"], {"mode": "constant"}, since=13), Node("Identity", ["s"], ["t"], since=14)]
    program = Program(Graph(nodes, [info("x", shape=(None,) * 5), info("s", "int64", (10,))], [info("y"), info("t", "int64")]))
    x, pads = np.ones((1, 1, 1, 2, 3), np.float32), np.zeros(10, np.int64)
    program.run({"x": x, "s": pads})
    pads[0] = 2
    y, t = program.run({"x": x, "s": np.zeros(10, np.int64)})
    assert (y.shape, t.tolist()) == (x.shape, [0] * 10)


def test_names_that_clash() -> None:
    """The second element of a sequence `s` and an input `s_1` are two things, also where the latter becomes static."""
    nodes = [
        Node("ConcatFromSequence", ["s"], ["c"], {"axis": 0, "new_axis": 0}, since=11),
        Node("Reshape", ["c", "s_1"], ["y"], {"allowzero": 0}, since=14),
    ]
    inputs = [ValueInfo("s", Type("sequence", element=Type())), info("s_1", "int64", (1,))]
    assert Program(Graph(nodes, inputs, [info("y")])).run({"s": [X, X], "s_1": np.array([12])})[0].shape == (12,)


@pytest.mark.parametrize("name", ["層/é", "a\x01\b\f\x1fb", 'q"\\u0041\n\t/', "\x7f\u2028"])
def test_any_name(name: str) -> None:
    """Inputs, nodes and constants may be called anything."""
    weights = {f"w{name}": Tensor("float32", np.ones(3, np.float32))}
    nodes = [Node("Add", [name, f"w{name}"], [f"y{name}"], since=14, name=name)]
    program = Program(Graph(nodes, [info(name, shape=(2, 3))], [info(f"y{name}")], weights))
    for _ in range(3):  # traced, replayed, and straight
        np.testing.assert_array_equal(program.run({name: X})[0], X + 1)


@pytest.mark.parametrize(
    ("dtype", "value", "message"),
    [
        ("float32", [1.0], "is a list; an array is needed"),
        ("float32", 1.0, "is a float; an array is needed"),
        ("float32", np.zeros(1, "f4,i4"), "the model takes float32"),
        ("string", np.array(["a", None], object), "holds a NoneType; text is needed"),
        ("string", np.array([b"\xff"]), "holds bytes that are no UTF-8"),
    ],
)
def test_no_array_of_its_dtype(dtype: str, value: Any, message: str) -> None:
    """What is no array, or holds no text where text is taken, is refused by the input's name."""
    program = Program(Graph([Node("Identity", ["x"], ["y"], since=14)], [info("x", dtype)], [info("y", dtype)]))
    with pytest.raises(InvalidInput, match=f"input 'x' .*{message}"):
        program.run({"x": value})


@pytest.mark.parametrize(
    ("dtype", "value", "wanted"),
    [
        ("uint64", np.array([1, 2**63], ">u8"), [1, 2**63]),
        ("int16", np.array([-2, 3], ">i2"), [-2, 3]),
        ("float32", np.array([1.5, -2], ">f4"), [1.5, -2.0]),
        ("float32", np.float32(-3), -3.0),
        ("string", np.array([b"a", "é".encode()]), ["a", "é"]),
        ("string", np.array(["a", "b"]), ["a", "b"]),
    ],
)
def test_arrays_of_any_layout(dtype: str, value: Any, wanted: Any) -> None:
    """Other byte orders, numpy scalars and encoded text are taken for what they mean."""
    program = Program(Graph([Node("Identity", ["x"], ["y"], since=14)], [info("x", dtype)], [info("y", dtype)]))
    assert program.run({"x": value})[0].tolist() == wanted


def test_blocks_of_another_layout_are_forgotten(nonzero: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows a block is not entered from one that numbers its results otherwise, as one that kept more of them does."""
    hoard: list[Any] = []
    real = registry.find

    def find(op_type: str, domain: str, since: int) -> Any:
        """NonZero's converter, before which more is held than is needed, unless `hoard` is full."""
        converter = real(op_type, domain, since)
        if op_type != "NonZero" or converter is None or hoard:
            return converter

        def hoarding(node: Node, inputs: list[Any]) -> Any:
            hoard.append(nd.add(inputs[0], nd.constant(np.float32(1))))
            return converter(node, inputs)

        return hoarding

    monkeypatch.setattr(registry, "find", find)
    program = Program(nonzero)
    for feed in (X, X * 0, X, X * 0):
        doubled, other = program.run({"x": feed})
        np.testing.assert_array_equal(doubled, 2 * np.array(np.nonzero(feed)))
        np.testing.assert_array_equal(other, feed * feed + feed)


@pytest.mark.parametrize("dtype", ["int64", "uint16", "uint64", "bool", "string"])
@pytest.mark.parametrize("trips", [3, 0])
def test_loops_keep_dtypes(dtype: str, trips: int) -> None:
    """What a loop of unknown length gives has its dtype, though the body declares none and its sequence starts without any."""
    nodes = [
        Node("SequenceInsert", ["all", "v"], ["more"], since=11),
        Node("Identity", ["v"], ["row"], since=16),
        Node("Identity", ["c"], ["on"], since=16),
    ]
    before, after = (ValueInfo(name, Type("sequence", "")) for name in ("all", "more"))
    body = Graph(nodes, [info("i", "int64", ()), info("c", "bool", ()), before], [info("on", "bool"), after, info("row", "")])
    outer = [
        Node("ReduceSum", ["x"], ["sum"], {"keepdims": 0, "noop_with_empty_axes": 0}, since=13),
        Node("Cast", ["sum"], ["count"], {"to": 7}, since=13),
        Node("SequenceEmpty", [], ["none"], {"dtype": 1}, since=11),
        Node("Loop", ["count", "", "none"], ["all", "rows"], {"body": body}, since=16),
    ]
    ends = [ValueInfo("all", Type("sequence", dtype)), info("rows", dtype)]
    program = Program(Graph(outer, [info("x", shape=(16,)), info("v", dtype, (2,))], ends))
    x = np.zeros(16, np.float32)
    x[0] = trips
    v = np.array(["a", "b"], object) if dtype == "string" else np.array([1, 0], dtype)
    for _ in range(2):
        found, rows = program.run({"x": x, "v": v})
        assert len(found) == len(rows) == trips
        assert all(each.dtype == v.dtype and each.tolist() == v.tolist() for each in [*found, *rows])


def test_the_shape_in_use_is_kept() -> None:
    """A shape that is asked for again and again outlives others, and what is forgotten is forgotten wholly."""
    program = Program(Graph([Node("Relu", ["x"], ["y"], since=14)], [info("x", shape=(None,))], [info("y")]), capacity=3)
    hot = np.ones(1, np.float32)
    program.run({"x": hot})
    executor = program.last[0].stages[0].executor  # type: ignore[union-attr]
    for size in range(2, 12):
        program.run({"x": np.ones(size, np.float32)})
        program.run({"x": hot})
        assert len(program._straight) <= len(program._blocks) <= 3
    assert any(straight._executor is executor for straight in program._straight.values())


def test_equal_constants_are_held_once() -> None:
    """A weight that is folded anew for each shape is kept once, by numpy and by MXNet."""
    weights = {"w": Tensor("float32", np.ones((3, 4), np.float32))}
    nodes = [Node("Exp", ["w"], ["v"], since=13), Node("MatMul", ["x", "v"], ["y"], since=13)]
    program = Program(Graph(nodes, [info("x", shape=(None, 3))], [info("y")], weights))
    held = []
    for rows in (1, 2, 3):
        program.run({"x": np.ones((rows, 3), np.float32)})
        (stage,) = program.last[0].stages
        assert isinstance(stage, SymbolStage)
        held.append(stage.constants)
    assert held[0]
    assert all(one[name] is held[0][name] for one in held for name in held[0])


def test_errors_of_runs_name_the_node() -> None:
    """What a host function does not take is said with its operator and node, in the first run and in later ones."""
    nodes = [Node("Cast", ["x"], ["y"], {"to": 7}, since=13, name="reader")]
    program = Program(Graph(nodes, [info("x", "string", (None,))], [info("y", "int64")]))
    with pytest.raises(InvalidInput, match=r"^Cast \(reader\): 'a'"):
        program.run({"x": np.array(["a"])})
    assert program.run({"x": np.array(["1"])})[0].tolist() == [1]
    with pytest.raises(InvalidInput, match=r"^Cast \(reader\): 'b'"):
        program.run({"x": np.array(["b"])})


@pytest.mark.parametrize("op_type", ["If", "Loop"])
def test_problems_behind_a_capture(op_type: str) -> None:
    """A graph inside a node that reads what could not be lowered is passed over like any other reader of it."""
    nodes = [Node("Nonsense", ["x"], ["a"], name="first"), Node("ReduceSum", ["x"], ["sum"], {"keepdims": 0}, since=1)]
    inner = [Node("Add", ["a", "x"], ["b"], since=14), Node("Greater", ["sum", "sum"], ["on"], since=13)]
    branch = Graph(inner, [], [info("b")])
    body = Graph(inner, [info("i", "int64", ()), info("c", "bool", ())], [info("on", "bool"), info("b")])
    nodes.append(Node("Greater", ["sum", "sum"], ["c"], since=13))
    nodes.append(
        Node("If", ["c"], ["y"], {"then_branch": branch, "else_branch": branch}, since=13)
        if op_type == "If"
        else Node("Loop", ["", "c"], ["y"], {"body": body}, since=13)
    )
    with pytest.raises(UnsupportedModel) as raised:
        Program(Graph(nodes, [info("x", shape=(4, 3))], [info("y")])).run({"x": np.ones((4, 3), np.float32)})
    assert [problem.node for problem in raised.value.problems] == ["first"]
