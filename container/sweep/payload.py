"""What a bench sends: a file of the user's, or inputs made up for a model directory, as numpy's files carry them."""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from container.errors import ContainerError

TYPES = {
    ".json": "application/json",
    ".csv": "text/csv",
    ".npy": "application/x-npy",
    ".npz": "application/x-npz",
    ".jsonl": "application/jsonlines",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
}


def of_file(path: Path, content_type: str = "") -> tuple[bytes, str]:
    """A file's bytes and their content type, by its name where none is given. ContainerError where it cannot be read."""
    try:
        body = path.read_bytes()
    except OSError as error:
        raise ContainerError(f"{path} cannot be read: {error.strerror}", "name the file of a request's body") from None
    guess = TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return body, content_type or guess


def of_inputs(inputs: Mapping[str, np.ndarray[Any, Any]]) -> tuple[bytes, str]:
    """Arrays as a request's body: one as .npy, several as .npz by their names."""
    out = io.BytesIO()
    if len(inputs) == 1:
        np.save(out, next(iter(inputs.values())), allow_pickle=False)
        return out.getvalue(), "application/x-npy"
    np.savez(out, **dict(inputs))
    return out.getvalue(), "application/x-npz"
