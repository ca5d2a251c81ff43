"""User scripts and handler services of every style, through the real loading and the real request line."""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from serving import toolkit
from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError
from serving.testing import Client

pytestmark = pytest.mark.filterwarnings("ignore:Cannot decide type for the following arguments:UserWarning")  # MXNet's

HERE = Path(__file__).parent
WEIGHT = np.arange(12, dtype=np.float32).reshape(3, 4) / 10
BIAS = np.array([0.5, -0.5, 0.0], np.float32)
ROWS = [[1.0, 2.0, 3.0, 4.0], [0.5, 0.0, -1.0, 2.0]]
EXPECTED = np.array(ROWS) @ WEIGHT.T + BIAS


@pytest.fixture(autouse=True)
def _clean_imports() -> Iterator[None]:
    """Scripts put folders on sys.path: each test starts with what the interpreter had."""
    path = list(sys.path)
    yield
    sys.path[:] = path


@pytest.fixture(scope="session")
def dense_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory with one dense layer, as symbol, params and shapes, and its Gluon parameters beside them."""
    mx = import_mxnet()
    folder = tmp_path_factory.mktemp("dense")
    symbol = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=3, name="fc")
    symbol.save(str(folder / "model-symbol.json"))
    weight, bias = mx.nd.array(WEIGHT), mx.nd.array(BIAS)
    mx.nd.save(str(folder / "model-0000.params"), {"arg:fc_weight": weight, "arg:fc_bias": bias})
    (folder / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 4]}]')
    mx.nd.save(str(folder / "net.params"), {"weight": weight, "bias": bias})
    return folder


@pytest.fixture
def with_script(dense_dir: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Makes a model directory of the dense model and one of the scripts."""

    def make(name: str) -> Path:
        folder = tmp_path / "model"
        shutil.copytree(dense_dir, folder)
        (folder / "code").mkdir()
        shutil.copy(HERE / "scripts" / f"{name}.py", folder / "code" / "inference.py")
        return folder

    return make


@pytest.fixture
def with_service(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a model directory of nothing but one of the handler services, as its script."""

    def make(name: str) -> Path:
        folder = tmp_path / "model"
        (folder / "code").mkdir(parents=True)
        shutil.copy(HERE / "services" / f"{name}.py", folder / "code" / "inference.py")
        return folder

    return make


@pytest.mark.parametrize(
    "name",
    ["empty", "repeats_defaults", "gluon_model", "gluon_predict", "symbol_block", "module_model", "module_predict",
     "module_forward", "module_array", "mxnet_transform"],
)  # fmt: skip
def test_script_answers_as_the_model_does(name: str, with_script: Callable[[str], Path]) -> None:
    """Whichever functions a script repeats, JSON rows get the model's outputs, one row or two."""
    with Client(with_script(name)) as client:
        for rows in (ROWS, ROWS[:1], ROWS):
            reply = client.invocations(rows)
            assert (reply.status, reply.content_type) == (200, "application/json"), reply.text
            np.testing.assert_allclose(reply.json(), EXPECTED[: len(rows)], rtol=1e-5)


@pytest.mark.parametrize("name", ["empty", "repeats_defaults", "gluon_model", "module_model", "module_predict"])
@pytest.mark.parametrize("content_type", ["application/json", "text/csv", "application/x-npy"])
@pytest.mark.parametrize("accept", ["application/json", "text/csv", "application/x-npy", "text/csv;q=0.2, application/x-npy"])
def test_types_in_and_out(name: str, content_type: str, accept: str, with_script: Callable[[str], Path]) -> None:
    """JSON, CSV and NPY go in and out of every mix of own and default functions."""
    with Client(with_script(name)) as client:
        reply = client.invocations(np.array(ROWS, np.float32), content_type, accept)
        assert (reply.status, reply.content_type) == (200, accept.split()[-1]), reply.text
        np.testing.assert_allclose(reply.array(), EXPECTED, rtol=1e-5)


def test_context_reads_headers_and_writes_status_headers_and_metrics(
    with_script: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A script's context sees the request's headers in any case, sets the reply's, and logs its metrics."""
    folder = with_script("with_context")
    with Client(folder) as client, caplog.at_level(logging.INFO, "ei.script"):
        sent = {"X-Amzn-SageMaker-Custom-Attributes": "trace=7"}
        reply = client.invocations("1,2,3,4\n4,3,2,1", "text/csv; charset=utf-8", headers=sent)
    assert (reply.status, reply.text, reply.content_type) == (201, "2,2", "text/csv")
    assert reply.headers == {
        "X-Input-Type": "str",
        "X-Amzn-SageMaker-Custom-Attributes": "trace=7",
        "X-Model-Dir": str(folder),
    }
    assert any(record.getMessage().startswith("[METRICS]answers.Count:1|") for record in caplog.records)


def test_input_fn_with_the_model_and_a_data_iterator(with_script: Callable[[str], Path]) -> None:
    """The MXNet container's `input_fn(data, content_type, model)` may return an NDArrayIter; a dict goes out as JSON."""
    with Client(with_script("module_input")) as client:
        reply = client.invocations({"rows": [ROWS[0], ROWS[1]]})
    assert (reply.status, reply.json()) == (200, {"classes": EXPECTED.argmax(axis=1).tolist()}), reply.text


def test_hooks_run_in_order_and_objects_go_out_as_json(with_script: Callable[[str], Path]) -> None:
    """pre_model_fn, model_fn, model_warmup_fn run once each; a model of no framework gets numpy arrays, a dict answers JSON."""
    folder = with_script("hooks")
    with Client(folder) as client:
        reply = client.invocations([[1, 2], [3, 4]])
    assert (folder / "order").read_text() == "pre model warm-up"
    assert reply.json() == {"sum": [24, 26], "kind": "ndarray"}


def test_streamed_reply(with_script: Callable[[str], Path]) -> None:
    """An iterator's chunks are sent one by one, str among them encoded."""
    with Client(with_script("streams")) as client:
        reply = client.invocations("one two", "text/csv")
    assert (reply.status, reply.chunks, reply.content_type) == (200, (b"one\n", b"two\n"), "text/plain")


def test_stream_that_fails_at_once_has_a_status(with_script: Callable[[str], Path]) -> None:
    """A generator that raises before its first chunk is a 500 like any function."""
    with Client(with_script("streams")) as client:
        reply = client.invocations("stop one", "text/csv")
    assert (reply.status, reply.json()["message"]) == (500, "transform_fn: ValueError: told to stop")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("raise", 500, "predict_fn: ValueError: something is wrong"),
        ("exit", 500, "predict_fn: sys.exit(3) was called"),
        ("interrupt", 500, "predict_fn: KeyboardInterrupt"),
        ("teapot", 418, "I am a teapot"),
        ("none", 500, "output_fn returned None; expected a body"),
        ("object", 500, "output_fn returned a value of type object; expected a body"),
        ("triple", 500, "output_fn returned a value of type tuple; expected a body"),
        ("number", 500, "output_fn returned a value of type int; expected a body"),
    ],
)
def test_misbehaviour_is_named_and_the_next_request_works(
    body: str, status: int, message: str, with_script: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    """A function that raises, exits or returns the wrong type is answered with its name and no traceback."""
    with Client(with_script("misbehaves")) as client:
        reply = client.invocations(f'"{body}"', "application/json", headers={"X-Request-Id": "r-1"})
        answer = reply.json()
        assert (reply.status, answer["message"][: len(message)]) == (status, message)
        assert answer["request_id"] == "r-1"
        assert "Traceback" not in reply.text
        assert client.invocations('"fine"', "application/json").text == "fine"


def test_unsupported_format_of_a_script_is_a_415(with_script: Callable[[str], Path]) -> None:
    """The toolkit's UnsupportedFormatError out of input_fn is the client's 415, not a 500."""
    with Client(with_script("misbehaves")) as client:
        assert client.invocations(b"x", "image/png").status == 415


@pytest.mark.parametrize("name", ["empty", "repeats_defaults", "gluon_model", "module_predict"])
def test_bad_input_is_a_400(name: str, with_script: Callable[[str], Path]) -> None:
    """Malformed JSON is the client's fault, whoever decodes it."""
    with Client(with_script(name)) as client:
        assert client.invocations("[[1, 2", "application/json").status == 400


def test_own_predict_fn_without_a_default_model(tmp_path: Path) -> None:
    """A script that needs a model, has no model_fn and finds no model ends the start and says so."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text("def predict_fn(data, model):\n    return data\n")
    with pytest.raises(ModelError, match="no model"):
        Client(tmp_path)


def test_two_models_with_scripts_of_one_name(with_script: Callable[[str], Path], tmp_path: Path) -> None:
    """A second script called inference.py, with a neighbour of the same name, is not the first one again."""
    answers = []
    for word in ("first", "second"):
        code = tmp_path / word / "code"
        code.mkdir(parents=True)
        (code / "words.py").write_text(f"WORD = {word!r}\n")
        (code / "inference.py").write_text(
            "import words\ndef model_fn(model_dir):\n    return words.WORD\n"
            "def transform_fn(model, data, content_type, accept):\n    return model, 'text/plain'\n"
        )
        with Client(tmp_path / word) as client:
            answers.append(client.invocations("x", "text/csv").text)
    assert answers == ["first", "second"]


def test_function_service(with_service: Callable[[str], Path]) -> None:
    """`FILE.py:handle` is called once with None at load, then with a list of one body; a dict it returns is JSON."""
    folder = with_service("function")
    with Client(folder, handler="inference.py:handle") as client:
        reply = client.invocations([1, 2, 3])
    assert reply.json() == {"sum": 6, "loads": 1, "dir": str(folder)}


@pytest.mark.parametrize("handler", ["inference", "inference.py", "inference:Service", "inference.py:Service.handle"])
def test_class_service(handler: str, with_service: Callable[[str], Path]) -> None:
    """A class with initialize and handle is found by its module alone, or by its name."""
    folder = with_service("plain_class")
    if handler.endswith(".handle"):
        with pytest.raises(ModelError):  # a method without its object is no function
            Client(folder, handler=handler)
        return
    with Client(folder, handler=handler) as client:
        assert client.invocations(b"21").text == "42.0"
        assert client.invocations(b"unlisted").json()["message"].startswith("handle returned a value of type str")
        refused = client.invocations(b"refused")
        assert (refused.status, refused.json()) == (422, {"refused": True})


def test_toolkit_service_with_its_own_defaults(with_service: Callable[[str], Path]) -> None:
    """A DefaultHandlerService around a Transformer with a subclassed handler runs as in the toolkit."""
    with Client(with_service("toolkit_service"), handler="inference:HandlerService") as client:
        reply = client.invocations([[1, 2], [3, 4]], accept="text/plain, application/json")
        assert (reply.status, reply.content_type, reply.json()) == (200, "application/json", [[3, 6], [9, 12]])
        assert client.invocations("[[1,", "application/json").status == 400
        bad = client.invocations(b"x", "image/png")
        assert (bad.status, "Traceback" in bad.text) == (415, False)


def test_transformer_subclass(with_service: Callable[[str], Path]) -> None:
    """A Transformer whose methods a subclass replaces is driven through those methods."""
    with Client(with_service("transformer_subclass"), handler="inference") as client:
        assert client.invocations(b"abc").text == "ABC"


@pytest.mark.parametrize("name", ["gluon_model", "module_model", "mxnet_transform"])
def test_mxnet_containers_handler_service(name: str, with_script: Callable[[str], Path]) -> None:
    """The MXNet container's own handler service serves the scripts that its container served."""
    with Client(with_script(name), handler="sagemaker_mxnet_serving_container.handler_service") as client:
        reply = client.invocations(ROWS)
        np.testing.assert_allclose(reply.json(), EXPECTED, rtol=1e-5)


def test_entry_script_starts_this_server(with_service: Callable[[str], Path], tmp_path: Path) -> None:
    """`python entry.py`, which calls start_model_server without a guard, serves its class until SIGTERM and exits 0."""
    folder = with_service("plain_class")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = dict(
        os.environ, PYTHONPATH=f"{HERE.parents[1]}:{toolkit.FOLDER}", SAGEMAKER_BIND_TO_PORT=str(port), EI_MODEL_DIR=str(folder)
    )
    shutil.copy(HERE / "services" / "starts_server.py", tmp_path / "entry.py")
    command = [sys.executable, "entry.py", "serve"]
    server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        log = []
        for line in server.stdout:  # the port is open before this line is written
            log.append(line)
            if "serving" in line and str(port) in line:
                break
        else:
            raise AssertionError("".join(log))
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("POST", "/invocations", b"12345", {"Content-Type": "application/octet-stream"})
            assert connection.getresponse().read() == b'{"from":"entry","bytes":5}'
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
        assert server.returncode == 0
    finally:
        server.kill()
        server.communicate()
