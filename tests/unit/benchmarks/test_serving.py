"""The run of `serving.py`: its options, its peers, and what makes it fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import harness, serving, user_script
from benchmarks.harness import BenchmarkError
from benchmarks.peers import catalog


def results(own: list[dict[str, Any]], peer: list[dict[str, Any]]) -> dict[str, Any]:
    """A run of one model."""
    return {"models": {"tiny": {"servers": {"ei": own, "mosec": peer}}}}


GOOD: dict[str, Any] = {"loads": {"json-1": {"errors": 0}}}
FAILED = {"loads": {}, "failed": "it ended", "wrong": False}
WRONG = {"loads": {}, "failed": "body 0 got ...", "wrong": True}
LOST = {"loads": {"json-1": {"errors": 2}}}


@pytest.mark.parametrize(
    ("own", "peer", "status"),
    [
        (GOOD, GOOD, 0),
        (GOOD, FAILED, 0),
        (GOOD, LOST, 0),
        (GOOD, WRONG, 1),
        (WRONG, GOOD, 1),
        (FAILED, GOOD, 1),
        (LOST, GOOD, 1),
    ],
    ids=["good", "peer failed", "peer lost some", "peer wrong", "ours wrong", "ours failed", "ours lost some"],
)
def test_verdict(own: dict[str, Any], peer: dict[str, Any], status: int) -> None:
    """Wrong numbers of anybody fail the run; failures and lost requests do where they are ours."""
    assert serving.verdict(results([own], [peer])) == status


def parsed(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """The options of a command line."""
    monkeypatch.setattr(sys, "argv", ["serving.py", *words])
    return serving.parse()


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options there are three rounds of both models beside all peers."""
    options = parsed(monkeypatch)
    assert (options.rounds, options.models, options.peers) == (3, ["tiny", "big"], list(catalog.NAMES))


def test_quick_is_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick run has one round and leaves out the many connections."""
    assert parsed(monkeypatch, "--quick", "--rounds", "9").rounds == 1
    assert [one.label for one in serving.loads(serving.MXNET.trials["tiny"], quick=True)] == ["json-1", "json-16"]


def test_no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours can be measured alone."""
    assert parsed(monkeypatch, "--peers", "none").peers == []


@pytest.mark.parametrize("words", [["--peers", "nobody"], ["--models", "huge"], ["--quick", "--readme"]], ids=" ".join)
def test_usage_errors(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """Unknown names, and figures of a quick run for the README, are usage errors."""
    with pytest.raises(SystemExit) as end:
        parsed(monkeypatch, *words)
    assert end.value.code == 2


def test_a_peer_that_cannot_be_had(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer without the program that it needs is left out, and the run says so."""
    monkeypatch.setenv("PATH", "")
    assert dict(serving.installed(["mms"])) == {}
    assert "without mms: needs java" in capsys.readouterr().err


def test_an_environment_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of the present requirements is taken as it is; of others it is made anew."""
    made: list[list[str]] = []

    def step(command: list[str]) -> None:
        made.append(command)
        (tmp_path / "venvs" / "web").mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(harness, "BUILD", tmp_path)
    monkeypatch.setattr(catalog, "_step", step)
    folder = catalog.environment("web")
    assert len(made) == 2  # the environment, and one list of requirements
    assert catalog.environment("web") == folder
    assert len(made) == 2
    (folder / "digest").write_text("of other requirements")
    catalog.environment("web")
    assert len(made) == 4


def test_a_step_that_fails_is_told() -> None:
    """Where an environment cannot be made the error has what the command said."""
    with pytest.raises(BenchmarkError, match="no index here"):
        catalog._step([sys.executable, "-c", "raise SystemExit('no index here')"])


def test_scripts_are_compared_round_by_round() -> None:
    """A ratio is the median over rounds of two rates of the same round, so that a slow hour counts for both."""
    rounds = {
        "defaults": [{"rate": 100.0}, {"rate": 10.0}, {"rate": 50.0}],
        "other": [{"rate": 50.0}, {"rate": 6.0}, {"rate": 20.0}],
    }
    assert user_script.compare(rounds) == {"defaults": 1.0, "other": 0.5}
