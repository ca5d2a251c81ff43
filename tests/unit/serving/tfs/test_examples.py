"""Classify and regress: examples out of JSON, and answers out of outputs."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.backends.tensorflow import SignatureDef
from serving.backends.tensorflow_import import protos
from serving.errors import BadRequest
from serving.invocation import Array, Outputs
from serving.tfs import examples
from tests.unit.serving.codecs.contract import edited, edits, fuzz
from tests.unit.serving.tfs.signatures import info


def read(body: str | bytes) -> list[dict[str, tuple[str, list[Any]]]]:
    """The features of each example: kind and values by name."""
    protos()
    from tensorflow.core.example import example_pb2

    found = []
    for serialized in examples.parse(body.encode() if isinstance(body, str) else body)[1]:
        features = example_pb2.Example.FromString(serialized).features.feature
        kinds = {name: feature.WhichOneof("kind") for name, feature in features.items()}
        found.append(
            {name: (kind or "", list(getattr(features[name], kind).value) if kind else []) for name, kind in kinds.items()}
        )
    return found


def strings(*rows: list[bytes]) -> Array:
    """An array of strings."""
    array = np.empty((len(rows), len(rows[0])), object)
    array[:] = rows
    return array


def outputs(**named: Any) -> Outputs:
    """Outputs by name, numbers as floats."""
    return {name: value if isinstance(value, np.ndarray) else np.array(value, np.float32) for name, value in named.items()}


def test_features() -> None:
    """Numbers with a point are floats, those without and booleans int64, strings and base64 bytes; single or in lists."""
    body = """{"signature_name": "custom", "examples": [
        {"names": ["foo", "bar"], "ratings": [8.0, 9.5e0, NaN, -Infinity], "age": 20},
        {"names": ["baz", {"b64": "aGVsbG8="}], "ratings": 6.0, "mix": [1, true, false], "none": []}]}"""
    assert examples.parse(body.encode())[0] == "custom"
    first, second = read(body)
    assert first["names"] == ("bytes_list", [b"foo", b"bar"])
    assert first["age"] == ("int64_list", [20])
    assert first["ratings"][1][:2] == [8.0, 9.5]
    assert math.isnan(first["ratings"][1][2])
    assert second == {
        "names": ("bytes_list", [b"baz", b"hello"]),
        "ratings": ("float_list", [6.0]),
        "mix": ("int64_list", [1, 1, 0]),
        "none": ("", []),
    }


def test_floats_are_rounded_to_single_precision() -> None:
    """Floats are rounded to the feature's type; what is too large for it is infinity."""
    assert read('{"examples": [{"x": [0.1, 1e300]}]}') == [{"x": ("float_list", [float(np.float32(0.1)), math.inf])}]


def test_context() -> None:
    """Features of the context are in every example, unless it has one of that name itself."""
    body = '{"context": {"query": "pizza", "at": 1}, "examples": [{"x": 1.0}, {"at": 2}]}'
    query = ("bytes_list", [b"pizza"])
    assert read(body) == [
        {"query": query, "at": ("int64_list", [1]), "x": ("float_list", [1.0])},
        {"query": query, "at": ("int64_list", [2])},
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"examples": []}', "'examples' is \\[\\]: expected a list of one example at least"),
        ('{"examples": {"x": 1}}', "'examples' is"),
        ('{"instances": [1]}', "no 'examples' among the keys \\[\"instances\"\\]"),
        ("[1]", "is not an object with 'examples'"),
        ('{"signature_name": ["a"], "examples": [{}]}', "'signature_name' is"),
        ('{"examples": [[{"x": 1}]]}', "example 0 is"),
        ('{"examples": [{"x": 1}, 5]}', "example 1 is 5: expected an object of features"),
        ('{"context": [{}], "examples": [{}]}', "'context' is"),
        ('{"examples": [{"n": [10, null]}]}', 'example 0, feature "n": it holds Null and Number'),
        ('{"examples": [{"n": [10, 10.0]}]}', "it holds Number"),
        ('{"examples": [{"n": [1.0, true]}]}', "it holds Number and True"),
        ('{"examples": [{"n": [[10], 20]}]}', "it holds Array and Number"),
        ('{"examples": [{"n": ["a", 1]}]}', "it holds Number and String"),
        ('{"examples": [{"n": [10, {"test": 10}]}]}', "it holds Number and Object"),
        ('{"examples": [{"n": {"test": 10}}]}', "is no string"),
        ('{"examples": [{"n": {"b64": "!"}}]}', "is no string"),
        ('{"examples": [{"n": [20, 18446744073709551603]}]}', "18446744073709551603 does not fit into int64"),
        ('{"examples": [{"n": 1, "n": 2}]}', 'key "n" is repeated'),
        ('{"examples": [{"n": "\\ud800", "x": NaN}]}', "is no string"),
        ('{"examples": [{"\\ud800": 1, "x": NaN}]}', "its name is no Unicode"),
        ('{"examples": ' + "[" * 10_000, "depth"),
        ("", "document is empty"),
    ],
)
def test_refused(body: str, message: str) -> None:
    """What is no list of examples, or a feature of mixed kinds, is a short 400 that names the example and the feature."""
    with pytest.raises(BadRequest, match=message) as caught:
        examples.parse(body.encode())
    assert len(caught.value.message) < 300


def model(inputs: list[str], found: list[str]) -> SignatureDef:
    """A signature of these names."""
    return SignatureDef("s", "", tuple(info(name, object) for name in inputs), tuple(info(name) for name in found))


@pytest.mark.parametrize(
    ("method", "inputs", "found"),
    [
        ("classify", ["inputs"], ["classes", "scores"]),
        ("classify", ["inputs"], ["classes"]),
        ("classify", ["inputs"], ["scores"]),
        ("regress", ["inputs"], ["outputs"]),
    ],
)
def test_signatures(method: str, inputs: list[str], found: list[str]) -> None:
    """A signature of the right names can be asked, whatever method it states."""
    signature = model(inputs, found)
    assert examples.signature_for(method, signature) is signature


@pytest.mark.parametrize(
    ("method", "inputs", "found"),
    [
        ("classify", ["x"], ["scores"]),
        ("classify", ["inputs", "x"], ["scores"]),
        ("classify", ["inputs"], ["outputs"]),
        ("classify", ["inputs"], ["classes", "scores", "x"]),
        ("classify", ["inputs"], []),
        ("regress", ["inputs"], ["scores"]),
        ("regress", ["inputs"], ["outputs", "x"]),
        ("regress", ["x"], ["outputs"]),
    ],
)
def test_other_signatures(method: str, inputs: list[str], found: list[str]) -> None:
    """Any other signature is a 400 that says what is needed and what there is."""
    with pytest.raises(BadRequest, match=f"{method} needs a signature"):
        examples.signature_for(method, model(inputs, found))


LABELS = strings([b"car", b"bus"], [b"car", b'"\xff'])
SCORES = [[0.25, 0.75], [1, math.nan]]


def test_classify_answer() -> None:
    """Pairs of label and score, an example's on one line with the others, the closing bracket below."""
    text = examples.classify_answer(outputs(classes=LABELS[:1], scores=SCORES[:1]), 1)
    assert text == b'{\n    "results": [[["car", 0.25], ["bus", 0.75]]\n    ]\n}'
    text = examples.classify_answer(outputs(classes=LABELS, scores=SCORES), 2)
    assert b'[["car", 0.25], ["bus", 0.75]], [["car", 1.0], [{' in text
    assert b", NaN]]\n    ]\n}" in text


def test_classify_answer_of_one_output() -> None:
    """Where the model gives only labels scores are 0, and where it gives only scores labels are empty."""
    assert json.loads(examples.classify_answer(outputs(classes=LABELS[:1]))) == {"results": [[["car", 0.0], ["bus", 0.0]]]}
    assert json.loads(examples.classify_answer(outputs(scores=SCORES[:1]))) == {"results": [[["", 0.25], ["", 0.75]]]}
    assert json.loads(examples.classify_answer(outputs(scores=np.zeros((2, 0), np.float32)))) == {"results": [[], []]}


def test_classifications() -> None:
    """The same as Python values."""
    assert examples.classifications(outputs(classes=LABELS[:1], scores=SCORES[:1]), 1) == [[("car", 0.25), ("bus", 0.75)]]
    assert examples.classifications(outputs(classes=LABELS)) == [[("car", 0.0), ("bus", 0.0)], [("car", 0.0), ('"\ufffd', 0.0)]]
    assert examples.classifications(outputs(scores=SCORES[:1])) == [[("", 0.25), ("", 0.75)]]


@pytest.mark.parametrize("values", [[0.5, 1.0, math.nan], [[0.5], [1.0], [math.nan]]])
def test_regress_answer(values: Any) -> None:
    """A value an example, all on one line."""
    assert examples.regress_answer(outputs(outputs=values), 3) == b'{\n    "results": [0.5, 1.0, NaN]\n}'
    assert examples.regressions(outputs(outputs=values), 3)[:2] == [0.5, 1.0]


@pytest.mark.parametrize(
    ("found", "count", "message"),
    [
        (outputs(scores=[0.5]), None, r"scores have the shape \(1,\): expected \(examples, classes\)"),
        (outputs(scores=[[0.5]]), 2, "expected .*2 examples"),
        (outputs(classes=LABELS, scores=[[0.5], [0.5]]), 2, "do not match"),
        (outputs(scores=np.zeros((1, 1))), None, "scores are of type double: expected float"),
        (outputs(classes=[[0.5]]), None, "classes are of type float: expected string"),
        (outputs(y=[[0.5]]), None, "do not match"),
    ],
)
def test_outputs_that_classify_cannot_read(found: Outputs, count: int | None, message: str) -> None:
    """Outputs of another shape or dtype than a classifier's are a 400, as there."""
    with pytest.raises(BadRequest, match=message):
        examples.classify_answer(found, count)
    with pytest.raises(BadRequest, match=message):
        examples.classifications(found, count)


@pytest.mark.parametrize(
    ("found", "count", "message"),
    [
        (outputs(y=[0.5]), None, r"no output 'outputs', but \['y'\]"),
        (outputs(outputs=[[0.5, 1.0]]), None, r"shape \(1, 2\)"),
        (outputs(outputs=0.5), None, "shape"),
        (outputs(outputs=[0.5]), 2, "shape"),
        (outputs(outputs=np.zeros(1)), None, "type double: expected float"),
    ],
)
def test_outputs_that_regress_cannot_read(found: Outputs, count: int | None, message: str) -> None:
    """Outputs of another shape or dtype than a regressor's are a 400, as there."""
    with pytest.raises(BadRequest, match=message):
        examples.regress_answer(found, count)


@fuzz
@given(changes=edits)
def test_edited_bodies_are_no_crash(changes: list[tuple[int, int, bytes]]) -> None:
    """A well-formed body with a few wrong bytes is examples that parse, or a 400."""
    body = b'{"context": {"q": "a"}, "examples": [{"x": [1.5, 2.5], "s": {"b64": "aGk="}, "n": true}]}'
    with contextlib.suppress(BadRequest):
        assert read(edited(body, changes))


@fuzz
@given(
    values=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1) | st.lists(st.floats(width=32, allow_nan=False), min_size=1)
)
def test_numbers_come_back(values: list[Any]) -> None:
    """Numbers of either kind are the same numbers in the example."""
    kind = "float_list" if isinstance(values[0], float) else "int64_list"
    assert read(json.dumps({"examples": [{"x": values}]})) == [{"x": (kind, values)}]
