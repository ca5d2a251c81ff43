"""Servers that the tests of one module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.serving.accelerators.rpc.peers import Served, grpcio_server, served


@pytest.fixture(scope="module")
def ours() -> Iterator[Served]:
    """Our server, without limits of its own."""
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def foreign() -> Iterator[str]:
    """The address of a server of grpcio's."""
    with grpcio_server() as address:
        yield address
