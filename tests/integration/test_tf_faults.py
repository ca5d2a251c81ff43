"""TensorFlow models in real processes: their answers, processes that die, and models that cannot be loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import tf_models
from tests.integration.faults.server import STOP_SECONDS, Server, until
from tests.integration.test_faults_processes import Load, kill_one_under

pytestmark = pytest.mark.fault
Start = Callable[..., Server]
JSON = ("Content-Type", "application/json")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """half_plus_three and half."""
    return tf_models.copied(tmp_path_factory.mktemp("models"), "half", "half_plus_three")


def test_answers_and_an_orderly_end(start: Start, models: Path, placement: str) -> None:
    """Both placements answer alike, refuse by the head what nobody reads, and end with 0."""
    server = start(models, EI_PLACEMENT=placement, SAGEMAKER_TFS_DEFAULT_MODEL_NAME="half_plus_three")
    assert server.ask('{"instances": [1.0, 2.0, 5.0]}', JSON).body == b'{\n    "predictions": [3.5, 4.0, 5.5\n    ]\n}'
    other = server.ask(
        json.dumps({"instances": [[2.0] * 64]}), JSON, ("X-Amzn-SageMaker-Custom-Attributes", "tfs-model-name=half")
    )
    assert other.json == {"predictions": [[3.0] * 64]}
    unknown = server.ask("{}", JSON, ("X-Amzn-SageMaker-Custom-Attributes", "tfs-model-name=nope"))
    assert (unknown.status, list(unknown.json)) == (404, ["error"])
    assert server.ask("x", ("Content-Type", "text/html")).status == 415
    assert server.stop() == 0
    assert "Traceback" not in server.logged()


def test_the_placement_is_measured_in_a_child(start: Start, models: Path) -> None:
    """A small model is served inline, which a child found out: the process that forks has no thread but its own."""
    server = start(tf_models.copied(models.parent / "small", "half"))
    assert "placement inline (a warm pass takes" in server.logged()
    assert len(list(Path(f"/proc/{server.process.pid}/task").iterdir())) == 1
    assert len(server.children()) == 2
    assert server.stop() == 0


def test_model_process_killed_under_load(start: Start, models: Path) -> None:
    """A TensorFlow process killed under 64 connections fails only what is inside it; the next one is back in two seconds."""
    server = start(models, EI_PLACEMENT="pool")
    until(lambda: len(server.children()) == 3, "both model processes are there")
    load = Load(server.port, lambda number: b",".join([b"%d.0" % number] * 64))

    kill_one_under(load, server)
    for number, reply in load.answers:
        if reply and reply.status == 200:
            assert reply.json == {"predictions": [[number / 2 + 2] * 64]}
    assert load.statuses == {200}
    assert server.stop() == 0


def corrupt(folder: Path) -> None:
    """Cut half of the variables off."""
    [data] = folder.rglob("variables.data-*")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("unknown_op", None, "op"),
        ("half_plus_three", corrupt, "variables"),
        ("tags", None, "tag"),
    ],
)
def test_models_that_cannot_be_loaded(
    start: Start, tmp_path: Path, placement: str, name: str, change: Callable[[Path], None] | None, message: str
) -> None:
    """A model that lacks an op, its variables or its tag ends the start with one message that says so, and no traceback."""
    folder = tf_models.copied(tmp_path, name)
    if name == "half_plus_three":
        shutil.rmtree(folder / name / "00000124")
    if change is not None:
        change(folder)
    server = start(folder, ready=False, EI_PLACEMENT=placement)
    assert server.process.wait(STOP_SECONDS) == 1
    assert message in server.logged()
    assert "Traceback" not in server.logged()


def test_a_broken_model_beside_others(start: Start, tmp_path: Path) -> None:
    """Of several models the broken one alone answers with an error, which says why."""
    server = start(tf_models.copied(tmp_path, "half", "unknown_op"), SAGEMAKER_TFS_DEFAULT_MODEL_NAME="half")
    assert server.ask(json.dumps({"instances": [[2.0] * 64]}), JSON).status == 200
    broken = server.ask("{}", JSON, ("X-Amzn-SageMaker-Custom-Attributes", "tfs-model-name=unknown_op"))
    assert (broken.status, "could not be loaded" in broken.json["error"]) == (500, True)
    assert server.ping() == 200


def test_a_load_that_takes_too_long(start: Start, tmp_path: Path) -> None:
    """A child that does not come to an end is ended with the start, by SAGEMAKER_STARTUP_TIMEOUT."""
    folder = tf_models.copied(tmp_path, "half")
    (folder / "code").mkdir()
    (folder / "code" / "inference.py").write_text("import time\n\ntime.sleep(1000)\n")
    server = start(folder, ready=False, SAGEMAKER_STARTUP_TIMEOUT="2")
    assert server.process.wait(STOP_SECONDS) == 1
    assert "did not load within 2 s (SAGEMAKER_STARTUP_TIMEOUT)" in server.logged()
    assert not Path(f"/proc/{server.process.pid}").exists()
