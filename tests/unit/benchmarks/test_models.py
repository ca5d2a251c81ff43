"""Answers are compared with the model's own: order, count and every number count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.models import Model

DUE = [[0.1, 0.9], [0.7, 0.3]]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A model of which only the answers that are due are known."""
    (tmp_path / "expected.json").write_text(json.dumps(DUE))
    return Model("tiny", tmp_path)


@pytest.mark.parametrize("reply", [b"[[0.1, 0.9]]", b"[0.1000001, 0.9]", b'{"predictions": [[0.1, 0.9]]}'])
def test_right_answers(model: Model, reply: bytes) -> None:
    """The due numbers agree within the tolerance, however a server nests them."""
    assert model.agrees(reply, 0)


@pytest.mark.parametrize(
    "reply",
    [
        b"[[0.9, 0.1]]",
        b"[[0.7, 0.3]]",
        b"[[0.1]]",
        b"[[0.1, 0.9], [0.1, 0.9]]",
        b"[[0.1, NaN]]",
        b"[[0.1, null]]",
        b"oops",
        b"",
    ],
)
def test_wrong_answers(model: Model, reply: bytes) -> None:
    """Another body's answer, another order or count, NaN and what is no JSON do not agree."""
    assert not model.agrees(reply, 0)
