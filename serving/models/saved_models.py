"""The SavedModels in a model directory: which models there are, and which versions of each.

A version is a folder whose name is a number and that holds a saved_model.pb: [NAME/]DIGITS/saved_model.pb at any depth. So
AWS's TensorFlow container finds them (aws/sagemaker-tensorflow-serving-container, tfs_utils.py); hidden folders and those
that are no numbers are passed over. A single saved_model.pb at the root is taken too.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from serving.models import layout

log = logging.getLogger("ei.models")

FILE = "saved_model.pb"
UNNAMED = "model"
"""What the model is called whose versions, or whose only version, lie at the root."""

SKIPPED = {"code", *layout.CLUTTER}
MAX_DEPTH = 8
MAX_VERSION = 2**63 - 1


Found = dict[str, dict[int, Path]]
"""Model name -> version -> its folder."""


def find(directory: Path) -> Found:
    """Model name -> version -> its folder; the first name is the default model. Empty where there is no SavedModel.

    Names come in the order of a sorted scan, versions from the lowest; zero-padded numbers are numbers. ModelError where
    the directory itself cannot be read.
    """
    layout.entries(directory)
    found: dict[str, dict[int, Path]] = {}
    homes: dict[str, Path] = {}
    for folder in _versions(directory, MAX_DEPTH):
        name = UNNAMED if folder.parent == directory else folder.parent.name
        version, versions = int(folder.name), found.setdefault(name, {})
        if homes.setdefault(name, folder.parent) != folder.parent:
            log.warning("%s is not served: %s has the name %s already", folder, homes[name], name)
        elif version in versions:
            log.warning("%s is not served: %s is version %d of %s already", folder, versions[version], version, name)
        else:
            versions[version] = folder
    if not found and (directory / FILE).is_file():
        return {UNNAMED: {1: directory}}
    return {name: dict(sorted(versions.items())) for name, versions in found.items()}


def _versions(directory: Path, depth: int) -> Iterator[Path]:
    """The version folders below this one, in sorted order; what cannot be read is passed over with a warning."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as error:
        log.warning("%s", layout.denied(directory, error))
        return
    for name in names:
        folder = directory / name
        if name.startswith(".") or name in SKIPPED or not os.path.isdir(folder):
            continue
        if _is_version(name) and os.path.isfile(folder / FILE):
            yield folder
        elif depth:
            yield from _versions(folder, depth - 1)


def _is_version(name: str) -> bool:
    return name.isascii() and name.isdigit() and int(name) <= MAX_VERSION
