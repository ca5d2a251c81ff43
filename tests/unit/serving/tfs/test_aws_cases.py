"""What AWS's tests of their TensorFlow container send and expect, through the functions alone.

One case for each of its tests (aws/sagemaker-tensorflow-serving-container, test/integration/local/test_container.py) and those of
test_pre_post_processing.py whose bodies need no script; its model is half of x plus three.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from serving.backends.tensorflow import SignatureDef
from serving.backends.tensorflow_import import protos
from serving.errors import BadRequest
from serving.tfs import answers, attributes, document, examples, tensors
from tests.unit.serving.tfs.signatures import half_plus_three, info, signature

JSON = "application/json"
REGRESS = SignatureDef("tensorflow/serving/regress", "", (info("inputs", object),), (info("outputs"),))


def predicted(body: str, content_type: str = JSON) -> bytes:
    """The answer's bytes, or the error's."""
    assert attributes.target("tfs-model-name=half_plus_three,tfs-method=predict").method == "predict"
    try:
        parsed = tensors.predict(document.rewrite(body.encode(), content_type), lambda name: signature("float32"))
    except BadRequest as fault:
        return answers.error(fault.message)
    return (answers.row if parsed.is_row else answers.column)(half_plus_three(parsed.inputs))


WIDE = ("0.0,1.0," * 5 + "1.0,0.0," * 5 + "0.0,1.0," * 4 + "0.0,0.0\n") + "1.0,2.0," * 14 + "6.0,0.0\n"


@pytest.mark.parametrize(
    ("body", "content_type", "predictions"),
    [
        ('{"instances": [1.0, 2.0, 5.0]}', JSON, [3.5, 4.0, 5.5]),
        ('{"instances": [1.0, 2.0, 5.0]}', "", [3.5, 4.0, 5.5]),
        ('{"instances": [[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]}', JSON, [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ("[1.0, 2.0, 5.0]\n[1.0, 2.0, 5.0]", JSON, [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ("[1.0, 2.0, 5.0]\n[1.0, 2.0, 5.0]", "application/jsonlines", [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ("[1.0, 2.0, 5.0]\n[1.0, 2.0, 5.0]", "application/jsons", [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ('{"x": [1.0, 2.0, 5.0]}\n{"x": [1.0, 2.0, 5.0]}', JSON, [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ("[1.0, 2.0, 5.0]", JSON, [[3.5, 4.0, 5.5]]),
        ("[[1.0, 2.0, 5.0], [1.0, 2.0, 5.0]]", JSON, [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ("1.0", "text/csv", [3.5]),
        ("0.0", "text/csv", [3.0]),
        ("0.0,2.0,5.0", "text/csv", [[3.0, 4.0, 5.5]]),
        ("1.0,2.0,5.0", "text/csv", [[3.5, 4.0, 5.5]]),
        ("1.0,2.0,5.0\n1.0,2.0,5.0", "text/csv", [[3.5, 4.0, 5.5], [3.5, 4.0, 5.5]]),
        ("1.0\n2.0\n5.0", "text/csv", [3.5, 4.0, 5.5]),
    ],
)
def test_predictions(body: str, content_type: str, predictions: Any) -> None:
    """Bodies of every form and type give the model's values."""
    assert json.loads(predicted(body, content_type)) == {"predictions": predictions}


def test_wide_csv() -> None:
    """Thirty columns in CSV are one row of thirty values each."""
    predictions = json.loads(predicted(WIDE, "text/csv"))["predictions"]
    assert [len(row) for row in predictions] == [30, 30]
    assert [sum(row) for row in predictions] == [97, 90 + 0.5 * (14 * 3 + 6)]


def test_large_csv() -> None:
    """A CSV body of hundreds of thousands of lines is as many instances."""
    body = "\n".join(["1.0"] * 200_000)
    assert len(json.loads(predicted(body, "text/csv"))["predictions"]) == 200_000


@pytest.mark.parametrize(("attributes_sent", "version"), [("tfs-model-version=123", 123), ("tfs-model-version=124", 124)])
def test_versions(attributes_sent: str, version: int) -> None:
    """A version is asked for by its number."""
    found = attributes.target(f"tfs-model-name=half_plus_three,tfs-method=predict,{attributes_sent}")
    assert (found.model, found.version) == ("half_plus_three", version)


def test_error_text_of_a_string_among_floats() -> None:
    """A string that looks like JSON Lines is told as TensorFlow Serving tells it."""
    assert json.loads(predicted(json.dumps({"instances": ["]["]})))["error"] == (
        "Failed to process element: 0 of 'instances' list. Error: Invalid argument:"
        ' JSON Value: "][" Type: String is not of expected type: float'
    )


def test_error_text_of_an_unknown_key() -> None:
    """A key that is no input is named, with its element."""
    found = json.loads(predicted(json.dumps({"junk": "data"})))["error"]
    assert found.startswith("Failed to process element: 0 key: junk of 'instances' list.")


@pytest.mark.parametrize(("body", "words"), [("whatever", "JSON Parse error"), ("", "document is empty")])
def test_bad_input(body: str, words: str) -> None:
    """What is no JSON is an error."""
    assert words in json.loads(predicted(body))["error"]


def test_bytes_of_json_lines() -> None:
    """The answer without its newlines is, byte for byte, what the tests compare."""
    assert predicted('{"instances": [1.0, 2.0, 5.0]}').replace(b"\n", b"") == b'{    "predictions": [3.5, 4.0, 5.5    ]}'


@pytest.mark.parametrize(("sent", "results"), [([{"x": 1.0}, {"x": 2.0}], [3.5, 4.0]), ([{"x": 1.0}], [3.5])])
def test_regress(sent: Any, results: Any) -> None:
    """Examples go through the regress signature; the key of the answer is `results`."""
    assert attributes.target("tfs-model-name=half_plus_three,tfs-method=regress").method == "regress"
    body = json.dumps({"signature_name": "tensorflow/serving/regress", "examples": sent}).encode()
    name, serialized = examples.parse(document.rewrite(body, JSON))
    assert examples.signature_for("regress", REGRESS).name == name
    protos()
    from tensorflow.core.example import example_pb2

    x = [example_pb2.Example.FromString(one).features.feature["x"].float_list.value[:] for one in serialized]
    found = half_plus_three({"x": np.array(x, np.float32)})["y"]
    assert json.loads(examples.regress_answer({"outputs": found}, len(sent))) == {"results": results}
