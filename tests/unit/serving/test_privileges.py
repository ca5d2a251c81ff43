"""Leaving root: in a forked child for what cannot be undone, and by real files, uids and modes throughout."""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import privileges
from serving.errors import ModelError, SettingsError
from serving.settings import Settings

UID = 10001
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up being root")


@pytest.fixture
def model() -> Iterator[Path]:
    """A model folder that other users can reach (pytest's own folders are closed to them)."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    (place / "model/code").mkdir(parents=True)
    (place / "model/model-symbol.json").write_text("{}")
    (place / "model/code/inference.py").write_text("x = 1\n")
    yield place / "model"
    for folder, _, _ in os.walk(place):
        Path(folder).chmod(0o700)
    shutil.rmtree(place)


def in_child(action: Callable[[], Any]) -> Any:
    """The action's result or exception, in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer: Any = action()
        except Exception as error:
            answer = error
        os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pickle.loads(pipe.read())
    os.waitpid(child, 0)
    if isinstance(answer, Exception):
        raise answer
    return answer


def dropped(model: Path, user: str = str(UID)) -> dict[str, Any]:
    """What a process that dropped its privileges is and sees."""

    def act() -> dict[str, Any]:
        used = privileges.drop(Settings(user=user), model)
        seen = {
            "directory": used,
            "ids": (*os.getresuid(), *os.getresgid(), *os.getgroups()),
            "script": (used / "code/inference.py").read_text(),
            "modes": [oct(path.stat().st_mode & 0o7777) for path in (used.parent, used, used / "model-symbol.json")],
            "home": os.environ["HOME"],
        }
        if used != model:
            shutil.rmtree(used.parent)
        return seen

    seen: dict[str, Any] = in_child(act)
    return seen


@as_root
def test_root_becomes_the_user(model: Path) -> None:
    """Root goes on as the uid, without groups and without a way back; an open model folder is used where it is."""
    seen = dropped(model)
    assert seen["ids"] == (UID,) * 6
    assert seen["directory"] == model
    assert seen["home"] == tempfile.gettempdir()


@as_root
@pytest.mark.parametrize("closed", [".", "code", "code/inference.py"])
def test_closed_folder_is_copied(model: Path, closed: str) -> None:
    """A folder that the uid cannot read, in whatever part, is copied to one that only the uid can."""
    (model / closed).chmod(0o700 if (model / closed).is_dir() else 0o600)
    seen = dropped(model)
    assert seen["directory"] != model
    assert seen["script"] == "x = 1\n"
    assert seen["modes"] == ["0o700", "0o700", "0o400"]


@as_root
def test_copy_is_logged(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The log says what was copied, where to, and its size."""
    model.chmod(0o700)

    def act() -> str:
        with caplog.at_level("INFO", "ei.start"):
            used = privileges.drop(Settings(user=str(UID)), model)
        shutil.rmtree(used.parent)
        return caplog.text

    assert f"{model} is closed to uid {UID}: copied to" in in_child(act)


@as_root
def test_archive_that_is_closed(model: Path) -> None:
    """A model that is one closed archive file is copied as a file."""
    archive = model / "model.tar.gz"
    archive.write_bytes(b"bytes")
    archive.chmod(0o600)

    def act() -> bytes:
        used = privileges.drop(Settings(user=str(UID)), archive)
        data = used.read_bytes()
        shutil.rmtree(used.parent)
        return data

    assert in_child(act) == b"bytes"


@as_root
def test_no_room_for_the_copy(model: Path) -> None:
    """Where the copy cannot be made the message has the folder, the uid and three remedies."""
    model.chmod(0o700)

    def act() -> None:
        tempfile.tempdir = "/proc/self"
        privileges.drop(Settings(user=str(UID)), model)

    with pytest.raises(ModelError, match=f"is closed to uid {UID}, and cannot be copied to /tmp: .*chmod -R a.rX.*--user"):
        in_child(act)


@as_root
def test_another_uid_that_cannot_read(model: Path) -> None:
    """A process that is no root stays what it is and is told which path it cannot read, with uid, mode and owner."""
    model.chmod(0o700)

    def act() -> None:
        os.setuid(12345)
        privileges.drop(Settings(user=str(UID)), model)

    with pytest.raises(
        ModelError, match="cannot be read by uid 12345: Permission denied; its mode is 0700 and its owner uid 0"
    ):
        in_child(act)


@as_root
def test_closed_folder_above(model: Path) -> None:
    """A closed folder above the model is said to be the obstacle, as nothing below it can be seen."""
    model.parent.chmod(0o700)

    def act() -> None:
        os.setuid(12345)
        privileges.drop(Settings(user=str(UID)), model)

    with pytest.raises(ModelError, match="a folder above it is closed to uid 12345"):
        in_child(act)


def test_stays_without_a_user(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without EI_USER nothing changes, and the log has the uid."""
    with caplog.at_level("INFO", "ei.start"):
        assert privileges.drop(Settings(), model) == model
    assert f"serving as uid {os.geteuid()}" in caplog.text


def test_missing_directory_is_left_to_others(tmp_path: Path) -> None:
    """A directory that is not there is no question of rights."""
    assert privileges.drop(Settings(), tmp_path / "none") == tmp_path / "none"


def test_unknown_user(model: Path) -> None:
    """A user name that has no account is a settings error, whoever starts."""
    with pytest.raises(SettingsError, match="EI_USER='nobody-of-that-name': there is no such user"):
        privileges.drop(Settings(user="nobody-of-that-name"), model)


@pytest.mark.parametrize(
    ("effective", "expected"),
    [
        ("000001ffffffffff", True),
        ("00000000a80425fb", True),
        ("0000000000000000", False),
        ("0000000000000080", False),
        ("0000000000000040", False),
    ],
    ids=["all", "docker's default", "none", "setuid alone", "setgid alone"],
)
def test_capabilities(tmp_path: Path, effective: str, expected: bool) -> None:
    """Both capabilities are needed to change the uid: `--cap-drop ALL` takes them from root."""
    (tmp_path / "status").write_text(f"Name:\tserve\nCapEff:\t{effective}\nThreads:\t1\n")
    assert privileges._may_change_ids(tmp_path / "status") is expected


@as_root
def test_root_without_capabilities_stays(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Root that may not change its uid serves as it is, and says so."""
    monkeypatch.setattr(privileges, "_may_change_ids", lambda: False)
    with caplog.at_level("INFO", "ei.start"):
        assert privileges.drop(Settings(user=str(UID)), model) == model
    assert f"serving as uid 0 without capabilities: uid {UID} cannot be taken" in caplog.text


def test_links_do_not_loop(model: Path) -> None:
    """A link to a folder above, or to nothing, does not stop the look through the folder."""
    (model / "loop").symlink_to(model)
    (model / "dangling").symlink_to(model / "none")
    assert privileges.drop(Settings(), model) == model
