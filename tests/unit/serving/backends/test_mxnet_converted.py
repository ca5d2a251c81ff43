"""Converted models as loaded models: the names, dtypes and shapes of the ONNX file, and one clear line for what does not fit."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, parser
from onnx.reference import ReferenceEvaluator

from onnx_import.convert import Options, convert
from serving import settings
from serving.backends import mxnet_converted
from serving.backends.mxnet import SymbolModel, load_arrays, numpy_shapes
from serving.backends.mxnet_converted import OverridableModel
from serving.backends.mxnet_program import ProgramModel
from serving.errors import ModelError
from serving.execution import placement
from serving.models import layout
from serving.testing import Client, Response

FLOAT = onnx.TensorProto.FLOAT
TEXTS = {
    "dense": """(float[N, 4] x) => (float[N, 3] y)
        <float[4, 3] w = {1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1}, float[3] b = {0.5, 0, -1}> { m = MatMul(x, w) y = Add(m, b) }""",
    "two": "(float[N, 4] x) => (float[N, 2] a, float[N, 2] b) { a, b = Split<axis = 1, num_outputs = 2>(x) }",
    "int64": "(int64[N, 2] x) => (int64[N, 2] y) { y = Add(x, x) }",
    "bool": "(bool[N, 2] x, bool[N, 2] z) => (bool[N, 2] y) { y = And(x, z) }",
    "float16": "(float16[N, 2] x) => (float16[N, 2] y) { y = Add(x, x) }",
    "string": "(string[N] x) => (string[N] y) { y = StringConcat(x, x) }",
    "boxes": """(float[1, N, 4] b, float[1, 1, N] s) => (int64[M, 3] y) <int64[1] k = {3}>
        { y = NonMaxSuppression(b, s, k) }""",
    "texts": "(string[N] x, string[N] z) => (string[N] y) { y = StringConcat(x, z) }",
    "mixed": "(float[N, L] x) => (float[N, L] y) { y = Softmax<axis = 0>(x) }",
    "bfloat16": "(bfloat16[N, 2] x) => (bfloat16[N, 2] y) { y = Add(x, x) }",
    "float8": "(float8e4m3fn[N, 2] x) => (float[N, 2] y) { y = Cast<to = 1>(x) }",
    "int4": "(int4[N, 2] x) => (float[N, 2] y) { y = Cast<to = 1>(x) }",
    "uint64": "(uint64[N] x) => (uint64[N] y) { y = Add(x, x) }",
    "scalar": "(float x) => (float y) { y = Add(x, x) }",
    "axes": "(float[A] x, float[B] z) => (float[C] y) { y = Concat<axis = 0>(x, z) }",
    "pair": "(float[2, 3] x) => (float[2, 3] y) { y = Relu(x) }",
    "row": "(float[1, 3] x) => (float[1, 3] y) { y = Relu(x) }",
    "counted": """(float[1, 3] x) => (float[1, 3] y, int64[1, 2] n) <int64[1] a = {0}>
        { y = Relu(x) at = NonZero(x) k = Shape(at) n = Unsqueeze(k, a) }""",
    "default": "(float[N, 2] x, float[2] k) => (float[N, 2] y) <float[2] k = {1, 2}> { y = Add(x, k) }",
    "unread": "(float[N, 2] x, float[N, 1] z) => (float[N, 2] y) { y = Relu(x) }",
    "coupled": "(float[N, 4] x) => (float[N, 4] y) <int64[1] a = {0}> { m = ReduceMax(x, a) y = Sub(x, m) }",
    "constant": "(float[N, 3] x) => (float[N, 3] y, float[2] c) <float[2] k = {1, 2}> { y = Relu(x) c = Identity(k) }",
    "nothing": "() => (float[2] y) { y = Constant<value = float[2] {1, 2}>() }",
    "open": "(float[N, L] x) => (float[N, 1] y) <int64[1] a = {1}> { y = ReduceMax(x, a) }",
    "reshape": "(float[N, 4] x, int64[2] s) => (float[A, B] y) { y = Reshape(x, s) }",
    "pictures": """(float[N, 1, H, W] x) => (float[N, 1, A, B] y) <float[1, 1, 3, 3] w = {1, 1, 1, 1, 1, 1, 1, 1, 1}>
        { c = Conv(x, w) y = MaxPool<kernel_shape = [2, 2], strides = [2, 2], auto_pad = "SAME_UPPER">(c) }""",
    "complex": "(complex64[N] x) => (complex64[N] y) { y = Identity(x) }",
}
SAMPLES = {"reshape": {"s": np.array([2, 2])}, "split": {"x": np.ones((3, 2), "float32")}}


def model(name: str) -> onnx.ModelProto:
    """A small model of that name."""
    if name in TEXTS:
        return parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]>\nagraph {TEXTS[name]}')
    tensor = helper.make_tensor_type_proto(FLOAT, [None, 2])
    rows, mapped = helper.make_tensor_value_info("x", FLOAT, ["N", 2]), helper.make_tensor_type_proto(FLOAT, [])
    nodes, inputs, output = {
        "split": (
            [helper.make_node("SplitToSequence", ["x", "sizes"], ["y"], axis=0)],
            [rows],
            helper.make_sequence_type_proto(tensor),
        ),
        "join": (
            [helper.make_node("ConcatFromSequence", ["q"], ["y"], axis=0)],
            [helper.make_value_info("q", helper.make_sequence_type_proto(tensor))],
            tensor,
        ),
        "absent": (
            [helper.make_node("Optional", [], ["y"], type=mapped)],
            [rows],
            helper.make_optional_type_proto(mapped),
        ),
        "asked": (
            [helper.make_node("OptionalHasElement", ["o"], ["y"])],
            [helper.make_value_info("o", helper.make_optional_type_proto(tensor))],
            helper.make_tensor_type_proto(onnx.TensorProto.BOOL, []),
        ),
        "classes": (
            [helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_strings=["no", "yes"])],
            [rows],
            helper.make_sequence_type_proto(helper.make_map_type_proto(onnx.TensorProto.STRING, mapped)),
        ),
        "mapped": (
            [helper.make_node("DictVectorizer", ["m"], ["y"], domain="ai.onnx.ml", string_vocabulary=["a", "b", "c"])],
            [helper.make_value_info("m", helper.make_map_type_proto(onnx.TensorProto.STRING, mapped))],
            helper.make_tensor_type_proto(FLOAT, [None, 3]),
        ),
    }[name]
    sizes = [onnx.numpy_helper.from_array(np.array([1, 2]), "sizes")] if name == "split" else []
    graph = helper.make_graph(nodes, name, inputs, [helper.make_value_info("y", output)], sizes)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=10
    )


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Converts the model of a name, once, and gives its folder."""
    made: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("converted") / name
            convert(model(name), made[name], Options(values=SAMPLES.get(name, {}), verify=False))
        return made[name]

    return get


@pytest.fixture
def ask(converted: Callable[[str], Path]) -> Callable[..., Response]:
    """Asks the model of a name, as a server of it would be asked."""

    def get(name: str, body: Any, *types: str) -> Response:
        with Client(converted(name)) as client:
            return client.invocations(body, *types)

    return get


@pytest.mark.parametrize(
    ("name", "body", "answer"),
    [
        ("dense", [[1, 2, 3, 4]], [[1.5, 2.0, 9.0]]),
        ("dense", [1, 2, 3, 4], [[1.5, 2.0, 9.0]]),
        ("dense", {"x": [[1, 2, 3, 4], [0, 0, 0, 0]]}, [[1.5, 2.0, 9.0], [0.5, 0.0, -1.0]]),
        ("two", [[1, 2, 3, 4]], {"a": [[1.0, 2.0]], "b": [[3.0, 4.0]]}),
        ("int64", [[2**53 + 1, -3]], [[2**54 + 2, -6]]),
        ("bool", {"x": [[True, False]], "z": [[True, True]]}, [[True, False]]),
        ("bool", {"x": [[1, 0]], "z": [[1, 1]]}, [[True, False]]),
        ("float16", [[1, 2.5]], [[2.0, 5.0]]),
        ("string", ["é", "b"], ["éé", "bb"]),
        ("bfloat16", [[1, 2.5]], [[2.0, 5.0]]),
        ("bfloat16", [[None, 1]], [[None, 2.0]]),
        ("float8", [[448, 1.1]], [[448.0, 1.125]]),
        ("int4", [[7, -8]], [[7.0, -8.0]]),
        ("uint64", [2**63 - 1], [2**64 - 2]),
        ("scalar", 3, 6.0),
        ("scalar", {"x": 2.5}, 5.0),
        ("scalar", [3], 6.0),
        ("axes", {"x": [1, 2], "z": [3]}, [1.0, 2.0, 3.0]),
        ("pair", [[1, 2, 3], [4, 5, -6]], [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]),
        ("row", [[1, 2, 3], [4, 5, -6]], [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]),
        ("counted", [[1, 2, 3]], {"y": [[1.0, 2.0, 3.0]], "n": [[2, 3]]}),
        ("counted", [[1, 0, 3], [0, 0, -6]], {"y": [[1.0, 0.0, 3.0], [0.0, 0.0, 0.0]], "n": [[2, 2], [2, 1]]}),
        ("default", [[1, 2]], [[2.0, 4.0]]),
        ("default", {"x": [[1, 2]], "k": [5, 5]}, [[6.0, 7.0]]),
        ("default", {"x": [[1, 2]], "k": None}, [[2.0, 4.0]]),
        ("unread", {"x": [[1, -2]], "z": [[3]]}, [[1.0, 0.0]]),
        ("constant", [[1, -2, 3]], {"y": [[1.0, 0.0, 3.0]], "c": [1.0, 2.0]}),
        ("nothing", 0, [1.0, 2.0]),
        ("open", [[1, 2, 3]], [[3.0]]),
        ("open", [[1, 2], [3, 4]], [[2.0], [4.0]]),
        ("reshape", {"x": [[1, 2, 3, 4]], "s": [4, 1]}, [[1.0], [2.0], [3.0], [4.0]]),
        ("split", [[1, 2], [3, 4], [5, 6]], [[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]]),
        ("join", {"q": [[[1, 2]], [[3, 4]]]}, [[1.0, 2.0], [3.0, 4.0]]),
        ("join", {"q.0": [[1, 2]], "q.1": [[3, 4], [5, 6]]}, [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        ("absent", [[1, 2]], None),
        ("asked", {"o": [[1, 2]]}, True),
        ("asked", {"o": None}, False),
        ("mapped", {"m.c": 1, "m.a": 2}, [2.0, 0.0, 1.0]),
        ("classes", [[0.25, 0.75], [1, 0]], [{"no": 0.25, "yes": 0.75}, {"no": 1.0, "yes": 0.0}]),
    ],
)
def test_answers_under_its_own_names_and_types(name: str, body: Any, answer: Any, ask: Callable[..., Response]) -> None:
    """JSON goes in and comes out as the ONNX file declares it."""
    reply = ask(name, body)
    assert (reply.status, reply.json()) == (200, answer)


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("dense", [[1, 2, 3]], r"wrong shape \(1, 3\): expected x: float32 \(\*, 4\)"),
        ("dense", {"z": [[1, 2, 3, 4]]}, r"missing \['x'\] and unknown \['z'\]"),
        ("dense", [["a", "b", "c", "d"]], r"wrong dtype string: expected x: float32"),
        ("int64", [[1.5, 2]], "a value of x is not a int64"),
        ("bool", {"x": [[2, 0]], "z": [[1, 1]]}, "a value of x is not a bool"),
        ("float16", [[1e6, 1]], "a value of x is too large for float16"),
        ("string", [1, 2], r"wrong dtype int64: expected x: string \(\*\)"),
        ("bfloat16", [["a", "b"]], r"wrong dtype string: expected x: bfloat16 \(\*, 2\)"),
        ("float8", [[1000, 1]], "a value of x is beyond float8_e4m3fn, which reaches from -448 to 448"),
        ("int4", [[8, 0]], "a value of x is beyond int4, which reaches from -8 to 7"),
        ("uint64", [-1], "a value of x is not a uint64"),
        ("scalar", [1, 2], r"wrong shape \(2,\): expected x: float32 \(\)"),
        ("axes", {"x": [1, 2]}, r"missing inputs \['z'\]; the model has x: float32 \(\*\); z: float32 \(\*\)"),
        ("axes", [1, 2], "name each tensor"),
        ("axes", {"x": [1], "z": [1], "y": [1]}, "unknown input 'y'"),
        ("pair", [[1, 2, 3]], r"wrong shape \(1, 3\): expected x: float32 \(2, 3\)"),
        ("default", {"k": [1, 2]}, r"missing inputs \['x'\].*k: float32 \(2\), optional"),
        ("reshape", {"x": [[1, 2, 3, 4]], "s": [3, 2]}, r"4 elements of shape \[1, 4\] do not fill the shape \[3, 2\]"),
        ("join", {"q.1": [[1, 2]]}, r"q is a sequence: send one array, or its items as q\.0, q\.1"),
    ],
)
def test_wrong_input_is_a_400_with_one_clear_line(name: str, body: Any, message: str, ask: Callable[..., Response]) -> None:
    """What does not fit is the client's fault, and the answer says which input, what came and what is expected."""
    reply = ask(name, body)
    assert reply.status == 400
    text = reply.json()["message"]
    assert re.search(message, text), text
    assert "\n" not in text


def test_npy_npz_and_csv(ask: Callable[..., Response]) -> None:
    """A single input comes as NPY or CSV, several as NPZ; text as CSV fields and as NPY strings."""
    rows = np.array([[1, 2, 3, 4]], "float32")
    assert ask("dense", rows, "application/x-npy", "application/x-npy").array().tolist() == [[1.5, 2.0, 9.0]]
    assert ask("dense", "1,2,3,4\n0,0,0,0", "text/csv", "text/csv").text == "1.5,2.0,9.0\n0.5,0.0,-1.0\n"
    assert ask("default", rows[:, :2], "application/x-npy").json() == [[2.0, 4.0]]
    assert ask("pair", "1,2,3\n4,5,-6", "text/csv").json() == [[1.0, 2.0, 3.0], [4.0, 5.0, 0.0]]
    assert ask("string", "a\nb", "text/csv").json() == ["aa", "bb"]
    assert ask("string", np.array(["é"]), "application/x-npy").json() == ["éé"]
    assert ask("string", np.array(["é".encode()]), "application/x-npy").json() == ["éé"]
    assert ask("string", np.array([b"\xff"]), "application/x-npy").status == 400
    assert ask("scalar", np.array(4, "float32"), "application/x-npy").json() == 8.0
    packed = io.BytesIO()
    np.savez(packed, x=np.ones(2, "float32"), z=np.zeros(1, "float32"))
    assert ask("axes", packed.getvalue(), "application/x-npz").json() == [1.0, 1.0, 0.0]


def test_what_is_no_array_needs_json(ask: Callable[..., Response]) -> None:
    """A sequence of unlike items, an absent output and dicts have no NPY: 406, and the answer says what to accept."""
    for name, body in (("split", [[1, 2], [3, 4], [5, 6]]), ("absent", [[1, 2]]), ("classes", [[0, 1]])):
        reply = ask(name, body, "", "application/x-npy")
        assert (reply.status, reply.json()["message"]) == (406, "an output is no plain array: accept application/json")


@pytest.mark.parametrize(
    "name", ["dense", "pictures", "scalar", "string", "reshape", "join", "asked", "default", "counted", "nothing"]
)
def test_passes_are_measured(name: str, converted: Callable[[str], Path]) -> None:
    """A pass can be measured before the first request, whatever the model's inputs are: what is fast may then run inline."""
    with Client(converted(name)) as client:
        chosen = placement.choose(client.service, settings.read([], environ={}))
    assert chosen.seconds is not None, chosen.why


@pytest.mark.parametrize(
    ("name", "is_stacked"),
    [("dense", True), ("int64", True), ("coupled", False), ("open", True), ("mixed", False), ("string", True)]
    + [("bfloat16", True), ("classes", True), ("pictures", True)],
)
def test_rows_share_passes_where_they_are_independent(name: str, is_stacked: bool, converted: Callable[[str], Path]) -> None:
    """Requests that arrive together are answered as each alone would be; rows of their own go through one pass."""
    shape = {"string": (), "pictures": (1, 6, 5), "dense": (4,), "coupled": (4,), "open": (3,), "mixed": (3,)}.get(name, (2,))
    with Client(converted(name)) as client:
        loaded, output = client.service.model, client.service.signature.outputs[0].name
        rows = [np.arange(np.prod(shape, dtype=int)).reshape(1, *shape) + at for at in range(5)]
        inputs = [
            loaded.signature.validate({"x": row.astype(str) if name == "string" else row})
            for row in (*rows, np.concatenate(rows))
        ]
        assert loaded.stacks(inputs[0]) is is_stacked
        together = client.service.predict(inputs, [])
        for one, answer in zip(inputs, together, strict=True):
            alone = loaded.forward(one)[output]
            if alone.dtype.kind == "f":
                np.testing.assert_allclose(answer[output], alone, rtol=1e-6)
            else:
                assert answer[output].tolist() == alone.tolist()


def test_many_requests_are_one_pass(converted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a program's requests go through it together, filled up to a power of two, at most so many at a time."""
    with Client(converted("open")) as client:
        loaded = client.service.model
        inputs = [loaded.signature.validate({"x": np.full((1, 3), at)}) for at in range(21)]
        assert loaded.stacks(inputs[0])
        passes = []
        run = loaded._program.run
        monkeypatch.setattr(loaded._program, "run", lambda feeds: passes.append(len(feeds["x"])) or run(feeds))
        answers = client.service.predict(inputs, [])
    assert passes == [16, 8]
    assert [answer["y"].tolist() for answer in answers] == [[[at]] for at in range(21)]


def test_inputs_of_different_rows(ask: Callable[..., Response]) -> None:
    """Where first axes count the same rows, inputs of different numbers of them are a 400."""
    for name in ("bool", "texts"):
        reply = ask(
            name, {"x": ["a", "b"] if name == "texts" else [[1, 1], [1, 1]], "z": ["a"] if name == "texts" else [[1, 1]]}
        )
        assert (reply.status, reply.json()["message"]) == (400, "the inputs differ in their number of rows: {'x': 2, 'z': 1}")


def test_kinds_of_models(converted: Callable[[str], Path]) -> None:
    """Plain rows are one symbol, stacked like any other; all else is a program, a request a pass."""
    symbols = ("dense", "two", "int64", "bool", "float16", "row", "unread", "coupled")
    stacked = ("open", "string", "bfloat16", "split", "pictures", "texts")
    for name in (*symbols, *stacked, "scalar", "axes", "pair", "default", "join", "nothing", "counted"):
        kind = SymbolModel if name in symbols else OverridableModel if name == "default" else ProgramModel
        with Client(converted(name)) as client:
            assert isinstance(client.service.model, kind), name
            assert client.service.stackable is (kind is not ProgramModel or name in stacked), name


def test_weights_that_may_be_overridden(converted: Callable[[str], Path]) -> None:
    """Requests that leave a weight as it is share passes; one that sends its own is answered with it, beside them."""
    with Client(converted("default")) as client:
        loaded, validate = client.service.model, client.service.signature.validate
        plain, own = (validate(inputs) for inputs in ({"x": np.ones((1, 2))}, {"x": np.ones((1, 2)), "k": np.array([5, 6])}))
        assert (loaded.stacks(plain), loaded.stacks(own)) == (True, False)
        answers = client.service.predict([plain, own, plain], [])
    assert [answer["y"].tolist() for answer in answers] == [[[2, 3]], [[6, 7]], [[2, 3]]]


def test_many_weights_are_not_listed(tmp_path: Path) -> None:
    """Where an exporter lists every weight as an input, a request's mistake is not answered with all of them."""
    weights = ", ".join(f"float[2] w{at}" for at in range(20))
    values = ", ".join(f"float[2] w{at} = {{1, 1}}" for at in range(20))
    sums = " ".join(f"s{at + 1} = Add({f's{at}' if at else 'x'}, w{at})" for at in range(20))
    text = f"(float[N, 2] x, {weights}) => (float[N, 2] s20) <{values}> {{ {sums} }}"
    convert(
        parser.parse_model(f'<ir_version: 4, opset_import: ["" : 9]> agraph {text}'), tmp_path / "out", Options(verify=False)
    )
    with Client(tmp_path / "out") as client:
        assert client.invocations([[1, 2]]).json() == [[21.0, 22.0]]
        assert client.invocations({"x": [[1, 2]], "w3": [0, 0]}).json() == [[20.0, 21.0]]
        message = client.invocations({"w3": [0, 0]}).json()["message"]
    assert message == "missing inputs ['x']; the model has x: float32 (*, 2) and 20 optional ones"


def test_every_size_has_its_own_padding(converted: Callable[[str], Path]) -> None:
    """Sizes that were not tried when the model was converted, odd and even ones, are answered as ONNX says."""
    judge = ReferenceEvaluator(model("pictures"))
    with Client(converted("pictures")) as client:
        for height in (5, 6, 64, 65, 66, 67):
            x = np.random.default_rng(height).random((2, 1, height, 9)).astype("float32")
            (expected,) = judge.run(None, {"x": x})
            np.testing.assert_allclose(client.service.model.forward({"x": x})["y"], expected, rtol=1e-5)


def test_several_rows_for_a_model_of_one(converted: Callable[[str], Path]) -> None:
    """Inputs of different numbers of rows for a model that takes one are refused."""
    with Client(converted("counted")) as client:
        assert client.service.model.forward({"x": np.ones((3, 3), "float32")})["n"].tolist() == [[2, 3]] * 3


def test_failure_inside_is_a_500_without_a_traceback(converted: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails in the program itself is not blamed on the request."""

    def fail(feeds: dict[str, Any]) -> Any:
        raise RuntimeError("out of cheese")

    with Client(converted("scalar")) as client:
        monkeypatch.setattr(client.service.model._program, "run", fail)
        reply = client.invocations(3)
    assert (reply.status, reply.json()["message"]) == (500, "the forward pass failed: out of cheese")


def test_types_that_no_request_can_carry(converted: Callable[[str], Path]) -> None:
    """Complex inputs end the start, with the input's name."""
    with pytest.raises(ModelError, match="input 'x' is complex64, which no request can carry"):
        Client(converted("complex"))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("conversion.json", "{", "conversion.json cannot be used"),
        ("conversion.json", "[]", "conversion.json cannot be used"),
        ("conversion.json", "{}", "conversion.json cannot be used: KeyError"),
        ("model-graph.json", "{", "model-graph.json cannot be read"),
        ("model-graph.json", None, "model-graph.json cannot be read"),
    ],
)
def test_broken_artifacts_end_the_start(
    file: str, text: str | None, message: str, converted: Callable[[str], Path], tmp_path: Path
) -> None:
    """A file that is missing or no longer whole is named."""
    shutil.copytree(converted("scalar"), tmp_path / "model")
    path = tmp_path / "model" / file
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError, match=message):
        Client(tmp_path / "model")


SCRIPTS = {
    "predict": "def predict_fn(data, model):\n    return model(data)\n",
    "named": "def predict_fn(data, model):\n    return model({'x': data})['y']\n",
    "module": "def predict_fn(data, model):\n    return model.predict(data)\n",
    "output": "def output_fn(prediction, accept):\n    return type(prediction).__name__, 'text/plain'\n",
    "loads": "def model_fn(model_dir):\n    return 7\ndef transform_fn(model, data, kind, accept):\n    return str(model), 'text/plain'\n",
}


def script(source: Path, folder: Path, name: str) -> Path:
    """A copy of an artifact with one of the scripts."""
    shutil.copytree(source, folder)
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text(SCRIPTS[name])
    return folder


@pytest.mark.parametrize(
    ("name", "model", "status", "answer"),
    [
        ("predict", "scalar", 200, "6.0"),
        ("named", "scalar", 200, "6.0"),
        ("module", "scalar", 500, "a converted model that is no single MXNet symbol has no predict: call it with"),
        ("output", "scalar", 200, "ndarray"),
        ("loads", "scalar", 200, "7"),
        ("loads", "bfloat16", 200, "7"),
        ("loads", "nothing", 200, "7"),
        ("module", "dense", 200, "[[1.5,2.0,9.0]]"),
        ("module", "int64", 200, "[[2.0,4.0]]"),
        ("output", "dense", 200, "LazyNDArray"),
    ],
)
def test_scripts(name: str, model: str, status: int, answer: str, converted: Callable[[str], Path], tmp_path: Path) -> None:
    """A script gets a Module of a single symbol, and of anything else the model itself, to be called with arrays."""
    body = {"scalar": 3, "dense": [[1, 2, 3, 4]]}.get(model, [[1, 2]])
    with Client(script(converted(model), tmp_path / "model", name)) as client:
        reply = client.invocations(body)
    assert reply.status == status
    assert answer in reply.text


def test_stock_mxnet_loads_a_portable_artifact(converted: Callable[[str], Path], mx: Any) -> None:
    """`mx.mod.Module.load`, as users of MXNet alone call it, binds the symbol and gives its answers."""
    folder = converted("dense")
    assert json.loads((folder / "conversion.json").read_text())["portable"]
    module = mx.mod.Module.load(str(folder / "model"), 0, data_names=["x"], label_names=None)
    module.bind(data_shapes=[("x", (1, 4))], for_training=False)
    module.forward(mx.io.DataBatch([mx.nd.array([[1, 2, 3, 4]])]), is_train=False)
    assert module.get_outputs()[0].asnumpy().tolist() == [[1.5, 2.0, 9.0]]


def test_layouts_of_other_models_are_not_taken_for_converted(converted: Callable[[str], Path], tmp_path: Path) -> None:
    """Without its report an artifact is a plain symbol with parameters."""
    shutil.copytree(converted("dense"), tmp_path / "plain")
    (tmp_path / "plain" / "conversion.json").unlink()
    assert mxnet_converted.is_program(layout.detect(converted("scalar")))
    assert not mxnet_converted.is_program(layout.detect(converted("dense")))
    assert not mxnet_converted.is_converted(layout.detect(tmp_path / "plain"))
    with Client(tmp_path / "plain") as client:
        assert client.invocations([[1, 2, 3, 4]]).json() == [[1.5, 2.0, 9.0]]


def test_parameters_of_both_shape_semantics(mx: Any, tmp_path: Path) -> None:
    """A params file loads whichever way its shapes were meant when it was saved; one without arrays is empty."""
    for name, is_numpy, shape in (("plain", False, (2, 3)), ("scalar", True, ()), ("empty", True, (0, 3))):
        with numpy_shapes(is_numpy):
            mx.nd.save(str(tmp_path / name), {"arg:a": mx.nd.zeros(shape)})
            loaded = load_arrays(tmp_path / name)
            assert loaded["arg:a"].shape == shape
    mx.nd.save(str(tmp_path / "none"), {})
    assert load_arrays(tmp_path / "none") == {}


def test_numbers_beyond_numbers_warn_nobody(ask: Callable[..., Response]) -> None:
    """What overflows in a numpy function has IEEE's result, and no line in the log."""
    reply = ask("boxes", {"b": [[[0, 0, 1e30, 1e30], [0, 0, 1, 1]]], "s": [[[0.9, 0.8]]]})
    assert (reply.status, reply.json()[0]) == (200, [0, 0, 0])


def test_samples_for_the_warm_up(converted: Callable[[str], Path]) -> None:
    """A program's sample is what the conversion succeeded with, repeated where rows are asked for; a symbol's has its sizes."""
    for name, rows, shapes in (
        ("reshape", 1, {"x": (1, 4), "s": (2,)}),
        ("open", 4, {"x": (4, 8)}),
        ("pictures", 2, {"x": (2, 1, 64, 64)}),
        ("dense", 3, {"x": (3, 4)}),
        ("scalar", 1, {"x": ()}),
    ):
        with Client(converted(name)) as client:
            sample = client.service.sample(rows)
            assert {key: array.shape for key, array in sample.items()} == shapes, name
            assert client.service.takes_samples is (name == "dense")
            assert client.service.predict([sample], [])
