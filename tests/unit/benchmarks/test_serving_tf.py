"""The run of `serving_tf.py`: the same program as `serving.py`, for other models, peers and a limit of its own."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import models, report, serving, serving_tf, tf_limit, tf_models
from benchmarks.peers import catalog
from benchmarks.server import Place

ROOT = Path(__file__).parents[3]
PLACE = Place(8080, Path("model"), Path("scratch"))


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The options of a command line."""
    monkeypatch.setattr(sys, "argv", ["serving_tf.py", *words])
    return serving.parse(serving_tf.TENSORFLOW)


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options there are three rounds of all models beside both peers."""
    options = parsed(monkeypatch)
    assert (options.rounds, options.models, options.peers) == (3, ["half", "resnet", "frozen"], ["uvicorn", "flask"])


def test_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models, peers and rounds are chosen as in `serving.py`."""
    options = parsed(monkeypatch, "--models", "half", "--peers", "flask", "--rounds", "1")
    assert (options.rounds, options.models, options.peers) == (1, ["half"], ["flask"])


@pytest.mark.parametrize("words", [["--peers", "mosec"], ["--models", "tiny"]], ids=" ".join)
def test_those_of_mxnet_are_unknown(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Models and peers of the other program are usage errors."""
    with pytest.raises(SystemExit) as end:
        parsed(monkeypatch, *words)
    assert end.value.code == 2


@pytest.mark.parametrize("suite", [serving.MXNET, serving_tf.TENSORFLOW], ids=lambda suite: suite.program)
def test_every_part_of_a_suite_is_there(suite: serving.Suite) -> None:
    """A suite's modules exist, and each of its models has a title, loads of known bodies, and a limit at batch 1."""
    for module in (suite.maker, suite.limit):
        assert importlib.util.find_spec(f"benchmarks.{module}")
    for name, trial in suite.trials.items():
        assert name in report.TITLES
        assert trial.batches[0] == "1"
        assert {one.kind for one in trial.loads} <= set(models.CONTENT_TYPES)


@pytest.mark.parametrize("peer", catalog.TF_PEERS, ids=lambda peer: peer.name)
def test_peers_run_the_tensorflow_code(peer: catalog.Peer) -> None:
    """A TensorFlow peer is told the model, the code that runs it, and one thread."""
    told = catalog.variables(Path("venvs") / peer.environment / "bin", PLACE)
    assert (told["BENCH_CODE"], told["BENCH_MODEL"], told["OMP_NUM_THREADS"]) == ("tf_model", "model", "1")
    assert (ROOT / "benchmarks/peers" / f"{told['BENCH_CODE']}.py").exists()
    assert (ROOT / "benchmarks/peers" / f"requirements-{peer.environment}.txt").exists()


def test_peers_of_mxnet_run_its_code() -> None:
    """The peers that there were before are told MXNet's code."""
    assert catalog.variables(Path("venvs/web/bin"), PLACE)["BENCH_CODE"] == "mxnet_model"


def test_every_model_has_a_shape() -> None:
    """What is measured can be made."""
    assert set(serving_tf.TENSORFLOW.trials) == set(tf_models.SHAPES)


def test_the_version_is_found(tmp_path: Path) -> None:
    """The limit runs the version that the servers serve, whatever its number."""
    (tmp_path / "0007").mkdir()
    (tmp_path / "0007" / "saved_model.pb").touch()
    assert tf_limit.version(str(tmp_path)) == tmp_path / "0007"
