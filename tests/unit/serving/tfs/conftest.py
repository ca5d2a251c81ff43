"""Models of `tests/tf_models.py`, loaded once for the tests that only ask them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from serving.backends import tensorflow
from serving.tfs import servables
from serving.tfs.servables import Servable, Servables
from serving.tfs.service import TfsService
from tests import tf_models

Load = Callable[..., TfsService]


def loaded(*names: str, default: str = "", trusted: bool = False, max_rows: int = 64) -> Servables:
    """These models, every version of each."""
    found = {name: versions(name) for name in names}

    def load_one(name: str, version: int, folder: Path) -> Servable:
        return Servable(name, version, tensorflow.load(folder), trusted, max_rows)

    return servables.load(found, default, load_one)


def versions(name: str) -> dict[int, Path]:
    """The version folders of a model."""
    return {int(folder.name): folder for folder in (tf_models.models() / name).iterdir() if folder.name.isdigit()}


@pytest.fixture(scope="session")
def service() -> TfsService:
    """half_plus_three (the default), half, pair, strings, add and counter."""
    return TfsService(loaded("half_plus_three", "half", "pair", "strings", "add", "counter", "unknown", "faults"))
