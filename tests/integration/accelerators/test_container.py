"""A container with an accelerator attached, from outside: real processes on both sides, and calls counted at the accelerator."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.integration.accelerators.conftest import RunningAccelerator, StartAccelerator
from tests.integration.conftest import Start
from tests.integration.faults.server import Server, free_port

JSON = ("Content-Type", "application/json")
PHRASE = "Failed to detect any accelerator"
SCRIPTS = Path(__file__).parent / "scripts"
ROWS = [[1, 2, 3, 4], [0.5, 0, 0, 1]]


@pytest.fixture(scope="module")
def with_script(mlp_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes a model directory of the perceptron and one of this folder's scripts."""

    def make(name: str) -> Path:
        folder = tmp_path_factory.mktemp("served") / name
        shutil.copytree(mlp_dir, folder)
        (folder / "code").mkdir()
        shutil.copy(SCRIPTS / f"{name}.py", folder / "code" / "inference.py")
        return folder

    return make


@pytest.fixture(scope="module")
def local(mlp_dir: Path, start_shared: Start) -> Server:
    """The perceptron served without an accelerator."""
    return start_shared(mlp_dir)


@pytest.fixture(scope="module", params=["auto", "pool"])
def attached(request: pytest.FixtureRequest, mlp_dir: Path, start_shared: Start, accelerator: RunningAccelerator) -> Server:
    """The perceptron's files alone on the accelerator, awaited from the loop and by a pool's processes."""
    return start_shared(mlp_dir, EI_ACCELERATORS=accelerator.address, EI_PLACEMENT=request.param, EI_WORKERS="1")


def answer(server: Server, rows: object = ROWS) -> object:
    """The JSON answer."""
    response = server.ask(json.dumps(rows), JSON)
    assert response.status == 200, response.body
    return response.json


def fetch(server: Server, path: str) -> str:
    """What a route of the control plane says."""
    with server.connect() as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        response = client.response()
    assert response.status == 200
    return response.body.decode()


def refused(server: Server) -> str:
    """What a start that fails says last; its exit status is 1, and it says so without a traceback."""
    assert server.process.wait(60) == 1
    assert "Traceback" not in server.logged()
    return server.logged().splitlines()[-1]


def test_answers_as_without(attached: Server, local: Server, accelerator: RunningAccelerator) -> None:
    """Files alone answer what they answer on the CPU, and the passes were the accelerator's."""
    before = accelerator.requests()
    np.testing.assert_allclose(np.array(answer(attached)), np.array(answer(local)), rtol=1e-6)
    assert accelerator.requests() == before + 1


def test_names_the_device(attached: Server, mlp_dir: Path) -> None:
    """The start-up line, a metric and the status say where the model runs; what was called there is counted."""
    answer(attached)
    (line,) = [line for line in attached.logged().splitlines() if "serving /" in line]
    assert "device eia:0 (ml.eia2.medium eia-" in line
    metrics = fetch(attached, "/metrics").splitlines()
    assert f'ei_model_device{{device="eia:0",model="{mlp_dir.name}"}} 1.0' in metrics
    counted = {name: float(value) for name, value in (line.split() for line in metrics if line.startswith("ei_accelerator"))}
    assert counted["ei_accelerator_calls_total"] >= 1
    assert counted["ei_accelerator_seconds_total"] > 0
    status = json.loads(fetch(attached, "/status"))
    assert status["models"] == [{"name": mlp_dir.name, "device": "eia:0"}]
    assert [found["type"] for found in status["accelerators"]] == ["ml.eia2.medium"]


def test_bad_input_stays_here(attached: Server, accelerator: RunningAccelerator) -> None:
    """What contradicts the signature is a 400, and the accelerator is not asked."""
    before = accelerator.requests()
    for body in ("[[1, 2]]", "{", '{"other": [[1, 2, 3, 4]]}'):
        assert attached.ask(body, JSON).status == 400
    assert accelerator.requests() == before


def test_everybody_gets_their_own(attached: Server, local: Server) -> None:
    """Many clients at once, with one or several rows each: everyone's answer is that of their own rows."""
    bodies = [np.random.default_rng(at).random((1 + at % 3, 4)).round(4).tolist() for at in range(24)]
    expected = [answer(local, rows) for rows in bodies]
    with ThreadPoolExecutor(8) as clients:
        for found, wanted in zip(clients.map(lambda rows: answer(attached, rows), bodies * 4), expected * 4, strict=True):
            np.testing.assert_allclose(np.array(found), np.array(wanted), rtol=1e-5)


def test_mxnet_is_not_needed(mlp_dir: Path, start: Start, accelerator: RunningAccelerator) -> None:
    """A container of files alone does not load the framework: its memory is the accelerator's matter."""
    server = start(mlp_dir, EI_ACCELERATORS=accelerator.address)
    answer(server)
    for pid in (server.process.pid, *server.children()):
        assert "libmxnet" not in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("script", ["module", "context", "backend", "block"])
def test_scripts(
    script: str, with_script: Callable[[str], Path], start: Start, local: Server, accelerator: RunningAccelerator
) -> None:
    """A script of each generation, and one without a model_fn, run on the accelerator, each request of theirs."""
    server = start(with_script(script), EI_ACCELERATORS=accelerator.address, EI_WORKERS="1")
    before = accelerator.requests()
    for _ in range(4):
        np.testing.assert_allclose(np.array(answer(server)), np.array(answer(local)), rtol=1e-6)
    assert accelerator.requests() == before + 4
    assert "does not use the accelerator" not in server.logged()


def test_a_script_that_does_not_use_it(
    with_script: Callable[[str], Path], start: Start, accelerator: RunningAccelerator
) -> None:
    """A script that leaves the accelerator alone is warned of once, and its device is the CPU from then on."""
    server = start(with_script("unused"), EI_ACCELERATORS=accelerator.address, EI_WORKERS="1")
    for _ in range(8):
        assert answer(server) == {"present": "true"}
    assert server.logged().count("the script does not use the accelerator that is attached") == 1
    assert 'ei_model_device{device="cpu",model="unused"} 1.0' in fetch(server, "/metrics")


def test_nobody_there(mlp_dir: Path, start: Start) -> None:
    """Declared, and nobody answers: the start fails, with the phrase that users search for and the address, in one message."""
    address = f"127.0.0.1:{free_port()}"
    said = refused(start(mlp_dir, ready=False, EI_ACCELERATORS=address))
    assert said.startswith(f"serve: {PHRASE}: {address} cannot be reached")


def test_no_address(mlp_dir: Path, start: Start) -> None:
    """Only said to be present, as local_sagemaker_notebook does: the message says what to set."""
    said = refused(start(mlp_dir, ready=False, SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT="true"))
    assert said.startswith(f"serve: {PHRASE}: set EI_ACCELERATORS=HOST:PORT")
    assert "EI_FALLBACK=cpu" in said


def test_no_such_device(mlp_dir: Path, start: Start, accelerator: RunningAccelerator) -> None:
    """A device that is not there, or is hidden, is none."""
    said = refused(start(mlp_dir, ready=False, EI_ACCELERATORS=accelerator.address, EI_DEVICE="eia:1"))
    assert said == f"serve: {PHRASE}: EI_DEVICE is eia:1, and there are 1: ordinals count from 0"
    said = refused(start(mlp_dir, ready=False, EI_ACCELERATORS=accelerator.address, EI_VISIBLE_DEVICES=""))
    assert said.startswith(f"serve: {PHRASE}: EI_VISIBLE_DEVICES is empty")


@pytest.mark.parametrize("declared", ["EI_ACCELERATORS", "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT"])
def test_fallback(declared: str, mlp_dir: Path, start: Start, local: Server) -> None:
    """EI_FALLBACK=cpu serves without it: one line warns, and the metric says so."""
    value = f"127.0.0.1:{free_port()}" if declared == "EI_ACCELERATORS" else "true"
    server = start(mlp_dir, EI_FALLBACK="cpu", **{declared: value})
    assert answer(server) == answer(local)
    (warning,) = [line for line in server.logged().splitlines() if "WARNING" in line]
    assert "serving on the CPU, as EI_FALLBACK says" in warning
    assert PHRASE in warning
    assert f'ei_model_device{{device="cpu",model="{mlp_dir.name}"}} 1.0' in fetch(server, "/metrics")


def test_fallback_of_a_script(with_script: Callable[[str], Path], start: Start, local: Server) -> None:
    """A script that asks for mx.eia() goes on with the CPU then, and is told that none is present."""
    server = start(with_script("context"), EI_FALLBACK="cpu", EI_ACCELERATORS=f"127.0.0.1:{free_port()}")
    np.testing.assert_allclose(np.array(answer(server)), np.array(answer(local)), rtol=1e-6)


def test_a_wrong_token(mlp_dir: Path, start: Start, start_accelerator: StartAccelerator, tmp_path: Path) -> None:
    """An accelerator that does not let the container in is none that it has: the start says why."""
    (tmp_path / "token").write_text("right")
    guarded = start_accelerator("--token-file", str(tmp_path / "token"))
    said = refused(start(mlp_dir, ready=False, EI_ACCELERATORS=guarded.address, EI_ACCELERATOR_TOKEN="wrong"))
    assert said.startswith(f"serve: {PHRASE}: {guarded.address}: ")
    assert "token" in said
    server = start(mlp_dir, EI_ACCELERATORS=guarded.address, EI_ACCELERATOR_TOKEN="right")
    answer(server)


def test_which_accelerator(
    mlp_dir: Path, start: Start, accelerator: RunningAccelerator, start_accelerator: StartAccelerator
) -> None:
    """Of several, EI_DEVICE names the one; EI_VISIBLE_DEVICES renumbers them; `cpu` leaves them alone."""
    other = start_accelerator()
    both = f"{accelerator.address},{other.address}"
    for env, uses in (
        ({"EI_DEVICE": "eia:1"}, (0, 1)),
        ({}, (1, 0)),
        ({"EI_VISIBLE_DEVICES": "1"}, (0, 1)),
        ({"EI_DEVICE": "cpu"}, (0, 0)),
    ):
        server = start(mlp_dir, EI_ACCELERATORS=both, **env)
        before = accelerator.requests(), other.requests()
        answer(server)
        assert (accelerator.requests() - before[0], other.requests() - before[1]) == uses
        server.stop()
