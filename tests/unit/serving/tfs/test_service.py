"""TensorFlow models on the request line: forms, targets, Accept, errors, and requests that share a pass."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from serving import codecs
from serving.errors import NotAcceptable, UnsupportedMediaType
from serving.invocation import Reply, Request, invoke
from serving.models import warmup
from serving.tfs import service as services
from serving.tfs.calls import Call
from serving.tfs.service import CUSTOM_ATTRIBUTES, TfsService
from tests.unit.serving.tfs.conftest import loaded

PREDICT = b'{"instances": [1.0, 2.0, 5.0]}'


def request(body: bytes | str, attributes: str = "", content_type: str = "application/json", accept: str = "") -> Request:
    """A request with these custom attributes."""
    headers = [(CUSTOM_ATTRIBUTES, attributes)] if attributes else []
    return Request(body.encode() if isinstance(body, str) else body, content_type, accept, headers, "id-1")


def answer(service: TfsService, *args: Any, **kwargs: Any) -> Reply:
    """The reply to one request."""
    return invoke(service, [request(*args, **kwargs)])[0]


def text(reply: Reply) -> str:
    """A reply's body."""
    assert isinstance(reply.body, bytes)
    return reply.body.decode()


def test_row_form(service: TfsService) -> None:
    """`instances` are answered by `predictions`, laid out as TF Serving does."""
    reply = answer(service, PREDICT)
    assert (reply.status, reply.content_type) == (200, "application/json")
    assert text(reply) == '{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'


def test_column_form(service: TfsService) -> None:
    """`inputs` are answered by `outputs`."""
    reply = answer(service, '{"inputs": {"a": [[1, 2]], "b": [[3, 4]]}}', "tfs-model-name=pair")
    assert json.loads(text(reply)) == {"outputs": {"sum": [[4.0, 6.0]], "product": [[3.0, 8.0]]}}


def test_rows_of_several_inputs_and_outputs(service: TfsService) -> None:
    """Rows by name are answered by rows by name."""
    reply = answer(service, '{"instances": [{"a": [1, 2], "b": [3, 4]}]}', "tfs-model-name=pair")
    assert json.loads(text(reply)) == {"predictions": [{"sum": [4.0, 6.0], "product": [3.0, 8.0]}]}


@pytest.mark.parametrize(("version", "expected"), [("1", 2.0), ("2", 3.0), ("3", 4.0), ("", 4.0)])
def test_versions(service: TfsService, version: str, expected: float) -> None:
    """tfs-model-version chooses the version; without one it is the newest."""
    attributes = "tfs-model-name=add" + (f",tfs-model-version={version}" if version else "")
    assert json.loads(text(answer(service, '{"instances": [1.0]}', attributes))) == {"predictions": [expected]}


def test_a_signature_by_name(service: TfsService) -> None:
    """`signature_name` in the body chooses the signature."""
    body = '{"signature_name": "total", "inputs": {"a": [[1, 2]], "b": [[3, 4]]}}'
    assert json.loads(text(answer(service, body, "tfs-model-name=pair"))) == {"outputs": 10.0}


@pytest.mark.parametrize(
    ("method", "expected"), [("regress", {"results": [3.5, 4.0]}), ("classify", None)], ids=["regress", "classify"]
)
def test_examples(service: TfsService, method: str, expected: Any) -> None:
    """tfs-method=regress and classify take tf.Examples."""
    name = f"tensorflow/serving/{method}"
    body = json.dumps({"signature_name": name, "examples": [{"x": 1.0}, {"x": 2.0}]})
    found = json.loads(text(answer(service, body, f"tfs-method={method}")))
    assert found == expected if expected else len(found["results"]) == 2


def test_csv_and_json_lines(service: TfsService) -> None:
    """AWS's other text forms are rows."""
    assert json.loads(text(answer(service, "1.0\n2.0", content_type="text/csv"))) == {"predictions": [3.5, 4.0]}
    lines = "[1.0, 2.0]\n[3.0, 4.0]"
    found = answer(service, lines, content_type="application/jsonlines")
    assert json.loads(text(found)) == {"predictions": [[3.5, 4.0], [4.5, 5.0]]}


def test_arrays(service: TfsService) -> None:
    """NPY goes in and comes out, in the model's dtype."""
    body = io.BytesIO()
    np.save(body, np.arange(3.0))
    reply = answer(service, body.getvalue(), content_type="application/x-npy", accept="application/x-npy")
    assert reply.content_type == "application/x-npy"
    assert isinstance(reply.body, bytes)
    [found] = codecs.decode(reply.body, "application/x-npy", None, 1 << 20).values()
    assert found.dtype == np.float32
    assert found.tolist() == [3.0, 3.5, 4.0]


@pytest.mark.parametrize(
    ("accept", "content_type", "body"),
    [
        ("", "application/json", '{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'),
        ("*/*", "application/json", '{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'),
        ("application/json", "application/json", '{    "predictions": [3.5, 4.0, 5.5    ]}'),
        ("application/jsonlines", "application/jsonlines", '{    "predictions": [3.5, 4.0, 5.5    ]}'),
        ("application/json, application/jsonlines", "application/json", '{    "predictions": [3.5, 4.0, 5.5    ]}'),
        ("application/jsonlines;q=0.5", "application/jsonlines", '{    "predictions": [3.5, 4.0, 5.5    ]}'),
        ("text/csv", "text/csv", "3.5\n4.0\n5.5\n"),
    ],
)
def test_accept(service: TfsService, accept: str, content_type: str, body: str) -> None:
    """Where JSON is named the answer is on one line, under the first type of the list, as AWS's proxy has it."""
    reply = answer(service, PREDICT, accept=accept)
    assert (reply.content_type, text(reply)) == (content_type, body)


def test_checked_by_the_head_alone(service: TfsService) -> None:
    """What nobody reads or writes is refused by its headers: 415, 406."""
    with pytest.raises(UnsupportedMediaType):
        service.check("text/html", "")
    with pytest.raises(NotAcceptable):
        service.check("", "image/png")
    service.check("text/csv; charset=utf-8", "application/jsonlines")


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        ((PREDICT, "tfs-model-name=nope"), 404, "no model 'nope' is served here"),
        ((PREDICT, "tfs-model-name=add,tfs-model-version=9"), 404, "the model add has no version 9"),
        ((PREDICT, "tfs-method=train"), 400, "tfs-method"),
        (('{"signature_name": "x", "instances": [1]}',), 400, "has no signature 'x'"),
        ((b"whatever",), 400, ""),
        (('{"instances": [{"a": [1, 2], "b": [1, 2, 3]}]}', "tfs-model-name=pair"), 400, "ncompatible shapes"),
        ((PREDICT, "tfs-model-name=faults"), 400, ""),
        (('{"instances": [{"b64": "?"}]}', "tfs-model-name=strings"), 400, "base64"),
        (('{"examples": [{"x": 1.0}]}', "tfs-method=regress"), 400, "regress"),
    ],
)
def test_errors(service: TfsService, args: tuple[Any, ...], status: int, message: str) -> None:
    """A fault is answered as TF Serving's clients expect it: {"error": message}, with the status that names whose it is."""
    reply = answer(service, *args)
    assert reply.status == status
    found = json.loads(text(reply))
    assert found.keys() == {"error"}
    assert message in found["error"]
    assert "Traceback" not in found["error"]


@pytest.mark.parametrize(("signature", "status"), [("invalid", 400), ("missing", 404), ("internal", 500)])
def test_statuses_of_tensorflow(service: TfsService, signature: str, status: int) -> None:
    """What a pass fails with has the status that TF Serving gives it."""
    reply = answer(service, json.dumps({"signature_name": signature, "instances": [1.0]}), "tfs-model-name=faults")
    assert reply.status == status


def test_requests_share_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of one row shape go through one pass; each gets its own rows, an error is its own request's alone."""
    service = TfsService(loaded("half", "pair"))
    assert service.stackable
    model = service.servables.find("half", None).model
    passes = []
    run = model.run
    monkeypatch.setattr(model, "run", lambda name, inputs, only=(): passes.append(len(inputs["x"])) or run(name, inputs, only))
    rows = [json.dumps({"instances": [[float(at)] * 64] * count}) for at, count in ((1, 1), (2, 2), (3, 1))]
    bodies = [rows[0], "broken", rows[1], '{"instances": [[1]]}', rows[2]]
    replies = invoke(service, [request(body) for body in bodies])
    assert [reply.status for reply in replies] == [200, 400, 200, 200, 200]
    found = [json.loads(text(reply))["predictions"] for reply in replies if reply.status == 200]
    assert [[row[0] for row in one] for one in found] == [[2.5], [3.0, 3.0], [2.5], [3.5]]
    assert sorted(passes) == [1, 4]


def test_no_more_rows_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared pass has at most SAGEMAKER_TFS_MAX_BATCH_SIZE rows; a request that has more by itself is not cut."""
    service = TfsService(loaded("half", max_rows=3))
    assert service.max_batch == 3
    model = service.servables.find("half", None).model
    passes = []
    run = model.run
    monkeypatch.setattr(model, "run", lambda name, inputs, only=(): passes.append(len(inputs["x"])) or run(name, inputs, only))
    requests = [request(json.dumps({"instances": [[1.0] * 64] * count})) for count in (1, 1, 1, 2, 5)]
    assert [reply.status for reply in invoke(service, requests)] == [200] * 5
    assert passes == [3, 2, 5]


def test_a_sample(service: TfsService) -> None:
    """A call of zeros can be made of models whose shapes are known, and measured."""
    half = TfsService(loaded("half"))
    sample = half.sample(4)
    assert isinstance(sample, Call)
    assert sample.inputs["x"].shape == (4, 64)
    assert warmup.measurable(half)
    assert warmup.time_pass(half, 2) is not None
    assert TfsService(loaded("unknown")).sample() is None
    assert half.parameter_bytes > 0


def test_a_sample_that_the_model_does_not_take() -> None:
    """Empty strings are no Examples: a model that parses these cannot be measured so, and is served all the same."""
    trusted = loaded("half_plus_three", trusted=True)
    model = trusted.find(None, None).model
    model.signatures = {"regress_x_to_y": model.signatures["regress_x_to_y"]}
    service = TfsService(trusted)
    assert service.stackable
    assert service.sample() is not None
    assert warmup.time_pass(service, 1) is None


def test_models_without_a_default_signature() -> None:
    """A model of several signatures, none of them the default, can be asked by their names alone."""
    service = TfsService(loaded("dtypes"))
    assert service.sample() is None
    assert (service.stackable, service.max_batch) == (False, 1)
    assert answer(service, '{"instances": [1]}').status == 400
    assert json.loads(text(answer(service, '{"signature_name": "int32", "inputs": [1, 2]}'))) == {"outputs": [1, 2]}


def test_the_default_accept() -> None:
    """SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT is what a request without an Accept is answered in."""
    service = TfsService(loaded("half_plus_three"), "application/jsonlines")
    assert answer(service, PREDICT).content_type == "application/jsonlines"
    assert services.check("", "", "application/x-npy") is None
