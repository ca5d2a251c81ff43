"""From root to the user that serves: once, before any user code or socket runs.

    root with EI_USER -> can that uid read the model? -> else one private copy -> setgroups, setgid, setuid -> go on

The image starts as root because the SDK's local mode mounts model folders of mode 0700 that root owns. Root that may not
change its uid (`--cap-drop ALL`), and any other uid (`--user`, `runAsUser`), stay what they are and open what they can.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving import settings as environment
from serving.errors import ModelError, SettingsError
from serving.models.layout import denied
from serving.settings import Settings

log = logging.getLogger("ei.start")
TEMPORARY = "/tmp"  # noqa: S108 - named, not asked of tempfile, which raises where no folder can be written

CAP_SETGID, CAP_SETUID = 6, 7
"""Bits of a capability set (capabilities(7), linux/capability.h)."""


def drop(settings: Settings, directory: Path) -> Path:
    """Go on as `settings.user` where the start is root's; the model directory to use from now on.

    ModelError where the model cannot be read in the end, with uid, mode and owner; SettingsError for a user that is none.
    """
    uid, gid = _ids(settings.user)
    if os.geteuid() != 0 or uid == 0 or not settings.user:
        log.info("serving as uid %d", os.geteuid())
    elif not _may_change_ids():
        log.info("serving as uid 0 without capabilities: uid %d cannot be taken", uid)
    else:
        os.setgroups([])
        if _refused_to(uid, gid, directory) is not None:
            directory = _private_copy(directory, uid, gid)
        os.setgid(gid)
        os.setuid(uid)
        environment.put("HOME", _home(uid))
        log.info("serving as uid %d", uid)
    refused = _first_unreadable(directory)
    if refused is not None:
        raise denied(*refused)
    return directory


def _ids(user: str) -> tuple[int, int]:
    """The uid and gid of a number or a name; a number without an account has a group of its own number."""
    try:
        account = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user) if user else None
    except KeyError:
        if not user.isdigit():
            raise SettingsError(f"EI_USER={user!r}: there is no such user; give a uid") from None
        account = None
    if account is not None:
        return account.pw_uid, account.pw_gid
    return (int(user), int(user)) if user else (os.geteuid(), os.getegid())


def _may_change_ids(status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process holds CAP_SETUID and CAP_SETGID; `--cap-drop ALL` takes them from root."""
    for line in status.read_text().splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            return bool(held >> CAP_SETUID & 1 and held >> CAP_SETGID & 1)
    return False


def _refused_to(uid: int, gid: int, directory: Path) -> tuple[Path, OSError] | None:
    """The first path of the directory that this uid cannot read, asked as that uid: ACLs and network mounts count too."""
    with _acting_as(uid, gid):
        return _first_unreadable(directory)


@contextmanager
def _acting_as(uid: int, gid: int) -> Iterator[None]:
    own_uid, own_gid = os.geteuid(), os.getegid()
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(own_uid)
        os.setegid(own_gid)


def _first_unreadable(path: Path) -> tuple[Path, OSError] | None:
    """The first file or folder from here down that cannot be opened, with the reason; what is missing is not this module's."""
    try:
        if not path.is_dir():
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
            return None
        names = [] if path.is_symlink() else sorted(os.listdir(path))
        for name in names:
            (path / name).lstat()
    except FileNotFoundError:
        return None
    except OSError as error:
        return path, error
    found = (_first_unreadable(path / name) for name in names if name != "lost+found")
    return next((refused for refused in found if refused is not None), None)


def _private_copy(directory: Path, uid: int, gid: int) -> Path:
    """A copy that only this uid can read, in the temporary folder; the log has its size."""
    try:
        copy = Path(tempfile.mkdtemp(prefix="ei-model-")) / "model"
        if directory.is_dir():
            skip = shutil.ignore_patterns("lost+found")
            shutil.copytree(directory, copy, ignore=skip, ignore_dangling_symlinks=True)
        else:
            copy = Path(shutil.copy2(directory, copy.with_name(directory.name)))
        _give(copy.parent, uid, gid)
    except (OSError, shutil.Error) as error:
        name = getattr(error, "filename", None)
        if isinstance(error, PermissionError) and name is not None and Path(name).is_relative_to(directory):
            raise denied(Path(name), error) from None
        raise ModelError(
            f"{directory} is closed to uid {uid}, and cannot be copied to {TEMPORARY}: {error}; "
            "open it (chmod -R a+rX), give room there (--tmpfs /tmp), or run as its owner (docker run --user)"
        ) from None
    size = sum(path.stat().st_size for path in (copy, *copy.rglob("*")) if path.is_file())
    log.info("%s is closed to uid %d: copied to %s (%.1f MB)", directory, uid, copy, size / 1e6)
    return copy


def _give(root: Path, uid: int, gid: int) -> None:
    """Hand all files from here down to this uid, which may read them and nobody else."""
    for path in (root, *root.rglob("*")):
        os.chown(path, uid, gid)
        path.chmod(0o700 if path.is_dir() else 0o400)


def _home(uid: int) -> str:
    """The account's own folder where it can be written, else the temporary one."""
    try:
        home = pwd.getpwuid(uid).pw_dir
    except KeyError:
        home = ""
    return home if home and os.access(home, os.W_OK | os.X_OK) else TEMPORARY
