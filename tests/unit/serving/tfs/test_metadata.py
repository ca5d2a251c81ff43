"""GetModelMetadata and GetModelStatus, as messages and as the REST API's JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from serving.errors import BadRequest
from serving.tfs import metadata
from serving.tfs.messages import Spec

from tensorflow.core.protobuf import meta_graph_pb2  # isort: skip - importable through the messages
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2  # isort: skip


@pytest.fixture
def meta_graph() -> bytes:
    """A MetaGraphDef with one signature x (any, 2) -> y, and the loader's own."""
    made = meta_graph_pb2.MetaGraphDef()
    made.meta_info_def.tags.append("serve")
    signature = made.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    signature.inputs["x"].name = "x:0"
    signature.inputs["x"].dtype = 1
    for size in (-1, 2):
        signature.inputs["x"].tensor_shape.dim.add(size=size)
    signature.outputs["y"].name = "y:0"
    made.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "NoOp"
    return bytes(made.SerializeToString())


def metadata_request(*fields: str, name: str = "half") -> bytes:
    """A GetModelMetadataRequest."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    return bytes(request.SerializeToString())


def signatures(reply: bytes) -> Any:
    """The signatures of a GetModelMetadataResponse."""
    response = get_model_metadata_pb2.GetModelMetadataResponse.FromString(reply)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(found)
    return found.signature_def


def test_metadata_request() -> None:
    """A request for signatures is whom it asks."""
    assert metadata.metadata_call(metadata_request("signature_def")) == Spec("half")


@pytest.mark.parametrize(("fields", "words"), [((), "names none"), (("signature_def", "weights"), "names 'weights'")])
def test_other_metadata_is_refused(fields: tuple[str, ...], words: str) -> None:
    """No field, or one that there is not, is a 400 that names it."""
    with pytest.raises(BadRequest, match=words):
        metadata.metadata_call(metadata_request(*fields))


def test_a_model_must_be_named() -> None:
    """A question about no model is a 400."""
    for call, body in ((metadata.metadata_call, metadata_request("signature_def", name="")), (metadata.status_call, b"")):
        with pytest.raises(BadRequest, match="names no model"):
            call(body)


def test_what_is_no_message_is_refused() -> None:
    """Bytes that are no message are a 400."""
    for call in (metadata.metadata_call, metadata.status_call):
        with pytest.raises(BadRequest, match="is not a tensorflow"):
            call(b"\xff")


def test_metadata_reply(meta_graph: bytes) -> None:
    """The reply has the version that answers and all signatures as they were saved."""
    reply = metadata.metadata_reply(Spec("half", 123), meta_graph)
    response = get_model_metadata_pb2.GetModelMetadataResponse.FromString(reply)
    assert (response.model_spec.name, response.model_spec.version.value) == ("half", 123)
    assert sorted(signatures(reply)) == ["__saved_model_init_op", "serving_default"]
    assert (
        signatures(reply)["serving_default"]
        == meta_graph_pb2.MetaGraphDef.FromString(meta_graph).signature_def["serving_default"]
    )
    assert reply == metadata.metadata_reply(Spec("half", 123), meta_graph)


def test_metadata_json(meta_graph: bytes) -> None:
    """TF Serving's JSON: its envelope, proto's names, numbers of 64 bits as strings, and every field."""
    text = metadata.metadata_json(Spec("half", 123), meta_graph).decode()
    document = json.loads(text)
    assert text.startswith(
        '{\n"model_spec":{\n "name": "half",\n "version": "123",\n "signature_name": ""\n}\n,\n"metadata": {"signature_def": {\n'
    )
    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "name": "x:0",
        "tensor_shape": {"dim": [{"name": "", "size": "-1"}, {"name": "", "size": "2"}], "unknown_rank": False},
    }
    assert signature["outputs"]["y"]["dtype"] == "DT_INVALID"
    assert list(document["metadata"]["signature_def"]["signature_def"]) == ["__saved_model_init_op", "serving_default"]


def test_status_request() -> None:
    """A request for a status is whom it asks, with the version where it names one."""
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "half"
    assert metadata.status_call(request.SerializeToString()) == Spec("half")
    request.model_spec.version.value = 5
    assert metadata.status_call(request.SerializeToString()) == Spec("half", 5)


def test_status_reply() -> None:
    """Versions come newest first: available, or ended with what is said against them."""
    response = get_model_status_pb2.GetModelStatusResponse.FromString(metadata.status_reply({1: "", 12: "", 3: "no variables"}))
    found = [(one.version, one.State.Name(one.state), one.status.error_message) for one in response.model_version_status]
    assert found == [(12, "AVAILABLE", ""), (3, "END", "no variables"), (1, "AVAILABLE", "")]
    assert [one.status.error_code for one in response.model_version_status] == [0, 2, 0]


def test_status_json() -> None:
    """A status as TF Serving prints it, to the byte."""
    expected = """{
 "model_version_status": [
  {
   "version": "123",
   "state": "AVAILABLE",
   "status": {
    "error_code": "OK",
    "error_message": ""
   }
  }
 ]
}
"""
    assert metadata.status_json({123: ""}).decode() == expected
