"""The wheels that an image is built from, fetched by the host's pip, so that the build asks no package index.

locks -> their digest is the wheelhouse's? -> done        else pip download, hashes checked -> swap
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

from container import commands
from container.errors import ContainerError

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "wheelhouse"
"""Holds a folder for each image."""
PIP_LOCK = ROOT / "container" / "image" / "pip.txt"
STAMP = "locks.sha256"
GLIBC = range(5, 37)
"""Debian bookworm has glibc 2.36: a wheel for any manylinux_2_N up to it runs there (PEP 600)."""
PLATFORMS = ("manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64", *(f"manylinux_2_{n}_x86_64" for n in GLIBC))


def fill(folder: Path, locks: tuple[Path, ...]) -> None:
    """Make the folder hold the wheels of the locks, for the image's Python and platform whatever the host's are.

    Costs nothing where it does already. ContainerError where an index cannot be reached or a hash is not the lock's.
    """
    digest = hashlib.sha256(b"".join(lock.read_bytes() for lock in locks)).hexdigest()
    stamp = folder / STAMP
    if stamp.is_file() and stamp.read_text() == digest:
        return
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    commands.say(f"fetching the image's wheels into {folder}")
    commands.run(
        _download(partial, _known(folder), locks),
        "see above; a package index must be reachable, and for one behind a private authority set PIP_CERT",
    )
    (partial / STAMP).write_text(digest)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _known(folder: Path) -> list[Path]:
    """Where wheels lie already: of an earlier lock, and of the other images."""
    return sorted(path for path in folder.parent.iterdir() if path.is_dir() and path.suffix != ".partial")


def _download(target: Path, known: list[Path], locks: tuple[Path, ...]) -> list[str]:
    """The command; wheels that lie in a known folder and are still right are not fetched again."""
    if importlib.util.find_spec("pip") is None:
        raise ContainerError(f"{sys.executable} has no pip", "run `make env`, and the tools from .venv/bin")
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-input"]
    command += ["--require-hashes", "--no-deps", "--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    command += ["--dest", str(target)]
    command += [word for folder in known for word in ("--find-links", str(folder))]
    return [*command, *(word for lock in locks for word in ("--requirement", str(lock)))]
