"""What TF Serving tells of its models: GetModelMetadata and GetModelStatus, as messages and as its REST API's JSON.

    GetModelMetadataRequest -> Spec;  MetaGraphDef -> its signatures                  PredictionService, .../metadata
    GetModelStatusRequest   -> Spec;  {version: why it is not there} -> its states    ModelService, GET /v1/models/NAME

[tensorflow/serving servables/tensorflow/get_model_metadata_impl.cc, model_servers/get_model_status_impl.cc, http_rest_api_util.cc]
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format

from serving.errors import BadRequest
from serving.tfs import messages
from serving.tfs.messages import Spec

from tensorflow.core.protobuf import error_codes_pb2, meta_graph_pb2  # isort: skip - importable through the messages
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2  # isort: skip

SIGNATURES = "signature_def"
"""The only field of metadata that there is."""


def metadata_call(body: bytes | memoryview) -> Spec:
    """Whom a GetModelMetadataRequest asks; BadRequest where it is none, or asks for something else than the signatures."""
    request = messages.parse(get_model_metadata_pb2.GetModelMetadataRequest, body)
    asked = messages.spec(request)
    others = [field for field in request.metadata_field if field != SIGNATURES]
    if others or not request.metadata_field:
        named = f"{others[0][:60]!r}" if others else "none"
        raise BadRequest(f"the metadata_field of models here is {SIGNATURES!r}; the request names {named}")
    return asked


def metadata_reply(answering: Spec, meta_graph: bytes) -> bytes:
    """A GetModelMetadataResponse with the signatures of a serialized MetaGraphDef."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    messages.put_spec(response, answering)
    response.metadata[SIGNATURES].Pack(_signatures(meta_graph), deterministic=True)
    return bytes(response.SerializeToString(deterministic=True))


def metadata_json(answering: Spec, meta_graph: bytes) -> bytes:
    """The same as the REST API prints it."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    messages.put_spec(response, answering)
    told = _json(response.model_spec), _json(_signatures(meta_graph), (SIGNATURES, "inputs", "outputs"))
    return '{{\n"model_spec":{},\n"metadata": {{"signature_def": {}}}\n}}\n'.format(*told).encode()


def status_call(body: bytes | memoryview) -> Spec:
    """Whom a GetModelStatusRequest asks; BadRequest where it is none."""
    return messages.spec(messages.parse(get_model_status_pb2.GetModelStatusRequest, body))


def status_reply(versions: Mapping[int, str]) -> bytes:
    """A GetModelStatusResponse, newest version first; a version is available where nothing is said against it."""
    return bytes(_status(versions).SerializeToString())


def status_json(versions: Mapping[int, str]) -> bytes:
    """The same as the REST API prints it."""
    return _json(_status(versions)).encode()


# ---- the client's side


def metadata_request(asking: Spec) -> bytes:
    """A GetModelMetadataRequest for signatures."""
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[SIGNATURES])
    messages.put_spec(request, asking)
    return bytes(request.SerializeToString())


def metadata_meta_graph(body: bytes) -> bytes:
    """A serialized MetaGraphDef with the signatures of a GetModelMetadataResponse; BadRequest where it is none."""
    response = messages.parse(get_model_metadata_pb2.GetModelMetadataResponse, body)
    told = messages.parse(get_model_metadata_pb2.SignatureDefMap, response.metadata[SIGNATURES].value)
    meta_graph = meta_graph_pb2.MetaGraphDef()
    for name, definition in told.signature_def.items():
        meta_graph.signature_def[name].CopyFrom(definition)
    return bytes(meta_graph.SerializeToString(deterministic=True))


def signature_defs(meta_graph: bytes) -> Mapping[str, Any]:
    """The signatures of a serialized MetaGraphDef by name, as messages."""
    found: Mapping[str, Any] = meta_graph_pb2.MetaGraphDef.FromString(meta_graph).signature_def
    return found


def status_request(asking: Spec) -> bytes:
    """A GetModelStatusRequest."""
    request = get_model_status_pb2.GetModelStatusRequest()
    messages.put_spec(request, asking)
    return bytes(request.SerializeToString())


def status_versions(body: bytes) -> dict[int, str]:
    """Version -> why it is not available, "" where it is, of a GetModelStatusResponse; BadRequest where it is none."""
    response = messages.parse(get_model_status_pb2.GetModelStatusResponse, body)
    return {state.version: _against(state) for state in sorted(response.model_version_status, key=lambda state: state.version)}


def _status(versions: Mapping[int, str]) -> Any:
    response = get_model_status_pb2.GetModelStatusResponse()
    states = get_model_status_pb2.ModelVersionStatus
    for version in sorted(versions, reverse=True):
        why = versions[version]
        one = response.model_version_status.add(version=version, state=states.END if why else states.AVAILABLE)
        one.status.error_code = error_codes_pb2.UNKNOWN if why else error_codes_pb2.OK
        one.status.error_message = why
    return response


def _against(state: Any) -> str:
    """What speaks against a version: nothing where it is available."""
    name: str = state.State.Name(state.state)
    return "" if name == "AVAILABLE" else state.status.error_message or f"it is {name}"


def _signatures(meta_graph: bytes) -> Any:
    """All signatures, those of the loader's own (`__saved_model_init_op`) among them, as TF Serving tells them."""
    found = get_model_metadata_pb2.SignatureDefMap()
    for name, signature in signature_defs(meta_graph).items():
        found.signature_def[name].CopyFrom(signature)
    return found


def _json(message: Any, maps: Sequence[str] = ()) -> str:
    """A message as TF Serving prints it: one space of indentation, every field, by the names in its definition.

    The entries of fields named in `maps` come in the order of their keys.
    """
    document = json_format.MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return json.dumps(_sorted(document, maps), indent=1, ensure_ascii=False) + "\n"


def _sorted(document: Any, maps: Sequence[str]) -> Any:
    if not isinstance(document, dict):
        return document
    found = {key: _sorted(value, maps) for key, value in document.items()}
    return {key: dict(sorted(value.items())) if key in maps else value for key, value in found.items()}
