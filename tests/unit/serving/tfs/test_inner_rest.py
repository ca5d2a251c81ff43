"""TF Serving's REST API on loopback, out of the models' own line."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from serving.backends import tensorflow
from serving.models import saved_models
from serving.tfs import servables
from serving.tfs.inner_rest import RestServer
from serving.tfs.servables import Servable
from serving.tfs.service import TfsService
from tests import tf_models


def load_one(name: str, version: int, folder: Path) -> Servable:
    """One version, with one thread."""
    return Servable(name, version, tensorflow.load(folder))


@pytest.fixture(scope="module")
def tfs() -> Iterator[TfsService]:
    """half_plus_three in its two versions and `add` in its three, the first by default."""
    found = saved_models.find(tf_models.models())
    chosen = {name: found[name] for name in ("half_plus_three", "add")}
    loaded = servables.load(chosen, "half_plus_three", load_one)
    yield TfsService(loaded, default_accept="text/csv")
    loaded.close()


@pytest.fixture(scope="module")
def root(tfs: TfsService) -> Iterator[str]:
    """The URL of the API's models."""
    server = RestServer(tfs)
    yield f"http://localhost:{server.port}/v1/models"
    server.close()


@pytest.mark.parametrize(
    ("path", "predictions"),
    [
        ("/half_plus_three:predict", [3.5, 4.0, 5.5]),
        ("/half_plus_three/versions/123:predict", [3.5, 4.0, 5.5]),
        ("/half_plus_three/versions/00000124:predict", [3.5, 4.0, 5.5]),
        ("/add:predict", [4.0, 5.0, 8.0]),
        ("/add/versions/1:predict", [2.0, 3.0, 6.0]),
        ("/add/versions/2:PREDICT?x=1", [3.0, 4.0, 7.0]),
        ("/ad%64:predict", [4.0, 5.0, 8.0]),
    ],
)
def test_predict(path: str, predictions: list[float], root: str) -> None:
    """Every model and version answers a prediction, whatever content type the request has."""
    answer = requests.post(root + path, data='{"instances": [1.0, 2.0, 5.0]}')
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json() == {"predictions": predictions}


def test_answer_is_byte_for_byte_tf_servings(root: str) -> None:
    """The answer is pretty-printed, however the server itself answers without an Accept."""
    answer = requests.post(f"{root}/half_plus_three:predict", data='{"instances": [1.0]}', headers={"Accept": "text/csv"})
    assert answer.content == b'{\n    "predictions": [3.5\n    ]\n}'


def test_column_form_classify_and_regress(root: str) -> None:
    """The column form, and both forms over tf.Example, are answered as TF Serving answers them."""
    url = f"{root}/half_plus_three"
    assert requests.post(f"{url}:predict", json={"inputs": {"x": [1.0, 2.0]}}).json() == {"outputs": [3.5, 4.0]}
    examples = {"signature_name": "tensorflow/serving/regress", "examples": [{"x": 1.0}, {"x": 2.0}]}
    assert requests.post(f"{url}:regress", json=examples).json() == {"results": [3.5, 4.0]}
    examples["signature_name"] = "tensorflow/serving/classify"
    assert requests.post(f"{url}/versions/123:classify", json=examples).json() == {
        "results": [[["only", 3.5]], [["only", 4.0]]]
    }


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/half_plus_three:predict", "", 400, "document is empty"),
        ("/half_plus_three:predict", "[1.0, 2.0]", 400, ""),
        ("/half_plus_three:predict", '{"instances": ["x"]}', 400, ""),
        ("/half_plus_three/versions/7:predict", '{"instances": [1]}', 404, "no version 7"),
        ("/nobody:predict", '{"instances": [1]}', 404, "nobody"),
        ("/a,tfs-model-name=add:predict", '{"instances": [1]}', 404, "no model"),
        ("/add/labels/best:predict", '{"instances": [1]}', 400, "Unrecognized servable version label: best"),
        (f"/add/versions/{1 << 63}:predict", "{}", 400, f"Failed to convert version: {1 << 63} to numeric."),
        ("/add:guess", "{}", 400, "Malformed request: POST /v1/models/add:guess"),
        ("/add", "{}", 400, "Malformed request: POST /v1/models/add"),
        ("/../../etc", "{}", 404, "Not Found"),
    ],
)
def test_refusals(path: str, body: str, status: int, words: str, root: str) -> None:
    """What cannot be answered has TF Serving's status and one line in its form; nothing is made right on the way."""
    answer = requests.post(root + path, data=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.text
    assert words in answer.json()["error"]


def test_state_of_a_model(root: str) -> None:
    """A model's versions are AVAILABLE, all of them or the one that is named."""
    states = requests.get(f"{root}/add").json()["model_version_status"]
    assert sorted(state["version"] for state in states) == ["1", "2", "3"]
    answer = requests.get(f"{root}/add/versions/2")
    state = {"version": "2", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert answer.json() == {"model_version_status": [state]}
    assert answer.text.startswith('{\n "model_version_status": [\n  {\n   "version": "2",')


def test_metadata_of_a_model(root: str) -> None:
    """A model's signatures are told with the names, types and shapes of their tensors."""
    told = requests.get(f"{root}/add/versions/1/metadata").json()
    assert told["model_spec"]["name"] == "add"
    assert told["model_spec"]["version"] == "1"
    x = told["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["x"]
    assert (x["dtype"], x["tensor_shape"]["dim"][0]["size"]) == ("DT_FLOAT", "-1")


@pytest.mark.parametrize("path", ["/nobody", "/nobody/metadata", "/add/versions/9", "/add/versions/9/metadata"])
def test_nothing_known(path: str, root: str) -> None:
    """An unknown model or version is a 404 in TF Serving's form."""
    answer = requests.get(root + path)
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


def test_one_connection_for_many(root: str) -> None:
    """A session's requests go over one connection, chunked bodies and refusals among them."""
    with requests.Session() as session:
        for body, status in ((b'{"instances": [1.0]}', 200), (b"{", 400), (iter([b'{"instances"', b": [1.0]}"]), 200)):
            assert session.post(f"{root}/add:predict", data=body).status_code == status
        pools = session.get_adapter("http://").poolmanager.pools  # type: ignore[attr-defined]
        assert [pools[key].num_connections for key in pools.keys()] == [1]  # noqa: SIM118 no mapping


def test_many_connections_at_once(root: str) -> None:
    """Threads of a script ask side by side, and each gets its own answer."""

    def ask(value: float) -> float:
        answer = requests.post(f"{root}/add/versions/1:predict", json={"instances": [value]}).json()
        return float(answer["predictions"][0])

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(64))) == [value + 1.0 for value in range(64)]


def test_large_body_and_answer(root: str) -> None:
    """A body of megabytes comes whole, and so does its answer."""
    answer = requests.post(f"{root}/add/versions/1:predict", json={"instances": [1.0] * 100_000})
    assert answer.json() == {"predictions": [2.0] * 100_000}


def test_body_without_an_end(root: str) -> None:
    """A length that is no number is refused, and the connection ends."""
    port = int(root.split(":")[2].partition("/")[0])
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
        connection.putrequest("POST", "/v1/models/add:predict")
        connection.putheader("Content-Length", "many")
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (400, "close")
        assert "Content-Length" in json.loads(answer.read())["error"]


def test_client_that_hangs_up(root: str, capfd: pytest.CaptureFixture[str]) -> None:
    """A connection that ends in the middle disturbs nobody and prints nothing."""
    port = int(root.split(":")[2].partition("/")[0])
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"POST /v1/models/add:predict HTTP/1.1\r\nContent-Length: 50\r\n\r\n{")
    assert requests.post(f"{root}/add:predict", json={"instances": [1.0]}).status_code == 200
    assert capfd.readouterr() == ("", "")


def test_nobody_hears_after_close(tfs: TfsService) -> None:
    """A closed server's port is free and its thread has ended."""
    server = RestServer(tfs)
    (thread,) = [thread for thread in threading.enumerate() if thread.name == f"ei-rest-{server.port}"]
    server.close()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
