"""Admission, by an accelerator of a few megabytes: no engine is started for what cannot fit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from serving.accelerators import artifact
from serving.accelerators.catalog import AcceleratorType
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.server.engines import Shared
from serving.accelerators.server.options import Options
from serving.accelerators.server.repository import Repository

TINY = AcceleratorType("tiny", 0.1, 0.1, 40 << 20)


def test_what_cannot_fit_is_not_even_stored(tmp_path: Path) -> None:
    """A load over the memory is RESOURCE_EXHAUSTED, says what it needs, what is free and which type has it."""

    async def load() -> Repository:
        repository = Repository(Options(TINY, store=tmp_path), Shared())
        await repository.load(
            "large", {"config": "", f"file:{artifact.SYMBOL}": b"{}", f"file:{artifact.PARAMS}": bytes(20 << 20)}
        )
        return repository

    with pytest.raises(AcceleratorError) as error:
        asyncio.run(load())
    assert error.value.code == Code.RESOURCE_EXHAUSTED
    assert error.value.message == (
        "the model needs at least 52 MB: 42 of tiny's 42 MB are free; unload other models, or take ml.eia2.medium"
    )
    assert list(tmp_path.iterdir()) == []
