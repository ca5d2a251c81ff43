"""MXNet, imported as the server does, once for all tests of this folder."""

from __future__ import annotations

from typing import Any

import pytest

from serving.backends.mxnet_import import import_mxnet


@pytest.fixture(scope="session")
def mx() -> Any:
    """MXNet."""
    return import_mxnet()
