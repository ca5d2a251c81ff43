"""User scripts of TensorFlow models, as users write them, through a real server: universal and per model, inline and pool."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from serving.testing import Client
from tests import tf_models
from tests.integration.faults.server import Server, until

SCRIPTS = Path(__file__).parent / "tf_scripts"
ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
PREDICTIONS = b'{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'
ONE = '{"instances": [1.0]}'

Start = Callable[..., Server]
MakeModel = Callable[..., Path]


def model_directory(folder: Path, script: str, own: dict[str, str] | None = None) -> Path:
    """half_plus_three, `add` and `half` under a script for all of them, and scripts of single models."""
    tf_models.copied(folder, "half_plus_three", "add", "half")
    for place, name in {"": script, **(own or {})}.items():
        (folder / place / "code").mkdir()
        shutil.copy(SCRIPTS / f"{name}.py", folder / place / "code" / "inference.py")
    return folder


def ask(
    server: Server,
    body: bytes | str,
    content_type: str = "application/json",
    attributes: str = "",
    accept: str = "application/json",
) -> requests.Response:
    """One invocation."""
    headers = {"Content-Type": content_type, "Accept": accept}
    if attributes:
        headers[ATTRIBUTES] = attributes
    return requests.post(f"http://127.0.0.1:{server.port}/invocations", data=body, headers=headers, timeout=60)


@pytest.fixture(scope="module", params=["pair", "posts"])
def example(request: pytest.FixtureRequest, start_shared: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of each of the container's two examples, the pair inline, the handler in the pool."""
    folder = model_directory(tmp_path_factory.mktemp(request.param) / "model", request.param)
    placement = "inline" if request.param == "pair" else "pool"
    return start_shared(folder, SAGEMAKER_TFS_DEFAULT_MODEL_NAME="half_plus_three", EI_PLACEMENT=placement)


def test_json(example: Server) -> None:
    """A JSON document is answered with TF Serving's, byte for byte."""
    answer = ask(example, '{"instances": [1.0, 2.0, 5.0]}')
    assert (answer.status_code, answer.headers["Content-Type"], answer.content) == (200, "application/json", PREDICTIONS)


def test_csv(example: Server) -> None:
    """What the script makes of CSV is answered like a document."""
    assert ask(example, "1.0,2.0,5.0", "text/csv").content == PREDICTIONS


def test_empty_body(example: Server) -> None:
    """TF Serving's refusal of an empty document reaches the script, and by its exception the client."""
    answer = ask(example, "")
    assert (answer.status_code, "document is empty" in answer.json()["error"]) == (500, True)


def test_versions(example: Server) -> None:
    """The version that the custom attributes name answers; one that is not there is TF Serving's refusal."""
    for version in ("123", "124"):
        answer = ask(example, ONE, attributes=f"tfs-model-name=half_plus_three,tfs-method=predict,tfs-model-version={version}")
        assert answer.json() == {"predictions": [3.5]}
    answer = ask(example, ONE, attributes="tfs-model-name=add,tfs-model-version=7")
    assert (answer.status_code, "version 7" in answer.json()["error"]) == (500, True)


def test_unsafe_attributes(example: Server) -> None:
    """Attributes that would lead elsewhere are the client's fault."""
    answer = ask(example, ONE, attributes="tfs-model-name=add/versions/1")
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_many_clients_at_once(example: Server) -> None:
    """Clients that ask side by side each get their own answer, by whichever process."""

    def one(value: int) -> float:
        answer = ask(example, json.dumps({"instances": [float(value)]}), attributes="tfs-model-name=add,tfs-model-version=1")
        return float(answer.json()["predictions"][0])

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(100))) == [value + 1.0 for value in range(100)]


@pytest.fixture(scope="module")
def several(
    start_shared: Start, placement: str, tmp_path_factory: pytest.TempPathFactory, unused: tuple[int, int]
) -> tuple[Server, tuple[int, int]]:
    """A server of several scripts in each placement: REST for all models, gRPC for one, an image for another."""
    folder = model_directory(tmp_path_factory.mktemp(placement) / "model", "posts", {"add": "grpc_predict", "half": "image"})
    ports = f"{unused[0]}-{unused[1]}"
    default = "half_plus_three"
    return start_shared(
        folder, EI_PLACEMENT=placement, SAGEMAKER_SAFE_PORT_RANGE=ports, SAGEMAKER_TFS_DEFAULT_MODEL_NAME=default
    ), unused


@pytest.fixture(scope="module")
def unused() -> tuple[int, int]:
    """A range of ports for the platform to name."""
    return 23_456, 23_475


def test_rest_over_a_port_of_the_range(several: tuple[Server, tuple[int, int]]) -> None:
    """A handler asks its own process over REST, models one after the other and what is known of them."""
    server, _ = several
    assert ask(server, '{"instances": [1.0, 2.0, 5.0]}').content == PREDICTIONS
    assert ask(server, "chain[2.0]").json() == [7.0]
    state = ask(server, "status").json()["model_version_status"]
    assert {version["state"] for version in state} == {"AVAILABLE"}
    assert "signature_def" in ask(server, "metadata").json()["metadata"]


@pytest.mark.parametrize("accept", ["application/json", "text/plain"])
def test_grpc_of_one_models_script(several: tuple[Server, tuple[int, int]], accept: str) -> None:
    """A model's own script asks over gRPC, by the context's channel or by its port."""
    answer = ask(several[0], "[1.0, 3.0]", attributes="tfs-model-name=add", accept=accept)
    assert (answer.status_code, answer.json()) == (200, [4.0, 6.0])


def test_image_of_one_models_script(several: tuple[Server, tuple[int, int]]) -> None:
    """Another model's own script makes its values of an image."""
    image = io.BytesIO()
    Image.fromarray(np.full((20, 30), 51, np.uint8)).save(image, "PNG")
    answer = ask(several[0], image.getvalue(), "application/x-image", attributes="tfs-model-name=half")
    assert (answer.status_code, answer.json()) == (200, {"mean": 2.1, "type": "application/json"})


def listening(server: Server) -> set[int]:
    """The TCP ports that the server's processes listen on, but for its own."""
    inodes = set()
    for pid in server.children():
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                inodes.add(str(entry.readlink()).removeprefix("socket:[").removesuffix("]"))
    lines = [line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
    ports = {int(fields[1].rpartition(":")[2], 16) for fields in lines if fields[3] == "0A" and fields[9] in inodes}
    return ports - {server.port}


def test_no_port_beyond_the_range(several: tuple[Server, tuple[int, int]]) -> None:
    """Each process that answers listens on two ports of the range that the platform names, and on no others."""
    server, (low, high) = several
    until(lambda: len(listening(server)) == 4, "two processes listen on two ports each")
    assert all(low <= port <= high for port in listening(server))


def test_lib_wins_over_requirements(start: Start, tmp_path: Path) -> None:
    """code/lib is on the path, for imports during a request too, and requirements.txt is not read beside it."""
    folder = model_directory(tmp_path / "model", "with_lib")
    (folder / "code" / "lib" / "carried").mkdir(parents=True)
    (folder / "code" / "lib" / "carried" / "__init__.py").write_text("WORD = 'carried'\n")
    (folder / "code" / "lib" / "carried_later.py").write_text("WORD = 'later'\n")
    (folder / "code" / "requirements.txt").write_text("no-such-package-anywhere==1\n")
    assert ask(start(folder), "").json() == ["carried", "later"]


@pytest.fixture(scope="module")
def misbehaving(start_shared: Start, placement: str, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of a script that does what it is told, in each placement."""
    folder = model_directory(tmp_path_factory.mktemp(placement) / "model", "misbehaves")
    return start_shared(
        folder, EI_PLACEMENT=placement, EI_DEADLINE_SECONDS="1", SAGEMAKER_TFS_DEFAULT_MODEL_NAME="half_plus_three"
    )


@pytest.mark.parametrize(
    ("body", "attributes", "message"),
    [
        ("raise", "", "something is wrong with é"),
        ("exit", "", "input_handler: sys.exit(3) was called"),
        ("none", "", "input_handler returned None; expected TF Serving's JSON document"),
        ("fine", "exit", "output_handler: sys.exit(4) was called"),
        ("fine", "number", "output_handler returned a pair with a value of type int"),
        ("fine", "line break", "the script set the header Content-Type"),
    ],
)
def test_misbehaviour_is_a_500_of_its_own(misbehaving: Server, body: str, attributes: str, message: str) -> None:
    """A script that raises, exits or returns the wrong type fails its own request, in TF Serving's form, and no other."""
    answer = ask(misbehaving, body, attributes=attributes)
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    assert answer.json()["error"].startswith(message)
    assert ask(misbehaving, "fine").json() == {"predictions": [3.5]}


def test_hang(misbehaving: Server) -> None:
    """A script that never returns is a 504, and the next request works."""
    assert ask(misbehaving, "hang").status_code == 504
    until(lambda: misbehaving.ping() == 200, "the server is ready again")
    assert ask(misbehaving, "fine").json() == {"predictions": [3.5]}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def input_handler(data, context):\n    return data\n", "it has input_handler alone; expected"),
        ("def handler(data):\n    return data, ''\n", "inference.py:1: handler(data) cannot be called with two arguments"),
        ("import no_such_module_anywhere\n", "inference.py:1"),
    ],
)
def test_unusable_script_ends_the_start(start: Start, tmp_path: Path, source: str, message: str) -> None:
    """A script that cannot be used ends the server with a line that names the file and what is missing."""
    folder = model_directory(tmp_path / "model", "pair")
    (folder / "code" / "inference.py").write_text(source)
    server = start(folder, ready=False)
    assert server.process.wait(60) != 0
    assert message in server.logged() + server.out.read_text()


PAGE = Path(__file__).parents[2] / "docs" / "tensorflow-scripts.md"


def block(name: str) -> str:
    """The page's code block under the comment of that name."""
    found = re.search(rf"<!-- test: {name} -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found, f"the page has no block named {name}"
    return found[1]


def test_the_pages_pair(tmp_path: Path) -> None:
    """The page's pair reads lines of numbers and answers the first of each row."""
    folder = model_directory(tmp_path / "model", "pair")
    (folder / "code" / "inference.py").write_text(block("pair"))
    with Client(folder, tfs_default_model="half") as client:
        answer = client.invocations((" ".join(["4"] * 64) + "\n").encode() * 2, "text/plain")
        assert (answer.status, answer.json()) == (200, [4.0, 4.0])
        refused = client.invocations(b"1 2\n3\n", "text/plain")
        assert (refused.status, list(refused.json())) == (500, ["error"])


def test_the_pages_handler_and_client(tmp_path: Path) -> None:
    """The page's example of the test kit runs beside a folder named `model`, which holds the page's handler."""
    folder = model_directory(tmp_path / "model", "posts")
    (folder / "code" / "inference.py").write_text(block("handler"))
    subprocess.run([sys.executable, "-c", block("client")], cwd=tmp_path, check=True)
