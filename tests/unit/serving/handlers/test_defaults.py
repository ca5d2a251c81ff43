"""The default input and output functions around a user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pytest

from serving.errors import NotAcceptable, UserCodeError
from serving.handlers import defaults
from serving.invocation import Request
from serving.models.signature import Signature, Tensor

ONE = Signature((Tensor("data", (None, 2), np.dtype("float32")),))
TWO = Signature((Tensor("a", None, np.dtype("float32")), Tensor("b", None, np.dtype("float32"))))


class Framework:
    """An array of some framework: it knows `asnumpy` and nothing else."""

    def __init__(self, *values: float) -> None:
        self._values = values

    def asnumpy(self) -> Any:
        """The values as numpy."""
        return np.array(self._values)


def answered(prediction: Any, accept: str = "application/json") -> tuple[bytes, str]:
    """The body and type of the default answer."""
    reply = defaults.encode(prediction, Request(b"", accept=accept), ("out",), "application/json")
    assert isinstance(reply.body, bytes)
    return reply.body, reply.content_type


def test_decode_unnamed_and_named() -> None:
    """An unnamed tensor is its array, named ones a dict, both open to writing."""
    array = defaults.decode(Request(b"[[1,2]]", "application/json"), None, 1 << 20)
    assert isinstance(array, np.ndarray)
    array += 1
    assert array.tolist() == [[2, 3]]
    named = defaults.decode(Request(b'{"a": [1], "b": [2]}', "application/json"), None, 1 << 20)
    assert isinstance(named, dict)
    assert sorted(named) == ["a", "b"]


def test_decode_does_not_hold_a_script_to_the_models_shape() -> None:
    """What comes before the model is the script's matter: rows of another size pass."""
    array = defaults.decode(Request(b"[[1,2,3]]", "application/json"), ONE, 1 << 20)
    assert isinstance(array, np.ndarray)
    assert array.shape == (1, 3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (np.zeros((1, 2)), {"": [[0, 0]]}),
        (Framework(1, 2), {"": [1, 2]}),
        ([[1, 2]], {"": [[1, 2]]}),
        ([Framework(1, 2)], {"": [1, 2]}),
        ({"data": [[1, 2]]}, {"data": [[1, 2]]}),
        (5, {"": 5}),
    ],
)
def test_to_inputs(data: Any, expected: dict[str, Any]) -> None:
    """Arrays of any kind, lists and dicts of them become named arrays."""
    inputs = defaults.to_inputs(data, ONE)
    assert inputs is not None
    assert {name: array.tolist() for name, array in inputs.items()} == expected


def test_to_inputs_of_several_inputs() -> None:
    """A list of one array for each input takes the signature's names."""
    inputs = defaults.to_inputs([np.array([1]), Framework(2)], TWO)
    assert inputs is not None
    assert {name: array.tolist() for name, array in inputs.items()} == {"a": [1], "b": [2]}


@pytest.mark.parametrize("data", [object(), None, [object()], "text"])
def test_to_inputs_of_other_things(data: Any) -> None:
    """What is made of no arrays is None: the framework may know what to do with it."""
    assert defaults.to_inputs(data, ONE) is None


def test_ragged_rows() -> None:
    """Rows of different lengths out of an input_fn are the script's fault, in words."""
    with pytest.raises(UserCodeError, match="different lengths"):
        defaults.to_inputs([[1, 2], [3]], ONE)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (np.array([1.5]), {"out": [1.5]}),
        (Framework(1, 2), {"out": [1, 2]}),
        ([Framework(1)], {"out": [1]}),
        ([Framework(1), Framework(2)], {"output0": [1], "output1": [2]}),
        ([1, 2], {"out": [1, 2]}),
        (3.5, {"out": 3.5}),
        ("text", {"out": ["text"]}),
        (b"\x01\x02", {"out": [1, 2]}),
        ({"x": [1], "y": Framework(2)}, {"x": [1], "y": [2]}),
    ],
)
def test_to_outputs(prediction: Any, expected: dict[str, Any]) -> None:
    """Framework arrays, numpy, lists, scalars, text and bytes become named arrays."""
    outputs = defaults.to_outputs(prediction, ("out",))
    assert {name: array.tolist() for name, array in outputs.items()} == expected


def test_to_outputs_takes_the_signatures_names() -> None:
    """As many framework arrays as the model has outputs take their names."""
    assert list(defaults.to_outputs([Framework(1), Framework(2)], ("p", "q"))) == ["p", "q"]


@pytest.mark.parametrize("prediction", [None, object(), {"a": object()}, [object()]])
def test_to_outputs_of_other_things(prediction: Any) -> None:
    """A prediction that is no array at all is named by its type."""
    with pytest.raises(UserCodeError, match="predict_fn returned"):
        defaults.to_outputs(prediction)


@pytest.mark.parametrize(
    ("prediction", "document"),
    [
        (np.array([[1.5, 2]]), [[1.5, 2.0]]),
        (Framework(1, 2), [1, 2]),
        ({"label": "cat", "scores": np.array([0.5])}, {"label": "cat", "scores": [0.5]}),
        ([1, "a", None, {"b": Framework(2)}], [1, "a", None, {"b": [2]}]),
        ([np.array([1]), np.array([2, 3])], [[1], [2, 3]]),
        ("text", "text"),
        (7, 7),
        (np.float16(0.5), 0.5),
    ],
)
def test_encode_as_json(prediction: Any, document: Any) -> None:
    """Arrays and plain objects go out as the JSON that Python has for them."""
    content, content_type = answered(prediction)
    assert (orjson.loads(content), content_type) == (document, "application/json")


def test_encode_as_csv_and_npy() -> None:
    """Lists and arrays go out in other types too."""
    assert answered([[1, 2], [3, 4]], "text/csv") == (answered(np.array([[1, 2], [3, 4]]), "text/csv")[0], "text/csv")
    assert answered(np.zeros(2), "application/x-npy")[0].startswith(b"\x93NUMPY")


def test_encode_refuses() -> None:
    """An unknown Accept is a 406, None and objects without JSON are the script's fault."""
    with pytest.raises(NotAcceptable):
        answered(np.zeros(2), "image/png")
    for prediction in (None, {1, 2}, {"a": object()}, b"\xff"):
        with pytest.raises(UserCodeError):
            answered(prediction)


def test_as_toolkit() -> None:
    """Only CSV of one row or column is flattened."""
    assert defaults.as_toolkit(np.zeros((1, 3)), "text/csv").shape == (3,)  # type: ignore[union-attr]
    assert defaults.as_toolkit(np.zeros((1, 3)), "application/json").shape == (1, 3)  # type: ignore[union-attr]
