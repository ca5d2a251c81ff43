"""Finding an engine, without one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from container import commands, engine
from container.errors import ContainerError


def test_nobody_else_can_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no engine answers and this is not root, the error says what to type."""
    monkeypatch.setattr(engine, "answering", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ContainerError) as caught:
        engine.ensure()
    assert "apt-get install docker.io" in caught.value.remedy


def test_an_engine_that_answers_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed or started where a client already reaches an engine."""
    monkeypatch.setattr(engine, "answering", lambda: "/some/docker")
    monkeypatch.setattr(engine, "install", lambda packages: pytest.fail("installed something"))
    assert engine.ensure() == "/some/docker"


def test_debians_client_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tested client wins over another that stands first on PATH."""
    asked: list[str] = []

    def answers(command: list[str], timeout: float) -> bool:
        asked.append(command[0])
        return True

    monkeypatch.setattr(commands, "succeeds", answers)
    assert engine.answering() == engine.DEBIAN_CLIENT
    assert asked == [engine.DEBIAN_CLIENT]


def test_a_stale_pid_file_is_no_engine(tmp_path: Path) -> None:
    """A pid file that names a process of another kind, or none, does not keep an engine from being started."""
    file = tmp_path / "docker.pid"
    assert not engine._is_dockerd(file)
    file.write_text(str(os.getpid()))
    assert not engine._is_dockerd(file)
    file.write_text("no number")
    assert not engine._is_dockerd(file)


@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 0\n"], ids=["none", "the machine's own"])
def test_service_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    """While packages are installed no service starts, and a policy that the machine had is as it was."""
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(engine, "POLICY", policy)
    if before:
        policy.write_text(before)
    with engine._no_service_starts():
        assert policy.read_text() == (before or "#!/bin/sh\nexit 101\n")
    assert policy.exists() == bool(before)
    assert not before or policy.read_text() == before


def test_missing_packages() -> None:
    """What dpkg does not know as installed is missing."""
    assert engine.missing(("ei-no-such-package",)) == ["ei-no-such-package"]


def test_waiting_ends() -> None:
    """Waiting gives up when its seconds are over, and asks at least once."""
    answers = iter([False, False, True])
    assert engine.wait_until(lambda: next(answers), 60, pause=0)
    assert not engine.wait_until(lambda: False, 0, pause=0)
