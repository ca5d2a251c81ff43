"""Filling the wheelhouse."""

from __future__ import annotations

from pathlib import Path

import pytest

from container import commands, wheelhouse
from container.errors import ContainerError


def fetch(command: list[str], remedy: str) -> None:
    """Stands for pip: puts one file where it is told to."""
    (Path(command[command.index("--dest") + 1]) / "new.whl").write_text("wheel")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file."""
    path = tmp_path / "lock.txt"
    path.write_text("numpy==1.26.4\n")
    return path


def test_filled_once(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheelhouse of the same locks is left alone."""
    monkeypatch.setattr(commands, "run", fetch)
    wheelhouse.fill(tmp_path / "wheels", (lock,))
    monkeypatch.setattr(commands, "run", lambda command, remedy: pytest.fail("fetched again"))
    wheelhouse.fill(tmp_path / "wheels", (lock,))
    assert (tmp_path / "wheels" / "new.whl").is_file()


def test_changed_lock(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another lock fetches anew, and nothing of the old one stays."""
    monkeypatch.setattr(commands, "run", fetch)
    wheelhouse.fill(tmp_path / "wheels", (lock,))
    (tmp_path / "wheels" / "old.whl").write_text("old")
    lock.write_text("numpy==1.26.3\n")
    wheelhouse.fill(tmp_path / "wheels", (lock,))
    assert sorted(path.name for path in (tmp_path / "wheels").iterdir()) == [wheelhouse.STAMP, "new.whl"]


def test_failed_fetch_keeps_what_was_there(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an index the old wheelhouse stays, and does not pass for the new lock's."""
    monkeypatch.setattr(commands, "run", fetch)
    wheelhouse.fill(tmp_path / "wheels", (lock,))
    lock.write_text("numpy==1.26.3\n")

    def fail(command: list[str], remedy: str) -> None:
        raise ContainerError("pip failed", remedy)

    monkeypatch.setattr(commands, "run", fail)
    for _ in range(2):
        with pytest.raises(ContainerError, match="pip failed"):
            wheelhouse.fill(tmp_path / "wheels", (lock,))
    assert (tmp_path / "wheels" / "new.whl").is_file()


def test_what_lies_here_is_not_fetched_again(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wheels of an earlier lock, and of the other images, are offered to pip; half-fetched ones are not."""
    asked: list[str] = []

    def record(command: list[str], remedy: str) -> None:
        asked.extend(command)

    monkeypatch.setattr(commands, "run", record)
    for name in ("mxnet", "tf", "other.partial"):
        (tmp_path / name).mkdir()
    wheelhouse.fill(tmp_path / "tf", (lock,))
    links = [asked[index + 1] for index, word in enumerate(asked) if word == "--find-links"]
    assert links == [str(tmp_path / "mxnet"), str(tmp_path / "tf")]


def test_hashes_are_required() -> None:
    """Whatever the host is, pip is asked for the image's platform, and for nothing without a hash."""
    command = wheelhouse._download(Path("a"), [], (Path("lock"),))
    assert {"--require-hashes", "--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64"} <= set(
        command
    )
