"""Our toolkit names first on the path, whatever is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from serving import toolkit


@pytest.fixture(autouse=True)
def ours() -> Iterator[None]:
    """Put the names in front, and take them, and what was imported by them, away again."""
    path, before, served = list(sys.path), set(sys.modules), list(toolkit._served)
    toolkit.install(first=True)
    yield
    sys.path[:] = path
    toolkit._served[:] = served
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in toolkit.PACKAGES:
            del sys.modules[name]
