"""Signatures: read from shapes files in all their forms, and inferred from graphs of real and made-up networks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.errors import ModelError
from serving.models.shapes import check_complete, infer, read
from serving.models.signature import Signature, Tensor

F4 = np.dtype("float32")


def written(folder: Path, document: Any) -> Path:
    """A shapes file that holds this."""
    path = folder / "model-shapes.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def variable(name: str, **attrs: str) -> dict[str, Any]:
    """A variable of a symbol."""
    return {"op": "null", "name": name, "attrs": attrs, "inputs": []}


def operator(op: str, *inputs: int, **attrs: str) -> dict[str, Any]:
    """An operator of a symbol."""
    return {"op": op, "name": op.lower(), "attrs": attrs, "inputs": [[at, 0, 0] for at in inputs]}


@pytest.mark.parametrize(
    "document",
    [
        [{"name": "data", "shape": [1, 3, 224, 224]}],
        [{"name": "data", "shape": [64, 3, 224, 224], "dtype": "float32"}],
        {"name": "data", "shape": [1, 3, 224, 224]},
        {"data": [1, 3, 224, 224]},
        {"data": {"shape": [1, 3, 224, 224]}},
        [["data", [1, 3, 224, 224]]],
        {"inputs": [{"name": "data", "shape": [None, 3, 224, 224]}], "outputs": []},
        {"inputs": {"data": [-1, 3, 224, 224]}},
    ],
)
def test_forms_of_the_file(tmp_path: Path, document: Any) -> None:
    """Every form in use gives the same signature, whose first dimension is open whatever number is written there."""
    assert read(written(tmp_path, document)).inputs == (Tensor("data", (None, 3, 224, 224), F4),)


def test_several_inputs_and_dtypes(tmp_path: Path) -> None:
    """Inputs keep the file's order; dtypes are theirs; null, 0 and -1 are open sizes."""
    document = [
        {"name": "ids", "shape": [1, 0], "dtype": "int32"},
        {"name": "mask", "shape": [1, None, -1]},
        {"name": "n", "shape": [1]},
    ]
    expected = (
        Tensor("ids", (None, None), np.dtype("int32")),
        Tensor("mask", (None, None, None), F4),
        Tensor("n", (None,), F4),
    )
    assert read(written(tmp_path, document)).inputs == expected


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ("{", "cannot be read"),
        ([], "no input is named"),
        ({}, "no input is named"),
        (7, "found int"),
        ([7], "entry 0 has no name and shape"),
        ([{"name": "data"}], "entry 0 has no name and shape"),
        ([{"name": "", "shape": [1]}], "'' is no name"),
        ([{"name": 3, "shape": [1]}], "3 is no name"),
        ([{"name": "data", "shape": []}], r"the shape of data is \[\]"),
        ([{"name": "data", "shape": "1,3"}], 'the shape of data is "1,3"'),
        ([{"name": "data", "shape": [1, "3"]}], 'the shape of data holds "3"'),
        ([{"name": "data", "shape": [1, -3]}], "the shape of data holds -3"),
        ([{"name": "data", "shape": [1, True]}], "the shape of data holds true"),
        ([{"name": "data", "shape": [1, 2.5]}], "the shape of data holds 2.5"),
        ([{"name": "data", "shape": [1], "dtype": "object"}], 'the dtype of data is "object"'),
        ([{"name": "data", "shape": [1], "dtype": 3}], "the dtype of data is 3"),
        ([{"name": "a", "shape": [1]}, {"name": "a", "shape": [1]}], "named twice"),
        ({"data": {"dtype": "int8"}}, "the shape of data is null"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, document: Any, told: str) -> None:
    """What is wrong is named, with the form that was expected."""
    with pytest.raises(ModelError, match=told) as raised:
        read(written(tmp_path, document))
    assert 'expected [{"name": "data", "shape": [1, 3, 224, 224]}]' in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    """A file that vanished is a ModelError as well."""
    with pytest.raises(ModelError, match="No such file"):
        read(tmp_path / "model-shapes.json")


@pytest.mark.parametrize("prefix", ["", "arg:"])
def test_inferred_mlp(mlp_dir: Path, prefix: str) -> None:
    """A multilayer perceptron's input is inferred; its label and parameters, however named, are none."""
    graph = json.loads((mlp_dir / "model-symbol.json").read_text())
    found = infer(graph, {f"{prefix}fc_weight": (3, 8), f"{prefix}fc_bias": (3,)})
    assert found.inputs == (Tensor("data", (None, 8), F4),)


def test_labels_by_their_slot() -> None:
    """A variable of any name that only feeds a loss layer's label, even reshaped, is no input; one that also feeds data is."""
    nodes = [variable("x"), variable("y"), operator("Reshape", 1), operator("LinearRegressionOutput", 0, 2)]
    assert [tensor.name for tensor in infer({"nodes": nodes}, {}).inputs] == ["x"]
    nodes = [variable("x"), operator("relu", 0), operator("LinearRegressionOutput", 1, 0)]
    assert [tensor.name for tensor in infer({"nodes": nodes}, {}).inputs] == ["x"]


def test_several_inputs() -> None:
    """Every input has the shape of its own first consumer, in graph order."""
    nodes = [
        variable("ids"),
        variable("e"),
        operator("Embedding", 0, 1),
        variable("wide"),
        variable("w"),
        operator("FullyConnected", 3, 4),
    ]
    found = infer({"nodes": nodes}, {"e": (100, 16), "w": (3, 5)})
    assert found.inputs == (Tensor("ids", None, F4), Tensor("wide", (None, 5), F4))


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"__shape__": "(1, 3, 0, -1)"}, Tensor("data", (None, 3, None, None), F4)),
        ({"__dtype__": "4"}, Tensor("data", (None, 8), np.dtype("int32"))),
        ({"__dtype__": "-1"}, Tensor("data", (None, 8), F4)),
        ({"__dtype__": "99"}, Tensor("data", (None, 8), F4)),
        ({"__shape__": "()"}, Tensor("data", (None, 8), F4)),
    ],
)
def test_declared_shapes_and_dtypes(attrs: dict[str, str], expected: Tensor) -> None:
    """What a variable declares of itself wins over its consumers."""
    nodes = [variable("data", **attrs), variable("w"), operator("FullyConnected", 0, 1)]
    assert infer({"nodes": nodes}, {"w": (3, 8)}).inputs == (expected,)


def test_missing_parameters() -> None:
    """Parameters that the symbol needs and the file lacks are named: MXNet would compute with zeros."""
    nodes = [variable("data"), variable("fc_weight"), variable("fc_bias"), operator("FullyConnected", 0, 1, 2)]
    with pytest.raises(ModelError, match="the parameters lack fc_bias, which the symbol needs"):
        infer({"nodes": nodes}, {"fc_weight": (3, 8)})
    many = [variable("data"), *(variable(f"w{at}_weight") for at in range(9)), operator("Concat", *range(10))]
    with pytest.raises(ModelError, match="w4_weight and 4 more"):
        infer({"nodes": many}, {})


def test_missing_parameters_beside_a_shapes_file() -> None:
    """A signature that was read is held against the graph as well; a weight that it feeds is an input."""
    graph = {"nodes": [variable("data"), variable("fc_weight"), operator("FullyConnected", 0, 1)]}
    data, weight = Tensor("data", (None, 8), F4), Tensor("fc_weight", (3, 8), F4)
    with pytest.raises(ModelError, match="the parameters lack fc_weight"):
        check_complete(graph, {}, Signature((data,)))
    check_complete(graph, {"arg:fc_weight": (3, 8)}, Signature((data,)))
    check_complete(graph, {}, Signature((data, weight)))


def test_nothing_to_feed() -> None:
    """A graph whose every variable is a parameter cannot be served."""
    with pytest.raises(ModelError, match="the symbol has no input"):
        infer({"nodes": [variable("w"), operator("relu", 0)]}, {"w": (3,)})
