"""Uploaded files, by the name of their model: checked by name, written to disk, never run.

[triton-inference-server/server docs/protocol/extension_model_repository.md: `file:` parameters]
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from serving.accelerators.artifact import Artifact
from serving.accelerators.errors import AcceleratorError, Code

MAX_FILES, MAX_NAME = 4096, 512
DIGEST = re.compile("[0-9a-f]{64}")
CODE = (".py", ".pyc", ".so", ".pyd", ".dll", ".sh", ".pkl", ".pickle", ".pt", ".pth", ".joblib")
"""What could only be run, or is unpickled: no engine reads it, and none ever will."""


class Store:
    """A folder of models' files."""

    def __init__(self, folder: Path | None) -> None:
        self._own = None if folder else tempfile.TemporaryDirectory(prefix="ei-accelerator-")
        self._folder = folder or Path(self._own.name if self._own else "")
        self._folder.mkdir(parents=True, exist_ok=True)

    def put(self, artifact: Artifact) -> Path:
        """The folder with the artifact's files, written where they are not there yet.

        INVALID_ARGUMENT for a name that is no plain path within, or of code; RESOURCE_EXHAUSTED where the disk is full.
        """
        for name in artifact.files:
            _check(name)
        folder = self._folder / artifact.name
        if folder.is_dir():
            return folder
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".", ignore_cleanup_errors=True) as beside:
            try:
                for name, data in artifact.files.items():
                    path = Path(beside, "model", name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(data if isinstance(data, bytes) else data.read_bytes())
                Path(beside, "model").rename(folder)
            except FileExistsError:
                raise AcceleratorError(Code.INVALID_ARGUMENT, "one name is both a file and a folder of another") from None
            except OSError as error:
                raise AcceleratorError(Code.RESOURCE_EXHAUSTED, f"the files cannot be stored: {error.strerror}") from None
        return folder

    def drop(self, name: str) -> None:
        """Delete a model's files."""
        shutil.rmtree(self._folder / name, ignore_errors=True)

    def close(self) -> None:
        """Delete everything, where the folder is our own."""
        if self._own is not None:
            self._own.cleanup()


def is_digest(name: str) -> bool:
    """Whether a model's name says what its files are."""
    return DIGEST.fullmatch(name) is not None


def _check(name: str) -> None:
    path = PurePosixPath(name)
    plain = name == str(path) and not path.is_absolute() and not {"..", "."} & set(path.parts)
    if not plain or not name.isprintable() or "\\" in name or len(name) > MAX_NAME or len(path.parts) < 2:
        raise AcceleratorError(Code.INVALID_ARGUMENT, f"{name[:80]!r} is no file's name in a repository: expected 1/NAME")
    if path.suffix.lower() in CODE:
        raise AcceleratorError(Code.INVALID_ARGUMENT, f"{name[:80]!r} is code: an upload is data, files of a model alone")


def check_names(files: Mapping[str, object]) -> None:
    """INVALID_ARGUMENT where there are no files, or too many."""
    if not files:
        raise AcceleratorError(Code.INVALID_ARGUMENT, "the load brings no files: expected `file:1/NAME` parameters")
    if len(files) > MAX_FILES:
        raise AcceleratorError(Code.INVALID_ARGUMENT, f"{len(files)} files: a model has {MAX_FILES} at most")
