"""PredictionService's messages, written by the stubs as clients write them, and read by them again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.errors import BadRequest, PayloadTooLarge
from serving.tfs import messages
from serving.tfs.messages import Spec

from tensorflow.core.example import example_pb2  # isort: skip - importable through the messages
from tensorflow_serving.apis import classification_pb2, predict_pb2, regression_pb2  # isort: skip

LIMIT = 1 << 20
SPEC = Spec("half", 3, "serving_default")


def predict_request(**spec: Any) -> Any:
    """A PredictRequest of one input x = [1.5, 2.5]."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = spec.get("name", "half")
    if "version" in spec:
        request.model_spec.version.value = spec["version"]
    if "label" in spec:
        request.model_spec.version_label = spec["label"]
    request.inputs["x"].dtype = 1
    request.inputs["x"].tensor_shape.dim.add(size=2)
    request.inputs["x"].float_val.extend([1.5, 2.5])
    return request


def example(**values: float) -> Any:
    """A tf.Example of float features."""
    made = example_pb2.Example()
    for name, value in values.items():
        made.features.feature[name].float_list.value.append(value)
    return made


def test_predict_request() -> None:
    """A PredictRequest is its model, version, signature, inputs and the outputs that it wants."""
    request = predict_request(version=7)
    request.model_spec.signature_name = "total"
    request.output_filter.extend(["y", "z"])
    call = messages.predict_call(request.SerializeToString(), LIMIT)
    assert (call.spec, call.output_filter) == (Spec("half", 7, "total"), ("y", "z"))
    assert list(call.inputs) == ["x"]
    assert call.inputs["x"].tolist() == [1.5, 2.5]


def test_no_version_is_none() -> None:
    """A request without a version asks for the newest, one for version 0 for that."""
    assert messages.predict_call(predict_request().SerializeToString(), LIMIT).spec == Spec("half", None, "")
    assert messages.predict_call(predict_request(version=0).SerializeToString(), LIMIT).spec.version == 0


def test_a_body_in_shared_memory_is_read() -> None:
    """A memoryview is a body as bytes are."""
    body = memoryview(bytearray(predict_request().SerializeToString()))
    assert messages.predict_call(body, LIMIT).inputs["x"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    "read",
    [lambda body: messages.predict_call(body, LIMIT), messages.classify_call, messages.regress_call],
    ids=["p", "c", "r"],
)
@pytest.mark.parametrize("body", [b"\xff\xff", b"no message", b"\x0a\x7f"])
def test_what_is_no_message_is_refused(read: Any, body: bytes) -> None:
    """Bytes that are no message are a 400 that names the message."""
    with pytest.raises(BadRequest, match=r"not a tensorflow\.serving\.\w+Request message"):
        read(body)


def test_labels_are_not_kept() -> None:
    """A version by its label is a 400 that says so."""
    with pytest.raises(BadRequest, match="'stable': labels are not kept"):
        messages.predict_call(predict_request(label="stable").SerializeToString(), LIMIT)


def test_a_model_must_be_named() -> None:
    """A request without a model's name is a 400, as at TF Serving."""
    with pytest.raises(BadRequest, match="names no model"):
        messages.predict_call(predict_request(name="").SerializeToString(), LIMIT)
    with pytest.raises(BadRequest, match="names no model"):
        messages.classify_call(b"")


def test_an_output_is_asked_for_once() -> None:
    """An output that is named twice is a 400."""
    request = predict_request()
    request.output_filter.extend(["y", "y"])
    with pytest.raises(BadRequest, match="twice"):
        messages.predict_call(request.SerializeToString(), LIMIT)


def test_faults_name_their_input() -> None:
    """A tensor that cannot be read is told with its name."""
    request = predict_request()
    request.inputs["broken"].dtype = 1
    request.inputs["broken"].tensor_content = b"123"
    with pytest.raises(BadRequest, match=r"'broken': tensor_content has 3 bytes"):
        messages.predict_call(request.SerializeToString(), LIMIT)


def test_the_limit_is_of_all_inputs() -> None:
    """The inputs of one request share the limit."""
    request = predict_request()
    request.inputs["w"].CopyFrom(request.inputs["x"])
    body = request.SerializeToString()
    assert len(messages.predict_call(body, 16).inputs) == 2
    with pytest.raises(PayloadTooLarge, match="'x'"):
        messages.predict_call(body, 15)


def test_predict_reply() -> None:
    """A PredictResponse says who answered and holds the outputs in their typed fields."""
    reply = messages.predict_reply(SPEC, {"y": np.array([[1.5, 2.5]], "float32"), "text": np.array([b"a"], object)})
    response = predict_pb2.PredictResponse.FromString(reply)
    assert (response.model_spec.name, response.model_spec.version.value) == ("half", 3)
    assert response.model_spec.signature_name == "serving_default"
    assert list(response.outputs["y"].float_val) == [1.5, 2.5]
    assert [dim.size for dim in response.outputs["y"].tensor_shape.dim] == [1, 2]
    assert list(response.outputs["text"].string_val) == [b"a"]


def test_replies_name_the_default_signature() -> None:
    """A call without a signature is answered by `serving_default`."""
    response = predict_pb2.PredictResponse.FromString(messages.predict_reply(Spec("half", 1), {}))
    assert response.model_spec.signature_name == "serving_default"


def test_the_same_outputs_are_the_same_bytes() -> None:
    """The order in which outputs come does not show in a reply."""
    outputs = {f"y{at}": np.full(3, at, "int64") for at in range(20)}
    turned = dict(reversed(outputs.items()))
    assert messages.predict_reply(SPEC, outputs) == messages.predict_reply(SPEC, turned)


def test_a_client_reads_what_it_was_sent() -> None:
    """The client's side writes requests that the server's reads, and reads the replies that it writes."""
    inputs = {"x": np.arange(6, dtype="int32").reshape(2, 3), "text": np.array([b"a", b""], object)}
    call = messages.predict_call(messages.predict_request(SPEC, inputs, ["y"]), LIMIT)
    assert (call.spec, call.output_filter) == (SPEC, ("y",))
    assert {name: array.tolist() for name, array in call.inputs.items()} == {n: a.tolist() for n, a in inputs.items()}
    outputs = messages.predict_outputs(messages.predict_reply(SPEC, inputs), LIMIT)
    assert {name: array.tolist() for name, array in outputs.items()} == {n: a.tolist() for n, a in inputs.items()}
    assert outputs["x"].dtype == np.int32


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        (classification_pb2.ClassificationRequest, messages.classify_call),
        (regression_pb2.RegressionRequest, messages.regress_call),
    ],
    ids=["classify", "regress"],
)
class TestExamples:
    """Classify and regress requests."""

    def test_examples_are_serialized(self, kind: Any, read: Any) -> None:
        """The only input holds the serialized Example of each row."""
        request = kind()
        request.model_spec.name = "half"
        request.model_spec.signature_name = "regress_x_to_y"
        request.input.example_list.examples.extend([example(x=1), example(x=2)])
        call = read(request.SerializeToString())
        assert call.spec == Spec("half", None, "regress_x_to_y")
        assert [example_pb2.Example.FromString(one) for one in call.inputs["inputs"]] == [example(x=1), example(x=2)]

    def test_context_is_merged(self, kind: Any, read: Any) -> None:
        """Features of the context belong to every Example; one that has its own keeps it."""
        request = kind()
        request.model_spec.name = "half"
        request.input.example_list_with_context.examples.extend([example(x=1), example(x=2, shared=8)])
        request.input.example_list_with_context.context.CopyFrom(example(shared=9))
        call = read(request.SerializeToString())
        merged = [example_pb2.Example.FromString(one) for one in call.inputs["inputs"]]
        assert merged == [example(x=1, shared=9), example(x=2, shared=8)]

    def test_no_examples_are_refused(self, kind: Any, read: Any) -> None:
        """A request without Examples is a 400, whichever way it has none."""
        request = kind()
        request.model_spec.name = "half"
        with pytest.raises(BadRequest, match="no examples"):
            read(request.SerializeToString())
        request.input.example_list_with_context.context.CopyFrom(example(x=1))
        with pytest.raises(BadRequest, match="no examples"):
            read(request.SerializeToString())

    def test_a_broken_example_is_refused(self, kind: Any, read: Any) -> None:
        """An Example that does not parse is a 400."""
        request = kind()
        request.model_spec.name = "half"
        body = request.SerializeToString() + b"\x12\x05\x0a\x03\x0a\x01\xff"  # input { example_list { examples: 0xff } }
        with pytest.raises(BadRequest, match="Request message"):
            read(body)


def test_classify_reply() -> None:
    """A ClassificationResponse has each Example's labels and scores in their order."""
    reply = messages.classify_reply(SPEC, [[("a", 0.25), ("b", 0.75)], []])
    response = classification_pb2.ClassificationResponse.FromString(reply)
    found = [[(one.label, one.score) for one in row.classes] for row in response.result.classifications]
    assert found == [[("a", 0.25), ("b", 0.75)], []]
    assert (response.model_spec.name, response.model_spec.version.value) == ("half", 3)


def test_regress_reply() -> None:
    """A RegressionResponse has each Example's value."""
    response = regression_pb2.RegressionResponse.FromString(messages.regress_reply(SPEC, [1.5, 2.5]))
    assert [one.value for one in response.result.regressions] == [1.5, 2.5]
    assert response.model_spec.version.value == 3


def test_content_types_name_their_message() -> None:
    """The content type of a message says which it is; others are none."""
    assert messages.message_of("application/x-tfs; message=GetModelStatus") == "GetModelStatus"
    assert messages.message_of("application/json") == ""


def test_addressed() -> None:
    """A recorded request is asked of another model and version, by its own signature."""
    recorded = predict_request(label="old")
    recorded.model_spec.signature_name = "total"
    sent = predict_pb2.PredictRequest.FromString(messages.addressed("Predict", recorded.SerializeToString(), Spec("new", 4)))
    assert (sent.model_spec.name, sent.model_spec.version.value, sent.model_spec.signature_name) == ("new", 4, "total")
    assert list(sent.inputs["x"].float_val) == [1.5, 2.5]
    with pytest.raises(BadRequest, match="RegressionRequest"):
        messages.addressed("Regress", b"\xff", Spec("new"))
