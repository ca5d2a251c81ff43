"""`make test` fails exactly where something in one of its lanes fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import lanes

PASS = [sys.executable, "-c", "print('lane', 'passed')"]
FAIL = [sys.executable, "-c", "print('lane', 'failed'); raise SystemExit(3)"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(lanes, "LOG", tmp_path / "build" / "docker.log")
    monkeypatch.setattr(lanes, "step", lambda *targets: 0)


@pytest.mark.parametrize(
    ("docker", "others", "status"), [(PASS, PASS, 0), (FAIL, PASS, 1), (PASS, FAIL, 1)], ids=["none", "docker", "others"]
)
def test_any_failure_counts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], docker: list[str], others: list[str], status: int
) -> None:
    """The status is 0 only where both lanes passed, and the output of both is shown."""
    monkeypatch.setattr(lanes, "DOCKER", docker)
    monkeypatch.setattr(lanes, "OTHERS", others)
    assert lanes.main() == status
    output = capfd.readouterr().out
    assert output.count("lane passed") == (docker, others).count(PASS)
    assert output.count("lane failed") == (docker, others).count(FAIL)


def test_lint_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lint or type fault fails the run, and the suites run all the same."""
    monkeypatch.setattr(lanes, "step", lambda *targets: 2)
    monkeypatch.setattr(lanes, "DOCKER", PASS)
    monkeypatch.setattr(lanes, "OTHERS", PASS)
    assert lanes.main() == 1
