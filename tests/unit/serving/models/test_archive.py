"""Archives: unpacked whole, or refused with the member that must not be there."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from serving.errors import ModelError
from serving.models.archive import directory_of, extract

Entry = tuple[str, bytes | tarfile.TarInfo]


def packed(path: Path, *entries: Entry) -> Path:
    """A model.tar.gz of files (name, bytes) and of members that a test made by hand."""
    with tarfile.open(path, "w:gz") as tar:
        for name, what in entries:
            if isinstance(what, tarfile.TarInfo):
                tar.addfile(what)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(what)
            tar.addfile(info, io.BytesIO(what))
    return path


def special(name: str, kind: bytes, target: str = "") -> Entry:
    """A link, a device or a folder."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A sound archive of a model with a script."""
    return packed(tmp_path / "model.tar.gz", ("model-symbol.json", b"{}"), ("./code/inference.py", b"x = 1\n"))


def test_unpacks_once(archive: Path, tmp_path: Path) -> None:
    """An archive becomes a folder of its own, which the next start uses again; a new archive becomes a new one."""
    first = extract(archive, tmp_path / "site")
    assert (first / "code/inference.py").read_text() == "x = 1\n"
    (first / "seen").touch()
    assert (extract(archive, tmp_path / "site") / "seen").exists()
    packed(archive, ("model-symbol.json", b"{ }"))
    assert not (extract(archive, tmp_path / "site") / "seen").exists()
    assert [path.name for path in (tmp_path / "site").iterdir() if path.name.startswith(".")] == []


def test_which_directory(archive: Path, tmp_path: Path) -> None:
    """An archive, or a directory with nothing else in it, is unpacked; a directory with more in it is used as it is."""
    site, folder = tmp_path / "site", tmp_path / "mount"
    assert directory_of(archive, site).parent == site
    folder.mkdir()
    archive.rename(folder / "model.tar.gz")
    (folder / ".hidden").touch()
    assert directory_of(folder, site).parent == site
    (folder / "model-symbol.json").touch()
    assert directory_of(folder, site) == folder
    assert directory_of(tmp_path / "missing", site) == tmp_path / "missing"


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    """A file of another kind is refused by name, a zip too."""
    for name in ("model.onnx", "model.zip"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(ModelError, match=f"{name} is a file, and no .tar.gz"):
            directory_of(tmp_path / name, tmp_path / "site")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (("/etc/passwd", b"x"), "leads out"),
        (("../up", b"x"), "leads out"),
        (("a/../../up", b"x"), "leads out"),
        (special("null", tarfile.CHRTYPE), "device"),
        (special("disk", tarfile.BLKTYPE), "device"),
        (special("pipe", tarfile.FIFOTYPE), "pipe"),
        (special("out", tarfile.SYMTYPE, "../../etc"), "outside of it"),
        (special("out", tarfile.SYMTYPE, "/etc/passwd"), "outside of it"),
        (special("out", tarfile.LNKTYPE, "../up"), "outside of it"),
        (special("dangling", tarfile.SYMTYPE, "nothing"), "which is not in it"),
        (special("../up", tarfile.SYMTYPE, "ok"), "leads out"),
    ],
)
def test_members_that_lead_out(tmp_path: Path, entry: Entry, told: str) -> None:
    """A member that would be written or would point elsewhere refuses the whole archive, and nothing stays behind."""
    site = tmp_path / "site"
    with pytest.raises(ModelError, match=told):
        extract(packed(tmp_path / "model.tar.gz", ("ok", b"x"), entry), site)
    assert list(site.iterdir()) == []
    assert not (tmp_path / "up").exists()


def test_writing_through_a_link(tmp_path: Path) -> None:
    """A link does not redirect the files that follow it: links are made last."""
    (tmp_path / "outside").mkdir()
    entries = [special("dir", tarfile.SYMTYPE, "../../outside"), ("dir/file", b"x")]
    with pytest.raises(ModelError, match="outside of it"):
        extract(packed(tmp_path / "model.tar.gz", *entries), tmp_path / "site")
    assert list((tmp_path / "outside").iterdir()) == []


def test_links_inside(tmp_path: Path) -> None:
    """Links to files and folders of the same archive work, symbolic and hard."""
    entries = [
        ("v1/model.params", b"p"),
        special("now", tarfile.SYMTYPE, "v1"),
        special("b/again", tarfile.LNKTYPE, "v1/model.params"),
    ]
    folder = extract(packed(tmp_path / "model.tar.gz", *entries), tmp_path / "site")
    assert (folder / "now/model.params").read_bytes() == b"p"
    assert (folder / "b/again").read_bytes() == b"p"


def test_size_limit(tmp_path: Path) -> None:
    """More bytes than the limit are refused while the archive is small."""
    bomb = packed(tmp_path / "model.tar.gz", ("zeros", bytes(3 << 20)))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ModelError, match="unpacks to more than 2 MiB"):
        extract(bomb, tmp_path / "site", limit=2 << 20)
    assert list((tmp_path / "site").iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-40],
        lambda data: data[:-1],
        lambda data: data[:-8] + b"\0\0\0\0" + data[-4:],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"plain text",
        lambda data: gzip.compress(b"no tar" * 200),
    ],
    ids=["tail", "last byte", "checksum", "half", "empty", "text", "no tar"],
)
def test_damaged_archives(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """An archive that was cut off, or is none, is told in one message; half of it is never served."""
    path = packed(tmp_path / "model.tar.gz", ("noise", os.urandom(50_000)), ("end", b"x"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match="no whole archive"):
        extract(path, tmp_path / "site")
    assert list((tmp_path / "site").iterdir()) == []


def test_modes_are_plain(tmp_path: Path) -> None:
    """Files are readable whatever the archive says, and executable only where it says so; no set-uid bit survives."""
    tool = tarfile.TarInfo("tool")
    tool.mode = 0o4700
    closed = tarfile.TarInfo("closed")
    closed.mode = 0
    folder = extract(packed(tmp_path / "model.tar.gz", ("", tool), ("", closed)), tmp_path / "site")
    assert [(folder / name).stat().st_mode & 0o7777 for name in ("tool", "closed")] == [0o755, 0o644]


def test_folder_that_cannot_be_written(archive: Path, tmp_path: Path) -> None:
    """Where nothing can be written the message names the folder and the remedy."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match=r"cannot be unpacked to .*file/site: .*mount a writable folder there"):
        extract(archive, tmp_path / "file" / "site")
