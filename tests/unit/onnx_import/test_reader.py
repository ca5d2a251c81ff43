"""ModelProtos as graphs: values, types, defaults, versions, and functions written out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.inliner
import pytest
from onnx import TensorProto, helper, numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from onnx_import import expand, registry, weights
from onnx_import.graph import Graph, Tensor, Type
from onnx_import.loader import load
from onnx_import.reader import read


def model(text: str, head: str = '"" : 21') -> onnx.ModelProto:
    """A model in ONNX's text syntax."""
    return parser.parse_model(f"<ir_version: 10, opset_import: [{head}]> {text}")


def graph(text: str, head: str = '"" : 21') -> Graph:
    """The graph of a checked model."""
    return read(load(model(text, head)))


def test_defaults_are_those_of_the_opset() -> None:
    """An attribute that is left out has the value that the model's opset gives it, and `since` says which definition holds."""
    text = "g (float[2, 3] x) => (float[2, 3] y) { y = Softmax (x) }"
    for opset, since, axis in ((12, 11, 1), (13, 13, -1), (21, 13, -1)):
        node = graph(text, f'"" : {opset}').nodes[0]
        assert (node.since, node.attributes) == (since, {"axis": axis})


def test_the_two_names_of_onnx_own_domain_are_one() -> None:
    """`ai.onnx` and the empty name are the same."""
    node = graph("g (float[2] x) => (float[2] y) { y = ai.onnx.Selu (x) }", '"ai.onnx" : 21').nodes[0]
    assert (node.domain, node.since) == ("", 6)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (3, 3),
        (0.5, 0.5),
        ("text", "text"),
        (b"\xff\xfe", b"\xff\xfe"),
        ([1, 2], [1, 2]),
        ([0.5, 2.0], [0.5, 2.0]),
        (["a", "b"], ["a", "b"]),
        (helper.make_tensor_type_proto(TensorProto.INT4, ["n", 2]), Type("tensor", "int4", ("n", 2))),
    ],
    ids=str,
)
def test_attributes_are_python_values(given: Any, value: Any) -> None:
    """Text is str where it is text."""
    made = model("g (float[2] x) => (float[2] y) { y = other.Op (x) }", '"" : 21, "other" : 1')
    made.graph.node[0].attribute.append(helper.make_attribute("a", given))
    read_value = read(made).nodes[0].attributes["a"]
    assert (read_value, type(read_value)) == (value, type(value))


def test_attributes_without_a_type_have_that_of_their_field() -> None:
    """Files before IR 2 do not say it."""
    made = model("g (float[2] x) => (float[1, 2] y) { y = Flatten <axis = 0> (x) }")
    made.graph.node[0].attribute[0].ClearField("type")
    assert read(made).nodes[0].attributes == {"axis": 0}


@pytest.mark.parametrize(
    ("dtype", "values", "carrier"),
    [
        ("int16", [-3, 300], "int32"),
        ("uint64", [1, 2**64 - 1], "int64"),
        ("bfloat16", [0.5, -2], "float32"),
        ("int4", [-8, 7, 3], "int8"),
        ("float8_e4m3fn", [0.5, 448], "float32"),
        ("bool", [True, False], "bool"),
        ("string", ["a", "ö"], "object"),
        ("complex64", [1j, 2], "complex64"),
    ],
)
def test_tensors_are_in_their_carrier_types(dtype: str, values: list[Any], carrier: str) -> None:
    """The ONNX type is kept beside the values."""
    number = {"bfloat16": 16, "int4": 22, "float8_e4m3fn": 17, "string": 8}.get(dtype) or helper.np_dtype_to_tensor_dtype(
        np.dtype(dtype)
    )
    made = model("g (float[2] x) => (float[2] y) { y = Relu (x) }")
    made.graph.initializer.append(helper.make_tensor("w", number, [len(values)], values))
    weight = read(load(made)).initializers["w"]
    assert (weight.dtype, weight.data.dtype) == (dtype, carrier)
    assert weight.data.tolist() == [value - 2**64 if dtype == "uint64" and value >= 2**63 else value for value in values]


def test_sparse_tensors_are_written_out() -> None:
    """Indices count elements, or are places."""
    values = numpy_helper.from_array(np.float32([5, 7]), "s")
    for indices in ([1, 5], [[0, 1], [1, 2]]):
        made = model("g (float[2] x) => (float[2] y) { y = Relu (x) }")
        sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array(indices)), [2, 3])
        made.graph.sparse_initializer.append(sparse)
        made.graph.node.append(helper.make_node("Constant", [], ["c"], sparse_value=sparse))
        found = read(load(made))
        constant = found.nodes[-1].attributes["sparse_value"]
        assert isinstance(constant, Tensor)
        for tensor in (found.initializers["s"], constant):
            assert tensor.data.tolist() == [[0, 5, 0], [0, 0, 7]]


def test_types_of_inputs_and_outputs() -> None:
    """Sizes that are open have a name or none; sequences, optionals and maps have elements."""
    found = graph("g (float[n, 2, ?] a, seq(int64[1]) b, optional(float[]) c) => (float[n, 2, ?] y) { y = Relu (a) }")
    assert [info.type for info in found.inputs] == [
        Type("tensor", "float32", ("n", 2, None)),
        Type("sequence", element=Type("tensor", "int64", (1,))),
        Type("optional", element=Type("tensor", "float32", None)),
    ]
    text = model("g (map(string, float[2]) m, float[2] x) => (float[2] y) { y = Relu (x) }")
    assert read(text).inputs[0].type == Type("map", "string", element=Type("tensor", "float32", (2,)))


def test_graphs_inside_nodes() -> None:
    """A graph attribute is a Graph that captures outer names."""
    found = graph("""g (bool c, float[2] x) => (float[2] y) {
        y = If (c) <then_branch = t () => (float[2] p) { p = Neg (x) }, else_branch = e () => (float[2] q) { q = Relu (x) }>
    }""")
    branch = found.nodes[0].attributes["then_branch"]
    assert isinstance(branch, Graph)
    assert branch.captures() == {"x"}
    assert set(found.nodes[0].reads()) == {"c", "x"}


def test_large_weights_are_views_of_the_file(tmp_path: Path) -> None:
    """Reading a mapped model copies none of its weights; those of Constants are initializers then."""
    made = model(
        "g (float[2] x) => (float[2] y) { y = Relu (x)\n c = Constant <value = float[1] {1.0}> ()\n d = Identity (c) }"
    )
    large = np.arange(50_000, dtype=np.float32)
    made.graph.initializer.append(numpy_helper.from_array(large, "w"))
    made.graph.node[1].attribute[0].t.CopyFrom(numpy_helper.from_array(large + 1))
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    found = read(load(tmp_path / "m.onnx", mapped=True))
    for name, want in (("w", large), ("c", large + 1)):
        assert not found.initializers[name].data.flags.owndata
        assert not found.initializers[name].data.flags.writeable
        np.testing.assert_array_equal(found.initializers[name].data, want)
    assert [info.name for info in found.inputs] == ["x"]


LOCAL = """g (float[2] x) => (float[2] y) {{ b = Neg (x)
  y = f.Twice <factor = 3.0> (x, b) }}
<domain: "f", opset_import: ["" : {opset}, "f" : 1]> Twice <factor> (a, b) => (c) {{
  s = f.Scaled <by: float = @factor> (a)
  c = Add (s, b)
}}
<domain: "f", opset_import: ["" : {opset}]> Scaled <by: float = 2.0> (a) => (b) {{
  k = Constant <value_float: float = @by> ()
  b = Mul (a, k)
}}"""


def test_functions_of_the_model_are_written_out() -> None:
    """Names inside a function are its own, its attributes are those of the call or its defaults, and its opset holds in it."""
    found = graph(LOCAL.format(opset=14), '"" : 21, "f" : 1')
    assert [node.op for node in found.nodes] == ["Neg", "Constant", "Mul", "Add"]
    assert [node.since for node in found.nodes] == [13, 13, 14, 14]
    assert found.nodes[1].attributes == {"value_float": 3.0}
    assert len({name for node in found.nodes for name in node.outputs}) == 4
    assert (found.nodes[0].outputs, found.nodes[3].outputs) == (["b"], ["y"])


def test_a_function_answers_as_its_calls_do() -> None:
    """The evaluator gives the same with functions called and written out."""
    made = load(model(LOCAL.format(opset=21), '"" : 21, "f" : 1'))
    want = ReferenceEvaluator(onnx.inliner.inline_local_functions(made)).run(None, {"x": np.float32([1, -2])})[0]
    bare, _ = weights.detach(made)
    got = ReferenceEvaluator(expand.expand(bare)).run(None, {"x": np.float32([1, -2])})[0]
    np.testing.assert_array_equal(got, want)


def test_a_function_that_gives_what_it_got() -> None:
    """Outputs that are inputs pass through, also by two names."""
    found = graph(
        """g (float[2] x) => (float[2] y, float[2] z) { y, z = f.Same (x) }
        <domain: "f", opset_import: ["" : 21]> Same (a) => (a, b) { b = Neg (a) }""",
        '"" : 21, "f" : 1',
    )
    assert sorted((node.op, node.inputs, node.outputs) for node in found.nodes) == [
        ("Identity", ["x"], ["y"]),
        ("Neg", ["x"], ["z"]),
    ]


def test_graphs_inside_functions_read_the_call_s_names() -> None:
    """Names that a graph inside a function captures are renamed with it."""
    found = graph(
        """g (bool c, float[2] x) => (float[2] y) { a = Neg (x)\n y = f.Choose (c, a) }
        <domain: "f", opset_import: ["" : 21]> Choose (c, x) => (y) {
          d = Relu (x)
          y = If (c) <then_branch = t () => (float[2] p) { p = Neg (d) }, else_branch = e () => (float[2] q) { q = Relu (x) }>
        }""",
        '"" : 21, "f" : 1',
    )
    chosen = found.nodes[-1]
    then, other = chosen.attributes["then_branch"], chosen.attributes["else_branch"]
    assert isinstance(then, Graph)
    assert isinstance(other, Graph)
    assert then.captures() == set(found.nodes[1].outputs)
    assert other.captures() == {"a"}


@pytest.fixture
def no_converters(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry in which nothing but the plainest operators is found."""
    monkeypatch.setattr(registry, "find", lambda op, domain, since: op in ("Range", "Clip", "Constant") or None)


CASES = {
    "Softplus": ("y = Softplus (x)", 21),
    "Clip by Max": ("y = HardSwish (x)", 14),
    "types needed": ("y = LeakyRelu <alpha = 0.2> (x)", 16),
    "bodies inside bodies": ("y = GroupNormalization <num_groups = 1> (x, s, s)", 21),
    "in a branch": (
        """c = Constant <value = bool {1}> ()
        y = If (c) <then_branch = t () => (float[1, 2] p) { p = Elu (x) }, else_branch = e () => (float[1, 2] q) { q = Selu (x) }>""",
        21,
    ),
}


@pytest.mark.usefixtures("no_converters")
@pytest.mark.parametrize("name", CASES)
def test_operators_without_a_converter_get_onnx_own_bodies(name: str) -> None:
    """What the bodies compute is what the operators compute."""
    body, opset = CASES[name]
    made = model(f"g (float[1, 2] x, float[2] s) => (float[1, 2] y) {{ {body} }}", f'"" : {opset}')
    feeds = {"x": np.float32([[0.3, -1.5]]), "s": np.float32([2, 3])}
    want = ReferenceEvaluator(made).run(None, feeds)[0]
    written = expand.expand(load(made))
    operators = {node.op_type for node in (*written.graph.node, *weights.inner_nodes(written))}
    assert not operators & {"Softplus", "HardSwish", "HardSigmoid", "LeakyRelu", "GroupNormalization", "Elu", "Selu"}
    np.testing.assert_allclose(ReferenceEvaluator(written).run(None, feeds)[0], want, rtol=1e-5)


def test_bodies_of_other_opsets_keep_theirs() -> None:
    """Shrink's body is written for opset 18: in a model of opset 9 its nodes are meant by 18."""
    find = registry.find
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "find", lambda op, domain, since: None if op == "Shrink" else find(op, domain, since))
        found = graph("g (float[2] x) => (float[2] y) { y = Shrink (x) }", '"" : 9')
    assert {node.op: node.since for node in found.nodes}["Constant"] == 13


def test_with_a_converter_nothing_is_replaced() -> None:
    """A body is for operators that have no converter."""
    find = registry.find
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "find", lambda op, domain, since: op == "Softplus" or find(op, domain, since))
        assert [node.op for node in graph("g (float[2] x) => (float[2] y) { y = Softplus (x) }").nodes] == ["Softplus"]
