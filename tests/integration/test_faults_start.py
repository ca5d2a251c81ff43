"""Starts that fail in user code, in the first process or only in its children: one message, an end, no loop."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.faults.server import STOP_SECONDS, Server

pytestmark = pytest.mark.fault
Start = Callable[..., Server]

ENDS = "\n\ndef transform_fn(model, data, content_type, accept):\n    return data\n"
MAX_FORKS = 12
"""Of a server of three processes that gives up after five failed starts in a row."""


def write_script(folder: Path, model_fn: str) -> Path:
    """A model directory whose script runs these lines, indented by four, as its model_fn."""
    (folder / "code").mkdir()
    head = "import os\nimport signal\nimport time\nfrom pathlib import Path\n\n\ndef model_fn(model_dir):\n"
    (folder / "code" / "inference.py").write_text(head + model_fn + ENDS)
    return folder


@pytest.mark.parametrize("preload", ["true", "false"])
def test_model_fn_that_raises(start: Start, tmp_path: Path, placement: str, preload: str) -> None:
    """A model_fn that raises ends the start with one message that names file, line and fault, and with status 1."""
    model = write_script(tmp_path, "    raise ValueError('the weights are gone')")
    server = start(model, ready=False, EI_PLACEMENT=placement, EI_PRELOAD=preload)
    assert server.process.wait(STOP_SECONDS) == 1
    said = [line for line in server.logged().splitlines() if "model_fn failed: ValueError: the weights are gone" in line]
    assert said
    assert "inference.py:8" in said[0]
    assert len(said) <= 3, "at most one for each process that was forked meanwhile"


def test_model_fn_that_is_killed(start: Start, tmp_path: Path) -> None:
    """A model that takes its process down as it loads takes the server down with it: nothing is tried again."""
    model = write_script(tmp_path, "    os.kill(os.getpid(), signal.SIGKILL)")
    server = start(model, ready=False)
    assert server.process.wait(STOP_SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize("act", ["os.kill(os.getpid(), signal.SIGKILL)", "os._exit(7)"], ids=["killed", "exits"])
def test_no_crash_loop(start: Start, tmp_path: Path, placement: str, act: str) -> None:
    """Where every process loads for itself and none survives it, the server gives up after a few and says so."""
    model = write_script(tmp_path, f"    with Path(model_dir, 'loads').open('a') as log:\n        log.write('x')\n    {act}")
    server = start(model, ready=False, EI_PLACEMENT=placement, EI_PRELOAD="false")
    assert server.process.wait(STOP_SECONDS) == 1
    assert len((tmp_path / "loads").read_text()) <= MAX_FORKS
    assert "5 processes in a row ended before they served" in server.logged()
    assert "Traceback" not in server.logged()


def test_load_that_takes_too_long(start: Start, tmp_path: Path) -> None:
    """A model that does not load within SAGEMAKER_STARTUP_TIMEOUT ends the start with a message that names the setting."""
    model = write_script(tmp_path, "    while True:\n        time.sleep(0.05)")
    server = start(model, ready=False, SAGEMAKER_STARTUP_TIMEOUT="1")
    assert server.process.wait(STOP_SECONDS) == 1
    assert "SAGEMAKER_STARTUP_TIMEOUT" in server.logged()


def test_script_that_does_not_parse(start: Start, tmp_path: Path) -> None:
    """A script with a syntax error ends the start with one message that has file and line."""
    model = write_script(tmp_path, "    return (")
    server = start(model, ready=False)
    assert server.process.wait(STOP_SECONDS) == 1
    (said,) = (line for line in server.logged().splitlines() if line.startswith("serve: "))
    assert "inference.py" in said
    assert "SyntaxError" in said


def test_every_invalid_setting_in_one_message(start: Start, mlp_dir: Path) -> None:
    """Invalid settings of all sources are listed together, before the model is loaded."""
    faults = {"EI_DEADLINE_SECONDS": "soon", "EI_QUEUE_SIZE": "-1", "EI_LOG_FORMAT": "xml", "OMP_NUM_THREADS": "all"}
    server = start(mlp_dir, "--keep-alive", "never", ready=False, **faults)
    assert server.process.wait(STOP_SECONDS) == 1
    said = server.logged()
    assert said.count("serve: ") == 1
    assert all(name in said for name in (*faults, "--keep-alive"))
    assert "Traceback" not in said


def test_port_of_another_server(start: Start, mlp_dir: Path) -> None:
    """A second server on the port of the first says whose fault that is and ends; the first one serves on."""
    first = start(mlp_dir)
    second = start(mlp_dir, "--port", str(first.port), ready=False)
    assert second.process.wait(STOP_SECONDS) == 1
    assert f"cannot listen on 127.0.0.1:{first.port}" in second.logged()
    assert first.ask("1,2,3,4").status == 200
