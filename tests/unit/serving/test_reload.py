"""`serve --reload`: what is watched, and that a change starts a new child. The children are real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import reload
from serving.settings import Settings

WAITS = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit({})); print('up', flush=True); signal.pause()"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model directory with a script."""
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text("1")
    (tmp_path / "model" / "model-0000.params").write_text("2")
    return tmp_path / "model"


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The signals that the supervisor takes are put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def touched(path: Path, text: str = "changed") -> None:
    """A file written anew, at another time than before, whatever the clock's grain."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (lambda m: touched(m / "code" / "inference.py"), True),
        (lambda m: touched(m / "code" / "new.py"), True),
        (lambda m: (m / "code" / "inference.py").unlink(), True),
        (lambda m: ((m / "code" / "sub").mkdir(), touched(m / "code" / "sub" / "words.txt")), True),
        (lambda m: ((m / "half" / "code").mkdir(parents=True), touched(m / "half" / "code" / "inference.py")), True),
        (lambda m: None, False),
        (lambda m: ((m / "code" / "__pycache__").mkdir(), touched(m / "code" / "__pycache__" / "a.pyc")), False),
        (lambda m: touched(m / "other.txt"), False),
    ],
    ids=["write", "add", "remove", "below", "of a model", "nothing", "bytecode", "outside"],
)
def test_what_is_watched(model: Path, change: Callable[[Path], Any], seen: bool) -> None:
    """Files of the code folder, of any kind and depth, save Python's own; nothing outside."""
    settings = Settings(model=model)
    before = reload.snapshot(settings)
    change(model)
    assert (reload.snapshot(settings) != before) is seen


def test_the_submit_directory_is_watched(model: Path, tmp_path: Path) -> None:
    """A script that lies elsewhere counts too; a folder that is not there counts as empty."""
    (tmp_path / "elsewhere").mkdir()
    settings = Settings(model=tmp_path / "none", submit_directory=str(tmp_path / "elsewhere"))
    assert reload.snapshot(settings) == {}
    touched(tmp_path / "elsewhere" / "a.py")
    assert list(reload.snapshot(settings)) == [tmp_path / "elsewhere" / "a.py"]


def test_a_file_that_goes_while_it_is_looked_at(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that replaces a file between two looks does not end the supervisor."""
    monkeypatch.setattr(Path, "is_file", lambda self: self.unlink() or True)
    assert reload.snapshot(Settings(model=model)) == {}


@pytest.mark.parametrize("flags", [["--reload"], ["--reload", "true"], ["--reload=yes"], []], ids=lambda flags: " ".join(flags))
def test_the_child_does_not_reload(monkeypatch: pytest.MonkeyPatch, flags: list[str]) -> None:
    """However reloading was asked for, by a flag or by the environment, the child serves with all other flags."""
    from serving import settings

    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: commands.append(command))
    reload._start([*flags, "--port", "81"])
    (command,) = commands
    assert command[:3] == [sys.executable, "-m", "serving"]
    read = settings.read(command[3:], {"EI_RELOAD": "true"})
    assert (read.reload, read.port) == (False, 81)


class Children:
    """Starts small real children in place of servers, which would need a model and a port."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, arguments: list[str]) -> subprocess.Popen[bytes]:
        """A child that ends with its number at SIGTERM."""
        child = subprocess.Popen([sys.executable, "-c", WAITS.format(len(self.started) + 3)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        child.stdout.close()
        self.started.append(child)
        return child


def test_a_change_starts_a_new_child(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a change the child is ended and another started; at SIGTERM the last one's status is the supervisor's."""
    children, polls = Children(), [0]

    def poll(seconds: float) -> None:
        polls[0] += 1
        if len(children.started) == 1:
            touched(model / "code" / "inference.py", str(polls[0]))
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(reload, "_start", children.start)
    monkeypatch.setattr(reload.time, "sleep", poll)
    with pytest.raises(SystemExit) as caught:
        reload.supervise(Settings(model=model), [])
    assert caught.value.code == 4
    assert [child.returncode for child in children.started] == [3, 4]
