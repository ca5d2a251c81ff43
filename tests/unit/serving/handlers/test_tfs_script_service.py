"""Users' scripts around TensorFlow models, down the real line, without a socket but those that scripts ask over."""

from __future__ import annotations

import io
import json
import logging
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from serving.backends import tensorflow
from serving.errors import DeadlinePassed
from serving.handlers import tfs_objects, tfs_script
from serving.handlers.tfs_script import Scripts, TfsFunctions
from serving.handlers.tfs_script_service import Options, TfsScriptService
from serving.invocation import Inputs, Outputs, Reply, Request, invoke
from serving.models import saved_models
from serving.tfs import servables
from serving.tfs.servables import Runnable, Servable, Servables
from serving.tfs.service import TfsService
from tests import tf_models

SCRIPTS = Path(__file__).parents[3] / "integration" / "tf_scripts"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
ONE = b'{"instances": [1.0]}'

Make = Callable[..., TfsScriptService]


@pytest.fixture(scope="module")
def tfs() -> Iterator[TfsService]:
    """half_plus_three, which is the default, `add` and `half`, each in all its versions."""

    def load_one(name: str, version: int, folder: Path) -> Servable:
        return Servable(name, version, tensorflow.load(folder))

    found = saved_models.find(tf_models.models())
    loaded = servables.load({name: found[name] for name in ("half_plus_three", "add", "half")}, "half_plus_three", load_one)
    yield TfsService(loaded)
    loaded.close()


@pytest.fixture
def make(tfs: TfsService, tmp_path: Path) -> Iterator[Make]:
    """Makes the service of one of the scripts, for all models or for those that are named; stops what it opened."""
    path, modules = list(sys.path), set(sys.modules)
    made: list[TfsScriptService] = []

    def one(name: str, options: Options | None = None, models: tuple[str, ...] = ()) -> TfsScriptService:
        places = [tmp_path / model for model in models] or [tmp_path]
        for place in places:
            (place / "code").mkdir(parents=True, exist_ok=True)
            shutil.copy(SCRIPTS / f"{name}.py", place / "code" / "inference.py")
        scripts = tfs_script.load(tmp_path, "inference.py", models={model: tmp_path / model for model in models})
        assert scripts is not None
        made.append(TfsScriptService(tfs, scripts, options))
        return made[-1]

    yield one
    for service in made:
        service.inner.close()
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def of(tfs: TfsService, **functions: Callable[..., object]) -> TfsScriptService:
    """The service of these functions, for all models."""
    return TfsScriptService(tfs, Scripts(TfsFunctions(Path("inference.py"), **functions)))


def ask(
    service: TfsScriptService, body: bytes | str, content_type: str = "application/json", accept: str = "", attributes: str = ""
) -> Reply:
    """The reply to one invocation."""
    content = body.encode() if isinstance(body, str) else body
    headers = [(ATTRIBUTES, attributes)] if attributes else []
    return invoke(service, [Request(content, content_type, accept, headers, "r-1")])[0]


def told(reply: Reply) -> str:
    """The text of a reply that is a fault."""
    assert isinstance(reply.body, bytes)
    (message,) = json.loads(reply.body).items()
    assert message[0] == "error"
    return str(message[1])


@pytest.mark.parametrize("name", ["pair", "posts"])
@pytest.mark.parametrize(("body", "content_type"), [('{"instances": [1.0, 2.0, 5.0]}', ""), ("1.0,2.0,5.0", "text/csv")])
def test_both_kinds_of_script_answer_alike(name: str, body: str, content_type: str, make: Make) -> None:
    """The container's two examples answer TF Serving's document, byte for byte, under the accepted type."""
    reply = ask(make(name), body, content_type)
    assert (reply.status, reply.content_type) == (200, "application/json"), reply.body
    assert reply.body == b'{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'


@pytest.mark.parametrize("name", ["pair", "posts"])
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("tfs-model-name=add", 4.0),
        ("tfs-model-name=add,tfs-model-version=1", 2.0),
        ("tfs-model-name=half_plus_three,tfs-model-version=00000124,tfs-method=predict", 3.5),
    ],
)
def test_models_and_versions(name: str, attributes: str, expected: float, make: Make) -> None:
    """The custom attributes choose the model and the version, for both kinds of script."""
    reply = ask(make(name), ONE, attributes=attributes)
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body) == {"predictions": [expected]}


@pytest.mark.parametrize("name", ["pair", "posts"])
@pytest.mark.parametrize(
    ("body", "content_type", "attributes", "status", "words"),
    [
        ("", "", "", 500, "document is empty"),
        ("[1.0]", "", "", 500, "JSON Value: [1.0] is not"),
        ('{"instances": [1.0]}', "", "tfs-model-name=nobody", 500, "nobody"),
        ('{"instances": [1.0]}', "", "tfs-method=guess", 400, "tfs-method 'guess'"),
        ('{"instances": [1.0]}', "", "tfs-model-version=../1", 400, "tfs-model-version"),
    ],
)
def test_what_tf_serving_refuses(
    name: str, body: str, content_type: str, attributes: str, status: int, words: str, make: Make
) -> None:
    """A script is told what TF Serving refuses, as TF Serving tells it, and says so; bad attributes never reach it."""
    reply = ask(make(name), body, content_type, attributes=attributes)
    assert reply.status == status
    assert words in told(reply)


def test_unsupported_type_of_the_script(make: Make) -> None:
    """What a script raises is a 500 whose message is its text alone."""
    reply = ask(make("pair"), "x", "unsupported-type")
    assert (reply.status, told(reply)) == (500, '{"error": "unsupported content type unsupported-type"}')


def test_image(make: Make) -> None:
    """An image is made into a document by the script; the response it is given reads as that of `requests`."""
    image = io.BytesIO()
    Image.fromarray(np.full((20, 30), 51, np.uint8)).save(image, "PNG")
    reply = ask(make("image"), image.getvalue(), "application/x-image", attributes="tfs-model-name=half")
    assert reply.body == b'{"mean": 2.1, "type": "application/json"}'
    reply = ask(make("image"), image.getvalue(), "application/x-image", attributes="tfs-model-name=nobody")
    assert (reply.status, "404 Client Error" in told(reply)) == (500, True)


def test_no_network_for_the_pair(tfs: TfsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between input_handler and output_handler no connection is made."""

    def connect(*args: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    service = of(tfs, input_handler=lambda data, context: data, output_handler=lambda response, context: (response.text, None))
    assert ask(service, ONE).body == b'{\n    "predictions": [3.5\n    ]\n}'
    service.inner.close()


def test_other_models_over_rest(make: Make) -> None:
    """A handler asks several models in turn, and for their states and signatures."""
    service = make("posts")
    assert ask(service, "chain[2.0]").body == b"[7.0]"
    for word, key in (("status", "model_version_status"), ("metadata", "metadata")):
        reply = ask(service, word)
        assert isinstance(reply.body, bytes)
        assert key in json.loads(reply.body), reply.body


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_grpc(accept: str, make: Make) -> None:
    """A handler asks over gRPC, by the context's channel or by one of its own to the context's port."""
    reply = ask(make("grpc_predict"), "[1.0, 3.0]", accept=accept, attributes="tfs-model-name=add")
    assert (reply.status, reply.body) == (200, b"[4.0, 6.0]")


def test_context(make: Make) -> None:
    """The context holds what AWS's container puts there; model, version and method are None unless sent."""
    service = make("tells_context")
    sent = "tfs-model-name=add,tfs-model-version=2,tfs-method=regress,mine=1"
    bare, full = ask(service, "one\ntwo"), ask(service, "é", "text/csv; charset=utf-8", "a/b, c/d", sent)
    assert isinstance(bare.body, bytes)
    assert isinstance(full.body, bytes)
    root = f"http://localhost:{service.inner.places().rest_port}/v1/models"
    assert json.loads(bare.body) == {
        **dict.fromkeys(("model_name", "model_version", "method", "custom_attributes")),
        **{"rest_uri": f"{root}/half_plus_three:predict", "request_content_type": "application/json", "timeout": 60},
        **{"accept_header": "application/json", "content_length": 7, "lines": ["one\n", "two"]},
        **{"channel": "Channel", "grpc_port": str(service.inner.places().grpc_port)},
    }
    given = json.loads(full.body)
    assert (given["model_name"], given["model_version"], given["method"]) == ("add", "2", "regress")
    assert given["rest_uri"] == f"{root}/add/versions/2:regress"
    assert (given["custom_attributes"], given["request_content_type"]) == (sent, "text/csv; charset=utf-8")
    assert (given["accept_header"], given["content_length"], given["lines"]) == ("a/b, c/d", 2, ["é"])


def test_default_accept(make: Make) -> None:
    """Without an Accept the context has the setting's."""
    reply = ask(make("pair", Options(default_accept="application/jsonlines")), ONE)
    assert reply.content_type == "application/jsonlines"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("*/*", "application/json"), ("text/csv, application/json", "text/csv"), ("a/b;q=0.1, c/d", "c/d"), ("a/b", "a/b")],
)
def test_accept_handed_on_as_content_type(accept: str, expected: str, make: Make) -> None:
    """A script that answers under the whole Accept header answers under one type of it."""
    assert ask(make("pair"), ONE, accept=accept).content_type == expected


@pytest.mark.parametrize(
    ("body", "attributes", "message"),
    [
        ("raise", "", "something is wrong with é"),
        ("raise nothing", "", "input_handler: RuntimeError"),
        ("exit", "", "input_handler: sys.exit(3) was called"),
        ("none", "", "input_handler returned None; expected TF Serving's JSON document"),
        ("dict", "", "input_handler returned a value of type dict; expected TF Serving's JSON document"),
        ("number", "", "input_handler returned a value of type int; expected TF"),
        ("fine", "exit", "output_handler: sys.exit(4) was called"),
        ("fine", "nothing", "output_handler returned None; expected (body, content_type)"),
        ("fine", "bare", "output_handler returned a value of type str; expected (body, content_type)"),
        ("fine", "three", "output_handler returned a value of type tuple; expected (body, content_type)"),
        ("fine", "number", "output_handler returned a pair with a value of type int; expected (body"),
        ("fine", "type", "output_handler returned a pair with a value of type int; expected (body"),
        ("fine", "line break", "the script set the header Content-Type to a value that no header can have"),
    ],
)
def test_misbehaviour_is_named_and_the_next_request_works(
    body: str, attributes: str, message: str, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """A script that raises, exits or returns the wrong type is a 500 that says so, without a traceback; the log has it."""
    service = make("misbehaves")
    reply = ask(service, body, attributes=attributes)
    assert (reply.status, reply.content_type) == (500, "application/json")
    assert told(reply).startswith(message), told(reply)
    assert "Traceback" not in told(reply)
    if "returned" not in message and "header" not in message:
        assert [record.exc_info is not None for record in caplog.records if record.name == "ei.script"][-1]
    assert ask(service, "fine").status == 200


@pytest.mark.parametrize(
    ("attributes", "content_type", "body"),
    [
        ("untyped", "application/json", b'{\n    "predictions": [3.5\n    ]\n}'),
        ("list", "text/plain", b'{\n    "predictions": [3.5\n    ]\n}'),
        ("memory", "text/plain", b'{\n    "predictions": [3.5\n    ]\n}'),
    ],
)
def test_what_else_may_be_returned(attributes: str, content_type: str, body: bytes, make: Make) -> None:
    """A list of two, a memoryview, and no content type are as good."""
    reply = ask(make("misbehaves"), "fine", attributes=attributes)
    assert (reply.status, reply.content_type, reply.body) == (200, content_type, body)


@pytest.mark.parametrize("made", [ONE, memoryview(ONE), ONE.decode(), io.BytesIO(ONE), io.StringIO(ONE.decode()), ["{", b"}"]])
def test_documents_of_other_kinds(made: object, tfs: TfsService) -> None:
    """Whatever `requests` would send is sent: text, bytes, a file of either, pieces of either; also where TF Serving refuses it."""
    document = iter(made) if isinstance(made, list) else made
    service = of(
        tfs, input_handler=lambda data, context: document, output_handler=lambda response, context: (response.text, "")
    )
    reply = ask(service, b"")
    assert reply.status == 200
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body) == {"predictions": [3.5]} or "error" in json.loads(reply.body) and isinstance(made, list)
    service.inner.close()


@pytest.mark.parametrize("made", [iter([5]), type("File", (), {"read": lambda self: 5})()])
def test_pieces_that_are_none(made: object, tfs: TfsService) -> None:
    """A file or an iterator of something else is the script's fault."""
    service = of(tfs, input_handler=lambda data, context: made, output_handler=lambda response, context: ("", ""))
    assert told(ask(service, b"")).startswith("input_handler returned a value of type")
    service.inner.close()


def test_own_scripts_and_models_without_one(make: Make, tmp_path: Path) -> None:
    """Each model's requests go through its own script; those of a model without one go to the model as if there were none."""
    for model in ("add", "half_plus_three"):
        (tmp_path / model / "code").mkdir(parents=True)
        (tmp_path / model / "code" / "neighbour.py").write_text(f"WORD = {model!r}\n")
    service = make("own", models=("add", "half_plus_three"))
    assert ask(service, ONE).body == b"half_plus_three: [3.5]"
    assert ask(service, ONE, attributes="tfs-model-name=add").body == b"add: [4.0]"
    row = json.dumps({"instances": [[0.0] * 64]})
    assert json.loads(ask(service, row, attributes="tfs-model-name=half").body) == {"predictions": [[2.0] * 64]}  # type: ignore[arg-type]
    refused = ask(service, "x", "image/png", attributes="tfs-model-name=half")
    assert (refused.status, list(json.loads(refused.body))) == (415, ["error"])  # type: ignore[arg-type]


def test_requests_that_arrive_together(make: Make, tmp_path: Path) -> None:
    """Requests of scripts and of models without one, failing ones among them, are each answered as if they were alone."""
    (tmp_path / "add" / "code").mkdir(parents=True)
    service = make("misbehaves", models=("add",))
    sent = [
        ("fine", "add"),
        ("raise", "add"),
        (ONE.decode(), "half_plus_three"),
        ("dict", "add"),
        ("fine", "add"),
        ("{", "half"),
    ]
    requests = [
        Request(body.encode(), "application/json", "", [(ATTRIBUTES, f"tfs-model-name={model}")]) for body, model in sent
    ]
    replies = invoke(service, requests)
    assert [reply.status for reply in replies] == [200, 500, 200, 500, 200, 400]
    assert [reply.body for reply in replies] == [invoke(service, [request])[0].body for request in requests]


def test_memory_of_the_pool(make: Make) -> None:
    """A body that lies in shared memory is read like any other."""
    assert invoke(make("pair"), [Request(memoryview(ONE), "application/json")])[0].status == 200


def test_deadline(tfs: TfsService) -> None:
    """A deadline that passes in a script, or in the pass between its two functions, is a 504."""

    def passes(*args: object) -> object:
        raise DeadlinePassed

    service = of(tfs, handler=passes)
    reply = ask(service, ONE)
    assert (reply.status, told(reply)) == (504, "handler did not return by the deadline")
    service.inner.close()
    service = of(tfs, input_handler=lambda data, context: Late(), output_handler=lambda response, context: ("", ""))
    assert ask(service, ONE).status == 504
    service.inner.close()


def test_deadline_in_the_pass(tfs: TfsService) -> None:
    """A deadline that passes between the pair's two functions is told as such, and output_handler is not asked to explain it."""
    loaded = tfs.servables.models["half_plus_three"][123]
    late = Servables({"late": {1: Servable("late", 1, Overruns(loaded.model))}}, "late")
    called: list[object] = []
    service = TfsScriptService(
        TfsService(late),
        Scripts(
            TfsFunctions(
                Path("inference.py"), None, lambda data, context: data, lambda response, context: called.append(response)
            )
        ),
    )
    assert (ask(service, ONE).status, called) == (504, [])
    service.inner.close()


class Overruns:
    """A model whose pass does not end in time."""

    def __init__(self, model: Runnable) -> None:
        self.signatures, self.meta_graph, self.parameter_bytes = model.signatures, model.meta_graph, model.parameter_bytes

    def run(self, signature: str, inputs: Inputs, outputs: tuple[str, ...] = ()) -> Outputs:
        """What the alarm does in the middle of it."""
        raise DeadlinePassed

    def close(self) -> None:
        """Nothing is held."""


class Late(io.BytesIO):
    """A document during whose reading the deadline passes."""

    def read(self, *args: object) -> bytes:
        """Never."""
        raise DeadlinePassed


def test_traceback_inside_a_message(tfs: TfsService, caplog: pytest.LogCaptureFixture) -> None:
    """A traceback inside an exception's text is the log's alone."""

    def fails(data: object, context: object) -> object:
        raise ValueError("cut here\nTraceback (most recent call last):\n  File ...")

    service = of(tfs, handler=fails)
    with caplog.at_level(logging.CRITICAL, "ei.script"):
        assert told(ask(service, ONE)) == "cut here"
    service.inner.close()


def test_look_alike_without_requests(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `requests` is not installed the pair is served all the same."""
    monkeypatch.setattr(tfs_objects, "requests_library", lambda: None)
    assert ask(make("pair"), ONE).status == 200


def test_close(make: Make) -> None:
    """After the inner servers' close nobody hears on their ports."""
    service = make("tells_context")
    service.start(1)
    port = service.inner.places().rest_port
    service.inner.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
