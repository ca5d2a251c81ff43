"""A `model.tar.gz` into a directory, as the platform would have unpacked it, trusting nothing that is in it.

    --model FILE.tar.gz, or a directory with nothing else in it -> members, each checked -> a temporary name -> rename

Written for archives of strangers: no absolute paths, no `..`, no devices, no links that lead out, no more bytes than the
limit. Links are made when all files are there, so that no file is ever written through one. (The tarfile filters that check
the same are not in every 3.11.)
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

from serving.errors import ModelError
from serving.models.layout import ARCHIVES, CLUTTER, denied

log = logging.getLogger("ei.models")

TARS = (".tar.gz", ".tgz", ".tar")
MAX_BYTES = 64 << 30
MAX_MEMBERS = 200_000
CHUNK = 1 << 20


def directory_of(model: Path, folder: Path, limit: int = MAX_BYTES) -> Path:
    """The model directory behind `--model`: itself, or what was unpacked from the archive that it is or alone holds.

    Archives are unpacked below `folder`; one that was unpacked before (same path, size and time) is not unpacked again.
    """
    archive = _archive(model)
    return model if archive is None else extract(archive, folder, limit)


def extract(archive: Path, folder: Path, limit: int = MAX_BYTES) -> Path:
    """Unpack an archive to a folder of its own below `folder`, whole or not at all; ModelError where it cannot be.

    `limit` is in bytes of unpacked files.
    """
    try:
        status = archive.stat()
        key = hashlib.sha256(f"{archive.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:12]
        target = folder / f"model-{key}"
        if target.is_dir():
            return target
        with archive.open("rb"):
            pass
    except OSError as error:
        raise denied(archive, error) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    except OSError as error:
        raise ModelError(
            f"{archive} cannot be unpacked to {folder}: {error.strerror}; mount a writable folder there (--tmpfs /tmp), or the unpacked model"
        ) from None
    try:
        _unpack(archive, partial, limit)
        partial.chmod(0o755)
        partial.rename(target)
    except OSError as error:
        if not target.is_dir():  # another process may have unpacked the same archive first
            raise ModelError(f"{archive} cannot be unpacked to {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    log.info("%s: unpacked to %s", archive, target)
    return target


def _archive(model: Path) -> Path | None:
    """The archive that is to be unpacked, or None where the directory holds something else (or cannot be listed: say so later)."""
    if model.is_file():
        if model.name.endswith(TARS):
            return model
        raise ModelError(f"{model} is a file, and no {' or '.join(TARS)} archive: expected a model directory or its archive")
    try:
        names = [name for name in os.listdir(model) if not name.startswith(".") and name not in CLUTTER]
    except OSError:
        return None
    if len(names) == 1 and names[0].endswith(ARCHIVES) and (model / names[0]).is_file():
        return _archive(model / names[0])
    return None


def _unpack(archive: Path, root: Path, limit: int) -> None:
    """All members below root; ModelError names the first that must not be there."""
    left = limit
    links: list[tarfile.TarInfo] = []
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in _members(archive, tar):
                path = root / _inside(archive, member.name)
                if member.isdir():
                    path.mkdir(parents=True, exist_ok=True)
                elif member.isfile():
                    left -= member.size
                    if left < 0:
                        raise ModelError(f"{archive} unpacks to more than {limit >> 20} MiB, the limit")
                    _write(tar, member, path)
                elif member.issym() or member.islnk():
                    links.append(member)
                else:
                    raise ModelError(f"{archive} holds {member.name!r}, which is a device or a pipe: not unpacked")
            _read_out(archive, tar, left)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ModelError(f"{archive} is no whole archive ({error}): was it uploaded and copied to its end?") from None
    except OSError as error:
        if error.errno is None:  # gzip's and lzma's own complaints come as OSError without a number
            raise ModelError(f"{archive} is no whole archive ({error}): was it uploaded and copied to its end?") from None
        raise
    for link in links:
        _link(archive, link, root)


def _read_out(archive: Path, tar: tarfile.TarFile, left: int) -> None:
    """Read what follows the last member: a cut within it, and the checksum of the whole, are seen at the end alone."""
    assert tar.fileobj is not None
    while rest := tar.fileobj.read(CHUNK):
        left -= len(rest)
        if left < 0:
            raise ModelError(f"{archive} unpacks to more bytes than its files have, over the limit")


def _members(archive: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for number, member in enumerate(tar):
        if number >= MAX_MEMBERS:
            raise ModelError(f"{archive} holds more than {MAX_MEMBERS} files, the limit")
        yield member


def _inside(archive: Path, name: str) -> Path:
    """A member's name as a path below the root; ModelError where it leads elsewhere."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise ModelError(f"{archive} holds {name!r}, which leads out of the model directory: not unpacked")
    return Path(*parts)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = tar.extractfile(member)
    assert source is not None  # isfile() said so
    with source, path.open("wb") as file:
        shutil.copyfileobj(source, file, CHUNK)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _link(archive: Path, member: tarfile.TarInfo, root: Path) -> None:
    """A link to a file or folder of the same archive: a hard link's name is from the root, a symbolic one's from its folder."""
    path = root / _inside(archive, member.name)
    start = root if member.islnk() else path.parent
    target = Path(os.path.realpath(start / member.linkname))
    if not target.is_relative_to(os.path.realpath(root)) or os.path.isabs(member.linkname):
        raise ModelError(f"{archive} holds {member.name!r}, a link to {member.linkname!r} outside of it: not unpacked")
    if not target.exists():
        raise ModelError(f"{archive} holds {member.name!r}, a link to {member.linkname!r}, which is not in it")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent))
