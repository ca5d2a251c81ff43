"""TensorFlow Serving's REST classify and regress: `examples` -> tf.Example messages, and the answers in `results`.

    text -> json_text.load -> Example of every object -> serialized, behind the context's bytes      the signature's only input
    outputs -> classifications, regressions -> {"results": [...]}

A feature is a value or a list of one kind: numbers with a point or an exponent are floats, whole numbers and booleans int64,
strings and {"b64": "..."} bytes (MakeExampleFromJsonObject in util/json_tensor.cc). A `context` holds features that all examples
share; where both have one, the example's counts, since in a protobuf message the later field wins.

What signatures and outputs must look like: servables/tensorflow/classifier.cc and regressor.cc. As there, the names of the
inputs and outputs decide, and not the method name that the signature states.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.backends import tensorflow_import
from serving.errors import BadRequest
from serving.invocation import Array, Outputs
from serving.tfs import answers, json_text, values

if TYPE_CHECKING:
    from serving.backends.tensorflow import SignatureDef

INPUTS, OUTPUTS, CLASSES, SCORES = "inputs", "outputs", "classes", "scores"

_INT64 = (-(1 << 63), (1 << 63) - 1)


def parse(text: bytes | memoryview) -> tuple[str, list[bytes]]:
    """Read a body: the signature that it names ("" where none), and a serialized tf.Example for each of its examples."""
    document = json_text.load(text)
    if not isinstance(document, dict):
        raise BadRequest(f"JSON Value: {json_text.excerpt(document)} is not an object with 'examples'")
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise BadRequest(f"'signature_name' is {json_text.excerpt(name)}: expected a string")
    if "examples" not in document:
        raise BadRequest(f"no 'examples' among the keys {json_text.excerpt(list(document))}")
    examples = document["examples"]
    if not isinstance(examples, list) or not examples:
        raise BadRequest(f"'examples' is {json_text.excerpt(examples)}: expected a list of one example at least")
    context = _example(document["context"], "'context'") if "context" in document else b""
    return name, [context + _example(value, f"example {at}") for at, value in enumerate(examples)]


def signature_for(method: str, signature: SignatureDef) -> SignatureDef:
    """The signature, if classify or regress can be asked of it; BadRequest says what it lacks."""
    inputs = [info.name for info in signature.inputs]
    outputs = [info.name for info in signature.outputs]
    if method == "classify":
        fits, expected = 0 < len(outputs) <= 2 and bool({CLASSES, SCORES} & set(outputs)), "'classes' or 'scores' or both"
    else:
        fits, expected = outputs == [OUTPUTS], "'outputs' alone"
    if inputs != [INPUTS] or not fits:
        raise BadRequest(
            f"{method} needs a signature with the input 'inputs' alone and the output {expected}; "
            f"{signature.name[:60]!r} has {inputs} and {outputs}"[:240]
        )
    return signature


def classifications(outputs: Outputs, count: int | None = None) -> list[list[tuple[str, float]]]:
    """Label and score of every class for each example, one of them empty where the model has no such output.

    BadRequest where an output has not the shape (examples, classes); `count` is the number of examples, where known.
    """
    labels, scores = _class_outputs(outputs, count)
    shape = (labels if labels is not None else scores).shape  # type: ignore[union-attr]
    names = [[b""] * shape[1]] * shape[0] if labels is None else labels.tolist()
    texts = [[name.decode("utf-8", "replace") for name in row] for row in names]
    numbers = [[0.0] * shape[1]] * shape[0] if scores is None else scores.tolist()
    return [list(zip(*pair, strict=True)) for pair in zip(texts, numbers, strict=True)]


def regressions(outputs: Outputs, count: int | None = None) -> list[float]:
    """The value of each example; BadRequest where the output has not the shape (examples) or (examples, 1)."""
    return [float(value) for value in _regressed(outputs, count).tolist()]


def classify_answer(outputs: Outputs, count: int | None = None) -> bytes:
    """Write `{"results": [[[label, score], ...], ...]}`, a list of classes for each example."""
    labels, scores = _class_outputs(outputs, count)
    shape = (labels if labels is not None else scores).shape  # type: ignore[union-attr]
    names = [b'""'] * (shape[0] * shape[1]) if labels is None else [answers.string(text, 4) for text in labels.ravel().tolist()]
    numbers = [b"0.0"] * len(names) if scores is None else answers.cells(scores.ravel(), SCORES, 4)
    pairs = [b"[%b, %b]" % pair for pair in zip(names, numbers, strict=True)]
    lists = [b"[" + b", ".join(pairs[at * shape[1] : (at + 1) * shape[1]]) + b"]" for at in range(shape[0])]
    return b'{\n    "results": [%b\n    ]\n}' % b", ".join(lists)


def regress_answer(outputs: Outputs, count: int | None = None) -> bytes:
    """Write `{"results": [value, ...]}`."""
    return b'{\n    "results": %b\n}' % answers.line(_regressed(outputs, count), OUTPUTS, 1)


def _class_outputs(outputs: Outputs, count: int | None) -> tuple[Array | None, Array | None]:
    labels, scores = outputs.get(CLASSES), outputs.get(SCORES)
    found = {name: array for name, array in ((CLASSES, labels), (SCORES, scores)) if array is not None}
    for name, array in found.items():
        if array.ndim != 2 or count not in (None, len(array)):
            raise BadRequest(f"the model's {name} have the shape {array.shape}: expected (examples, classes), {count} examples")
    if not found or len({array.shape for array in found.values()}) > 1:
        raise BadRequest(f"the model's classes and scores do not match: {[array.shape for array in found.values()]}")
    if labels is not None and labels.dtype.kind != "O":
        raise BadRequest(f"the model's classes are of type {values.type_name(labels.dtype)}: expected string")
    if scores is not None and scores.dtype != np.float32:
        raise BadRequest(f"the model's scores are of type {values.type_name(scores.dtype)}: expected float")
    return labels, scores


def _regressed(outputs: Outputs, count: int | None) -> Array:
    array = outputs.get(OUTPUTS)
    if array is None:
        raise BadRequest(f"the model has no output 'outputs', but {sorted(outputs)}"[:240])
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)) or count not in (None, len(array)):
        raise BadRequest(f"the model's outputs have the shape {array.shape}: expected (examples) or (examples, 1)")
    if array.dtype != np.float32:
        raise BadRequest(f"the model's outputs are of type {values.type_name(array.dtype)}: expected float")
    return array.ravel()


# ---- tf.Example


@cache
def _messages() -> Any:
    tensorflow_import.protos()
    from tensorflow.core.example import example_pb2

    return example_pb2


def _example(value: Any, what: str) -> bytes:
    """A serialized tf.Example of an object's features."""
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is {json_text.excerpt(value)}: expected an object of features")
    example = _messages().Example()
    for name, content in value.items():
        try:
            _fill(example.features.feature[name], content if isinstance(content, list) else [content])
        except (BadRequest, UnicodeEncodeError) as fault:
            why = fault.message if isinstance(fault, BadRequest) else "its name is no Unicode"
            raise BadRequest(f"Failed to process {what}, feature {json_text.excerpt(name)}: {why}") from None
    return bytes(example.SerializeToString(deterministic=True))


def _fill(feature: Any, items: list[Any]) -> None:
    """Put values of one kind into a feature; none at all leave it without a kind."""
    kinds = set(map(type, items))
    if kinds == {float}:
        feature.float_list.value.extend(values.narrowed(np.array(items), np.dtype(np.float32)).tolist())
    elif kinds and kinds <= {int, bool}:
        low, high = _INT64
        if (wrong := next((item for item in items if not low <= item <= high), None)) is not None:
            raise BadRequest(f"{wrong} does not fit into int64")
        feature.int64_list.value.extend(map(int, items))
    elif kinds and kinds <= {str, dict}:
        for item in items:
            if (text := values.unpacked(item)) is None:
                raise BadRequest(f'JSON Value: {json_text.excerpt(item)} is no string: expected text or {{"b64": "..."}}')
            feature.bytes_list.value.append(text)
    elif kinds:
        found = " and ".join(sorted({json_text.kind(item) for item in items}))
        raise BadRequest(f"it holds {found}: expected strings, numbers with a point or numbers without one, not mixed")
