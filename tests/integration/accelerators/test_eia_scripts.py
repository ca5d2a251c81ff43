"""Scripts of both Elastic Inference generations, unmodified: on an accelerator they print what they print locally."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.accelerators import scripts as runner
from serving.backends.mxnet_import import import_mxnet
from tests.integration.accelerators.conftest import RunningAccelerator, run_script

SCRIPTS = Path(__file__).parent / "eia_scripts"
RUNNER = Path(__file__).parent / "script_runner.py"
CALLS = {
    "symbol_bind": 13,
    "symbol_checkpoint": 5,
    "module_predict": 5,
    "default_handler": 4,
    "module_shapes": 5,
    "module_bucketing": 5,
    "keras_context": 3,
    "module_types": 4,
    "parameters_changed": 12,
    "odd_names": 5,
    "eimx_module": 3,
    "eimx_bind": 3,
    "gluon_symbol_block": 8,
    "gluon_model_zoo": 4,
    "gluon_detector": 4,
    "gluon_backend": 5,
}
"""How many passes each script makes: all of them must reach the accelerator."""
each_script = pytest.mark.parametrize("name", CALLS)
Report = dict[str, dict[str, Any]]


def test_every_script_is_run() -> None:
    """No script lies about that no test runs."""
    assert {path.stem for path in SCRIPTS.glob("*.py")} == {*CALLS, "refused"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models that the scripts load: checkpoints with and without a loss layer, an exported block, parameters of the zoo."""
    mx = import_mxnet()
    made = tmp_path_factory.mktemp("models")
    mx.random.seed(0)
    np.random.seed(0)
    data = mx.sym.var("data")
    hidden = mx.sym.Convolution(data, num_filter=8, kernel=(3, 3), name="conv")
    hidden = mx.sym.Activation(mx.sym.BatchNorm(hidden, name="bn"), act_type="relu", name="relu")
    head = mx.sym.FullyConnected(mx.sym.Pooling(hidden, global_pool=True, kernel=(1, 1)), num_hidden=5, name="fc")
    symbols = {"headless": head, "block": mx.sym.softmax(head, name="prob"), "net": mx.sym.SoftmaxOutput(head, name="softmax")}
    shapes = dict(zip(head.list_arguments(), head.infer_shape(data=(1, 3, 16, 16))[0], strict=True))
    random = np.random.RandomState(0)
    args = {name: mx.nd.array(random.rand(*shape)) for name, shape in shapes.items() if name != "data"}
    aux = {name: mx.nd.array(random.rand(8)) for name in head.list_auxiliary_states()}
    for name, symbol in symbols.items():
        mx.model.save_checkpoint(str(made / name), 0, symbol, args, aux)
    zoo = mx.gluon.model_zoo.vision.get_model("mobilenet0.25", classes=7)
    zoo.initialize(mx.init.Xavier())
    zoo(mx.nd.zeros((1, 3, 32, 32)))
    zoo.save_parameters(str(made / "zoo.params"))
    return made


def _run(mode: str, env: dict[str, str], folder: Path, names: list[str]) -> Report:
    paths = [str(SCRIPTS / f"{name}.py") for name in names]
    command = [sys.executable, str(RUNNER), mode, *paths]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    return {Path(report["script"]).stem: {**report, "log": done.stderr} for report in reports}


@pytest.fixture(scope="module")
def attached(accelerator: RunningAccelerator, folder: Path) -> Report:
    """What the scripts do on the accelerator."""
    present = {"SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT": "true"}
    return _run("attached", {**accelerator.env, **present}, folder, [*CALLS, "refused"])


@pytest.fixture(scope="module")
def local(accelerator: RunningAccelerator, folder: Path) -> Report:
    """What they do on this host: one thread, as the accelerator has.

    MXNet's oneDNN graphs do not notice parameters that change after their first pass; one script needs it without them.
    """
    env = {**accelerator.env, "OMP_NUM_THREADS": "1", "EI_ACCELERATORS": ""}
    changed = _run("local", {**env, "MXNET_SUBGRAPH_BACKEND": "NONE"}, folder, ["parameters_changed"])
    return {**_run("local", env, folder, [name for name in CALLS if name not in changed]), **changed}


@each_script
def test_answers_are_those_of_a_local_run(name: str, attached: Report, local: Report) -> None:
    """A script's answers are the local ones: bit for bit with symbols and modules, within 1e-6 with Gluon."""
    far, near = attached[name]["lines"], local[name]["lines"]
    assert near
    if not name.startswith("gluon"):
        assert far == near
    for ours, theirs in zip(far, near, strict=True):
        _compare(json.loads(ours), json.loads(theirs))


def _compare(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, list) and any(isinstance(one, (list, str)) for one in theirs):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            _compare(one, other)
    elif isinstance(theirs, str):
        assert ours == theirs
    else:
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


@each_script
def test_every_pass_is_made_by_the_accelerator(name: str, attached: Report) -> None:
    """The accelerator counts as many passes as the script makes: none was computed here without a word."""
    assert attached[name]["calls"] == CALLS[name]


def test_the_banner_is_printed_once(attached: Report) -> None:
    """A process says what accelerator it uses as Elastic Inference's client did, and only at its first use."""
    log = attached["symbol_bind"]["log"]
    assert log.count("Number of Elastic Inference Accelerators Available: 1") == 1
    assert log.count("Elastic Inference Accelerator Type: eia2.medium") == 1


def test_refusals_have_the_known_words(attached: Report) -> None:
    """What Elastic Inference did not do is refused in one line that begins with its words."""
    messages = [json.loads(line) for line in attached["refused"]["lines"]][:-1]
    several, training = "Maximum one EIA device can be attached", "for training cannot be set to true with EIA context"
    expected = [several, several, training, training, training, several, "Failed to detect any accelerator", training]
    assert [message[: len(start)] for message, start in zip(messages, expected, strict=True)] == expected
    assert not any("\n" in message for message in messages)
    assert attached["refused"]["calls"] == 0


def test_run_as_a_module(accelerator: RunningAccelerator) -> None:
    """`python -m serving.accelerators.scripts SCRIPT` runs a script on the accelerator."""
    before = accelerator.requests()
    assert run_script(accelerator, SCRIPTS / "symbol_bind.py").splitlines()[-1] == "[3.0, 3.0]"
    assert accelerator.requests() - before == CALLS["symbol_bind"]


def test_run_by_plain_python(accelerator: RunningAccelerator, tmp_path: Path) -> None:
    """With our folder on PYTHONPATH plain `python SCRIPT` does so too, and the user's own sitecustomize is run as well."""
    (tmp_path / "sitecustomize.py").write_text("print('mine')\n")
    before = accelerator.requests()
    env = {**accelerator.env, "PYTHONPATH": f"{runner.SITE}:{tmp_path}"}
    command = [sys.executable, str(SCRIPTS / "symbol_bind.py")]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.splitlines()[0], done.stdout.splitlines()[-1]) == ("mine", "[3.0, 3.0]")
    assert accelerator.requests() - before == CALLS["symbol_bind"]
