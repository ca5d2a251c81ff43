"""An accelerator from outside: models sent to it, calls, bad input of every kind, and engines that are killed."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from serving.accelerators import catalog
from serving.accelerators.artifact import Artifact
from serving.accelerators.client import Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol.messages import message
from serving.accelerators.rpc.target import Target
from tests.integration.accelerators import models
from tests.integration.accelerators.conftest import RunningAccelerator, StartAccelerator
from tests.integration.faults.server import until

ROWS = np.random.RandomState(1).rand(3, models.WIDTH).astype("f")


def code_of(error: pytest.ExceptionInfo[AcceleratorError]) -> Code:
    """The status of an error, whose message is one line."""
    assert "\n" not in error.value.message
    return error.value.code


def load(accelerator: RunningAccelerator, files: dict[str, bytes], name: str = "foreign", config: str = "") -> None:
    """RepositoryModelLoad as any client may send it."""
    request = message("RepositoryModelLoadRequest")(model_name=name)
    if config:
        request.parameters["config"].string_param = config
    for key, data in files.items():
        request.parameters[f"file:{key}"].bytes_param = data
    accelerator.client.call("RepositoryModelLoad", request, 30.0)


def test_a_model_runs_there(accelerator: RunningAccelerator) -> None:
    """A model that was sent answers what numpy does, says its tensors, and its calls are counted."""
    made = models.dense()
    before = accelerator.requests()
    model = accelerator.client.load(made)
    (found,) = model({"data": ROWS}).values()
    np.testing.assert_allclose(found, models.expected(made, ROWS), rtol=1e-5)
    assert accelerator.requests() == before + 1
    assert [spec.name for spec in model.inputs] == ["data"]
    assert [spec.name for spec in model.outputs] == ["fc_output"]


def test_n_clients_share_one_copy(accelerator: RunningAccelerator) -> None:
    """The same artifact sent by many is loaded once, and another's weights make another model."""
    made = models.dense(seed=7)
    for _ in range(4):
        accelerator.client.load(made)
    index = accelerator.client.call("RepositoryIndex", message("RepositoryIndexRequest")(), 5.0)
    assert [entry.state for entry in index.models if entry.name == made.name] == ["READY"]
    assert models.dense(seed=8).name != made.name


def test_only_the_outputs_asked_for(accelerator: RunningAccelerator) -> None:
    """A call may ask for outputs by name; a name that the model does not have is refused."""
    model = accelerator.client.load(models.dense())
    assert list(model({"data": ROWS}, ["fc_output"])) == ["fc_output"]
    with pytest.raises(AcceleratorError) as error:
        model({"data": ROWS}, ["other"])
    assert code_of(error) == Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "inputs",
    [
        {"data": ROWS[:, :5]},
        {"data": ROWS[0, 0]},
        {"datum": ROWS},
        {},
        {"data": ROWS.astype("S4")},
    ],
    ids=["width", "rank", "name", "none", "text"],
)
@pytest.mark.parametrize("max_batch", [0, 8])
def test_tensors_that_contradict_the_model(
    accelerator: RunningAccelerator, inputs: dict[str, np.ndarray], max_batch: int
) -> None:
    """Wrong shapes, names and types are INVALID_ARGUMENT, and the next call is answered."""
    made = models.dense(max_batch=max_batch)
    model = accelerator.client.load(made)
    with pytest.raises(AcceleratorError) as error:
        model(inputs)
    assert code_of(error) == Code.INVALID_ARGUMENT
    np.testing.assert_allclose(model({"data": ROWS})["fc_output"], models.expected(made, ROWS), rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/x", "1/../../x", "1//x", "x", "1/a\nb", "1/model.py", "1/lib.so", "1/\\x", ""]
)
def test_names_of_files(accelerator: RunningAccelerator, name: str) -> None:
    """A path in a file's name, or code, is refused before anything is written."""
    with pytest.raises(AcceleratorError) as error:
        load(accelerator, {name: b"x"})
    assert code_of(error) == Code.INVALID_ARGUMENT


def test_the_digest_is_checked(accelerator: RunningAccelerator) -> None:
    """Nobody can put other files under the digest that somebody else will ask for."""
    other = models.dense(seed=99)
    with pytest.raises(AcceleratorError) as error:
        load(accelerator, dict(models.dense().files), other.name, other.config)  # type: ignore[arg-type]
    assert code_of(error) == Code.INVALID_ARGUMENT


@pytest.mark.parametrize("config", ["{", "[]", '{"backend": "python"}', '{"parameters": 3}', '{"max_batch_size": "x"}'])
def test_configurations(accelerator: RunningAccelerator, config: str) -> None:
    """A configuration that is none, or of a backend that runs code, is refused."""
    with pytest.raises(AcceleratorError) as error:
        load(accelerator, dict(models.dense().files), config=config)  # type: ignore[arg-type]
    assert code_of(error) == Code.INVALID_ARGUMENT


def test_an_unknown_model_is_sent_again(start_accelerator: StartAccelerator) -> None:
    """After the accelerator was started anew, a call finds its model gone, sends it and is answered."""
    first = start_accelerator()
    made = models.dense()
    model = first.client.load(made)
    model({"data": ROWS})
    first.stop()
    start_accelerator(port=first.port)
    np.testing.assert_allclose(model({"data": ROWS})["fc_output"], models.expected(made, ROWS), rtol=1e-5)


def test_no_call_is_lost_when_the_engine_is_killed(start_accelerator: StartAccelerator) -> None:
    """Killed under load, the engine is replaced, its models are loaded again, and every call has its right answer."""
    accelerator = start_accelerator()
    made = models.dense()
    accelerator.client.load(made)
    faults: list[object] = []
    answered = [0]
    stop = threading.Event()

    def call() -> None:
        model = accelerator.client.load(made)
        while not stop.is_set():
            try:
                found = model({"data": ROWS})["fc_output"]
                np.testing.assert_allclose(found, models.expected(made, ROWS), rtol=1e-5)
                answered[0] += 1
            except Exception as error:
                faults.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: answered[0] > 50 and len(accelerator.engines()) == 2, "calls are answered, and a spare engine waits")
    os.kill(accelerator.engines()[0], signal.SIGKILL)
    then = answered[0]
    until(lambda: answered[0] > then + 50, "calls are answered again")
    stop.set()
    for thread in threads:
        thread.join()
    assert faults == []


def test_memory_comes_back(accelerator: RunningAccelerator) -> None:
    """An unloaded model is NOT_FOUND; who still has it sends it again."""
    made = models.dense(seed=3)
    model = accelerator.client.load(made)
    model.close()
    with pytest.raises(AcceleratorError) as error:
        accelerator.client.infer(made.name, {"data": ROWS})
    assert code_of(error) == Code.NOT_FOUND
    assert model({"data": ROWS})["fc_output"].shape == (3, models.UNITS)


def test_calls_are_stacked_and_answered_each_its_own(accelerator: RunningAccelerator) -> None:
    """Calls of many clients that share passes get their own rows back, and one that is wrong fails alone."""
    made = models.dense(max_batch=32)
    wrong: list[object] = []

    def call(seed: int) -> None:
        model = accelerator.client.load(made)
        random = np.random.RandomState(seed)
        for _ in range(60):
            rows = random.rand(random.randint(1, 4), models.WIDTH).astype("f")
            found = model({"data": rows})["fc_output"]
            if not np.allclose(found, models.expected(made, rows), rtol=1e-4):
                wrong.append((seed, found))

    threads = [threading.Thread(target=call, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    told = accelerator.client.call("ModelStatistics", message("ModelStatisticsRequest")(name=made.name), 5.0).model_stats[0]
    assert told.inference_count > told.execution_count


def test_a_deadline_that_passes_in_the_queue(accelerator: RunningAccelerator) -> None:
    """A call that is too late is DEADLINE_EXCEEDED, and the accelerator goes on."""
    model = accelerator.client.load(models.dense())
    engines = accelerator.engines()
    for engine in engines:
        os.kill(engine, signal.SIGSTOP)
    try:
        with pytest.raises(AcceleratorError) as error:
            accelerator.client.infer(model.name, {"data": ROWS}, timeout=0.3)
        assert code_of(error) == Code.DEADLINE_EXCEEDED
    finally:
        for engine in engines:
            os.kill(engine, signal.SIGCONT)
    assert model({"data": ROWS})["fc_output"].shape == (3, models.UNITS)


def test_wrong_and_missing_tokens(start_accelerator: StartAccelerator, tmp_path: Path) -> None:
    """An accelerator with a token answers nobody who does not have it, not even whether a model is there."""
    (tmp_path / "token").write_text("right\n")
    accelerator = start_accelerator("--token-file", str(tmp_path / "token"))
    for token in ("", "wrong"):
        with closing(Accelerator(Target(accelerator.address, token))) as stranger:
            with pytest.raises(AcceleratorError) as error:
                stranger.info()
            assert code_of(error) == Code.UNAUTHENTICATED
    with closing(Accelerator(Target(accelerator.address, "right"))) as friend:
        assert friend.info().type == catalog.DEFAULT


def test_sigterm_answers_what_was_accepted(start_accelerator: StartAccelerator) -> None:
    """SIGTERM ends it with 0, its engines are gone with it, and nothing that was accepted is lost."""
    accelerator = start_accelerator()
    accelerator.client.load(models.dense())
    engines = accelerator.engines()
    assert accelerator.stop() == 0
    time.sleep(0.2)
    assert not [pid for pid in engines if Path(f"/proc/{pid}").exists()]


def test_foreign_artifacts_need_no_configuration(accelerator: RunningAccelerator) -> None:
    """Files in Triton's layout are taken for what they are."""
    made: Artifact = models.dense()
    load(accelerator, dict(made.files), "by-hand")  # type: ignore[arg-type]
    (found,) = accelerator.client.infer("by-hand", {"data": ROWS}).values()
    np.testing.assert_allclose(found, models.expected(made, ROWS), rtol=1e-5)
