"""The default input and output functions, for scripts that replace only some.

    Request -> codecs -> arrays -> the user's predict_fn -> prediction -> codecs -> Reply

Framework arrays are known by their `asnumpy`; no framework is imported here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from serving import codecs
from serving.codecs import negotiate
from serving.errors import UserCodeError
from serving.handlers import body, faults
from serving.invocation import UNNAMED, Array, Inputs, Outputs, Reply, Request
from serving.models.signature import Signature

ARRAYS = "arrays, numbers, str, bytes, or lists and dicts of them"


def decode(request: Request, signature: Signature | None, limit: int) -> Array | Inputs:
    """The body as the array that it holds, or as its named arrays.

    Not checked against the signature, which describes the model's inputs: what comes before the model is the script's matter.
    """
    inputs = codecs.decode(request.body, request.content_type, signature, limit)
    # Codecs give views of the body; a script may write into what it gets.
    inputs = {name: array if array.flags.writeable else array.copy() for name, array in inputs.items()}
    return inputs[UNNAMED] if len(inputs) == 1 and UNNAMED in inputs else inputs


def as_toolkit(decoded: Array | Inputs, content_type: str) -> Array | Inputs:
    """The decoded request for a model of no framework of ours: a CSV of one row or one column is flat, as in AWS's toolkit."""
    if isinstance(decoded, dict) or negotiate.parse(content_type)[0] != "text/csv":
        return decoded
    return np.squeeze(decoded)


def to_inputs(data: Any, signature: Signature) -> Inputs | None:
    """The signature's named arrays out of what an `input_fn` returned; None where it is nothing made of arrays."""
    if isinstance(data, dict):
        return {str(name): _array(value) for name, value in data.items()}
    if _is_array(data) or isinstance(data, int | float | np.generic):
        return {UNNAMED: _array(data)}
    if isinstance(data, list | tuple) and data:
        if len(data) == len(signature.inputs) > 1 and all(_is_array(value) for value in data):
            return {tensor.name: _array(value) for tensor, value in zip(signature.inputs, data, strict=True)}
        if len(data) == 1 and _is_array(data[0]) and not isinstance(data[0], np.ndarray):
            return {UNNAMED: _array(data[0])}
        array = _array([_array(value) if hasattr(value, "asnumpy") else value for value in data])
        return {UNNAMED: array} if array.dtype.kind in "biufUS" else None
    return None


def to_outputs(prediction: Any, names: tuple[str, ...] = (), function: str = "predict_fn") -> Outputs:
    """Named arrays out of what a `predict_fn` returned; UserCodeError, with its type, where it is none of these.

    A list of framework arrays is one array per output, by the signature's names where there are as many.
    """
    if isinstance(prediction, dict):
        return {str(name): _numeric(value, function) for name, value in prediction.items()}
    if isinstance(prediction, list | tuple) and prediction and all(hasattr(value, "asnumpy") for value in prediction):
        if len(prediction) == 1:
            return to_outputs(prediction[0], names, function)
        labels = names if len(names) == len(prediction) else tuple(f"output{at}" for at in range(len(prediction)))
        return {label: value.asnumpy() for label, value in zip(labels, prediction, strict=True)}
    name = names[0] if len(names) == 1 else UNNAMED
    return {name: _numeric(prediction, function)}


def encode(prediction: Any, request: Request, names: tuple[str, ...], default_accept: str) -> Reply:
    """The default `output_fn`: arrays by their codec, objects that are no arrays as JSON."""
    if not isinstance(prediction, dict) and _is_arrays(prediction):
        content, content_type = codecs.encode(to_outputs(prediction, names), request.accept, default_accept)
        return Reply(content, content_type)
    _, content_type = negotiate.encoder(request.accept, default_accept)
    if content_type == body.JSON:
        if prediction is None or isinstance(prediction, set | frozenset):
            raise faults.wrong_type("predict_fn", prediction, ARRAYS)
        return Reply(body.to_json(prediction, "predict_fn"), content_type)
    content, content_type = codecs.encode(to_outputs(prediction, names), content_type, default_accept)
    return Reply(content, content_type)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or hasattr(value, "asnumpy")


def _is_arrays(value: Any) -> bool:
    return _is_array(value) or (isinstance(value, list | tuple) and bool(value) and all(hasattr(v, "asnumpy") for v in value))


def _array(value: Any) -> Array:
    try:
        return value.asnumpy() if hasattr(value, "asnumpy") else np.asarray(value)
    except ValueError as error:
        raise UserCodeError(f"rows of different lengths are no array: {error}") from error


def _numeric(value: Any, function: str) -> Array:
    """The value as an array of numbers or text; bytes are an array of bytes, one element each."""
    if isinstance(value, bytes | bytearray | memoryview):
        return np.frombuffer(value, np.uint8)
    if value is None:
        raise faults.wrong_type(function, value, ARRAYS)
    array = _array([value] if isinstance(value, str) else value)
    if array.dtype.kind not in "biufUS":
        raise faults.wrong_type(function, value, ARRAYS)
    return array
