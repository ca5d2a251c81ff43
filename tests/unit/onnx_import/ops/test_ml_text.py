"""Tables of words and maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_import import backend, nd
from onnx_import.errors import InvalidInput
from onnx_import.nd import Value
from onnx_import.nd.tape import Tape, writing
from onnx_import.ops import ml_text
from onnx_import.stages import Parameters
from onnx_import.trace import Trace
from tests.unit.onnx_import.checking import check, node_model

ML = "ai.onnx.ml"
WORDS = np.array([["a", "b"], ["c", "?"]], dtype=object)
NUMBERS = {"floats": [0.0, 1.0, 2.0, 1.0], "int64s": [0, 1, 2, 1], "strings": ["a", "b", "c", "b"]}


@pytest.fixture
def tape() -> Iterator[Tape]:
    """A tape to lower on."""
    with writing(Trace(Parameters(), set())) as recording:
        yield recording


def values_of(kind: str) -> list[Any]:
    """Four values of a table."""
    return {"floats": [0.5, 1.5, float("inf"), -2.5], "int64s": [5, 6, 2**60 + 1, 8], "strings": ["w", "x", "y", "z"]}[kind]


@pytest.mark.parametrize("values", ["floats", "int64s", "strings"])
@pytest.mark.parametrize("keys", ["floats", "int64s", "strings"])
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 2)], ids=str)
def test_label_encoder(shape: tuple[int, ...], keys: str, values: str) -> None:
    """Every pair of types; the last of equal keys counts; numbers alone need no host function."""
    size = int(np.prod(shape))
    x = {
        "floats": np.array([2, 1, 7, 0], np.float32),
        "int64s": np.array([2, 1, 7, 0]),
        "strings": np.array(["c", "b", "?", "a"], dtype=object),
    }[keys][:size].reshape(shape)
    defaults = {"default_float": 9.5, "default_int64": 9, "default_string": "none"}
    prepared = check(
        "LabelEncoder", [x], {f"keys_{keys}": NUMBERS[keys], f"values_{values}": values_of(values), **defaults}, domain=ML
    )
    hosts = [stage for block in prepared.program.last for stage in block.stages if hasattr(stage, "function")]
    assert bool(hosts) == ("strings" in (keys, values))


def test_label_encoder_nan() -> None:
    """A NaN among the keys matches any NaN."""
    x = np.array([np.nan, 1, -np.float32(np.nan), 2], np.float32)
    attributes = {"keys_floats": [1.0, float("nan")], "values_int64s": [10, 20], "default_int64": -7}
    check("LabelEncoder", [x], attributes, domain=ML, want=[np.array([20, 10, 20, -7])])


def test_label_encoder_tensors() -> None:
    """Since version 4 a table may be tensors, with a default of their type."""
    tensors = {
        "keys_tensor": onnx.helper.make_tensor("k", onnx.TensorProto.INT16, [2], [3, -4]),
        "values_tensor": onnx.helper.make_tensor("v", onnx.TensorProto.DOUBLE, [2], [0.1, 0.2]),
        "default_tensor": onnx.helper.make_tensor("d", onnx.TensorProto.DOUBLE, [1], [0.3]),
    }
    check("LabelEncoder", [np.array([-4, 3, 5], np.int16)], tensors, domain=ML, want=[np.array([0.2, 0.1, 0.3])])


@pytest.mark.usefixtures("tape")
def test_label_encoder_of_version_1() -> None:
    """A list of classes: words to places, and places to words."""
    classes: dict[str, Any] = {"classes_strings": ["a", "b"], "default_int64": -5, "default_string": "none"}
    places = ml_text.label_encoder_1(Value("string", WORDS.shape, WORDS), **classes)
    assert (places.dtype, nd.known(places).tolist()) == ("int64", [[0, 1], [-5, -5]])
    words = ml_text.label_encoder_1(nd.constant(np.array([1, 2])), **classes)
    assert (words.dtype, nd.known(words).tolist()) == ("string", ["b", "none"])


def test_category_mapper() -> None:
    """Words to numbers and numbers to words."""
    attributes = {"cats_strings": ["a", "b", "c"], "cats_int64s": [10, 20, 30], "default_int64": -5, "default_string": "none"}
    check("CategoryMapper", [WORDS], attributes, domain=ML, want=[np.array([[10, 20], [30, -5]])])
    want = np.array(["c", "none"], dtype=object)
    check("CategoryMapper", [np.array([30, 31])], attributes, domain=ML, want=[want])


def a_map(pairs: dict[Any, Any], dtype: str) -> Value:
    """A known map."""
    carried = np.empty((), dtype=object)
    carried[()] = pairs
    return Value(f"map:{dtype}", (), carried)


@pytest.mark.usefixtures("tape")
def test_zip_map() -> None:
    """Scores become maps whose dtype tells that of their values."""
    maps = ml_text.zip_map(
        nd.constant(np.array([[0.25, 0.75]], np.float32)), classlabels_int64s=[4, 5], classlabels_strings=None
    )
    assert (maps.dtype, maps.shape) == ("map:float32", (1,))
    assert nd.known(maps).tolist() == [{4: 0.25, 5: 0.75}]


@pytest.mark.usefixtures("tape")
def test_dict_vectorizer() -> None:
    """A map becomes a vector of the dtype of its values."""
    got = ml_text.dict_vectorizer(
        a_map({"a": 4, "c": 8}, "int64"), int64_vocabulary=None, string_vocabulary=["a", "c", "b", "z"]
    )
    assert (got.dtype, nd.known(got).tolist()) == ("int64", [4, 8, 0, 0])


def map_model(op: str, attributes: dict[str, Any], kind: int) -> backend.Prepared:
    """A model of one operator on a map from words to numbers."""
    info = onnx.helper.make_value_info("x", onnx.TypeProto())
    info.type.map_type.key_type = onnx.TensorProto.STRING
    info.type.map_type.value_type.CopyFrom(onnx.helper.make_tensor_type_proto(kind, []))
    node = onnx.helper.make_node(op, ["x"], ["y"], domain=ML, **attributes)
    graph = onnx.helper.make_graph([node], "g", [info], [onnx.helper.make_tensor_value_info("y", kind, [None])])
    return backend.prepare(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(ML, 3)]))


def test_maps_come_in_as_dicts() -> None:
    """A model that takes a map is fed a dict; anything else is refused by name."""
    prepared = map_model("DictVectorizer", {"string_vocabulary": ["a", "b"]}, onnx.TensorProto.FLOAT)
    for pairs, want in (({"b": 2.0, "a": 1.0}, [1, 2]), ({}, [0, 0])):
        assert prepared.run({"x": pairs})[0].tolist() == want
    for wrong in (np.zeros(2, np.float32), {1: 2.0}):
        with pytest.raises(InvalidInput, match="'x' is a map"):
            prepared.run({"x": wrong})


def test_maps_go_out_as_dicts() -> None:
    """A classifier's scores by label, a dict a row, at any number of rows."""
    scores = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    model = node_model("ZipMap", [scores], {"classlabels_strings": ["no", "yes"]}, opset=None, domain=ML, outputs=1)
    prepared = backend.prepare(model)
    for _ in range(2):
        assert prepared.run({"x0": scores})[0] == [{"no": 0.25, "yes": 0.75}, {"no": 0.5, "yes": 0.5}]


@pytest.mark.parametrize(
    ("cast_to", "form", "want"),
    [("TO_FLOAT", "DENSE", [[2.5, 1.5]]), ("TO_STRING", "SPARSE", [["", "2.5", "", "1.5"]])],
    ids=["dense", "sparse"],
)
@pytest.mark.usefixtures("tape")
def test_cast_map(cast_to: str, form: str, want: list[Any]) -> None:
    """Values by rising key, or at the places of their keys."""
    got = ml_text.cast_map(a_map({3: 1.5, 1: 2.5}, "float32"), cast_to=cast_to, map_form=form, max_map=4)
    assert nd.known(got).tolist() == want
