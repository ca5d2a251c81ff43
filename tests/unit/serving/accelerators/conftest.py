"""An accelerator that needs no process, attached to this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.serving.accelerators.eia_fake import FakeAccelerator

CACHED = (("serving.accelerators.eia_context", "_detect"), ("serving.accelerators.eia_faults", "_asked"))


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing of an accelerator is remembered, before and after."""
    import importlib

    from serving.accelerators import eia

    importlib.import_module("serving.accelerators.eia_block")
    functions = [getattr(importlib.import_module(module), name) for module, name in CACHED]
    marked, eia.marked = eia.marked, False
    for function in functions:
        function.cache_clear()
    yield
    eia.marked = marked
    for function in functions:
        function.cache_clear()


@pytest.fixture
def attach(fresh: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Attach accelerators: `attach(FakeAccelerator(), ...)` makes them `mx.eia(0)`, ..."""
    from serving.accelerators import attached

    def attaching(*found: FakeAccelerator) -> None:
        monkeypatch.setenv("EI_ACCELERATORS", ",".join("fake:1" for _ in found))
        monkeypatch.setattr(attached, "visible", lambda _: found)

    return attaching


@pytest.fixture
def far(attach: Callable[..., Any]) -> FakeAccelerator:
    """One accelerator, attached as `mx.eia()`."""
    accelerator = FakeAccelerator()
    attach(accelerator)
    return accelerator
