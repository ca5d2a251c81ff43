"""The entry point: from a command line to an exit status and one message."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import __main__ as entry
from serving import reload
from serving.errors import StartError
from serving.settings import Settings


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process' logging, environment and signals are put back."""
    root, ours, alarm = logging.getLogger(), logging.getLogger("ei"), signal.getsignal(signal.SIGALRM)
    handlers, levels = list(root.handlers), (root.level, ours.level)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(False)
    signal.signal(signal.SIGALRM, alarm)


def exit_of(*argv: str) -> Any:
    """The exit status of a command line."""
    with pytest.raises(SystemExit) as caught:
        entry.main(argv)
    return caught.value.code


def test_invalid_settings(capsys: pytest.CaptureFixture[str]) -> None:
    """All faults in one message on stderr, exit 1, no traceback."""
    assert exit_of("--port", "0", "--wide", "perhaps") == 1
    said = capsys.readouterr().err
    assert said.startswith("serve: these settings are invalid:\n")
    assert "--port='0'" in said
    assert "--wide='perhaps'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("argv", [["--help"], ["serve", "--help"]])
def test_help(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`docker run IMAGE serve` hands the word on: it is no argument."""
    assert exit_of(*argv) == 0
    assert "example: serve --model" in capsys.readouterr().out


def test_settings_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command line says is what is served, with one thread in the process that forks."""
    served: list[Settings] = []
    monkeypatch.setattr(entry, "serve", lambda settings, arguments: served.append(settings))
    entry.main(["serve", "--port", "81", "--model", "/m"])
    assert [(settings.port, settings.model) for settings in served] == [(81, Path("/m"))]


def test_reload_supervises(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--reload` hands over to the supervisor, with the whole command line."""
    seen: list[Any] = []
    monkeypatch.setattr(reload, "supervise", lambda settings, arguments: seen.append(arguments))
    monkeypatch.setattr(entry, "serve", lambda *_: pytest.fail("the supervisor's child serves"))
    entry.main(["--reload", "--port", "81"])
    assert seen == [["--reload", "--port", "81"]]


def test_a_start_that_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A StartError is one message and exit 1."""

    def fail(settings: Settings, arguments: list[str]) -> None:
        raise StartError("no model there")

    monkeypatch.setattr(entry, "serve", fail)
    assert exit_of() == 1
    assert capsys.readouterr().err == "serve: no model there\n"


def test_a_missing_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A model directory that is not there is named, without a traceback."""
    assert exit_of("--model", str(tmp_path / "none")) == 1
    said = capsys.readouterr().err
    assert str(tmp_path / "none") in said
    assert "Traceback" not in said


def test_time_to_load() -> None:
    """A load that takes longer than it may ends in a message that names the setting; nothing rings afterwards."""
    with pytest.raises(StartError, match=r"within 0.01 s \(SAGEMAKER_STARTUP_TIMEOUT\)"), entry._time_limit(0.01):
        signal.pause()
    with entry._time_limit(60):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_threads_are_noticed() -> None:
    """A thread besides this one is noticed: it would not live through a fork, and its locks would."""
    before = entry._has_threads()
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        assert entry._has_threads()
    finally:
        done.set()
        thread.join()
    assert entry._has_threads() is before


def test_starting_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where loading started threads the process begins again with the same flags, and loads nothing this time."""
    from serving import settings

    commands: list[list[str]] = []
    monkeypatch.setattr(entry.os, "execv", lambda path, command: commands.append(command))
    entry._start_over(Settings(model=Path("/unpacked"), omp_threads=4), ["--port", "81", "--preload", "true"])
    (command,) = commands
    read = settings.read(command[3:], {})
    assert (read.port, read.preload, read.model_dir, read.omp_threads) == (81, False, Path("/unpacked"), 4)


def test_one_model() -> None:
    """A container that is told to serve many models says that it serves one, instead of going on with none of them."""
    with pytest.raises(StartError, match="SAGEMAKER_MULTI_MODEL is set"):
        entry.serve(Settings(multi_model=True))
