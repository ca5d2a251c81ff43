"""The codecs' benchmark compares what it times."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import codecs
from benchmarks.harness import WrongAnswer


@pytest.mark.parametrize("kind", codecs.TYPES)
def test_ways_agree(kind: str) -> None:
    """Ours and the plain way read and write the same numbers of every type."""
    array = np.random.default_rng(7).random((3, 4), dtype="float32")
    body = codecs.plain_encode(kind)(array)
    decoders = {"ei": codecs.ours_decode(kind), "plain": codecs.plain_decode(kind)}
    encoders = {"ei": codecs.ours_encode(kind), "plain": codecs.plain_encode(kind)}
    assert set(codecs.compare(decoders, body, array, rounds=0)) == {"ei", "plain"}
    assert set(codecs.compare(encoders, array, array, rounds=0)) == {"ei", "plain"}


def test_wrong_numbers_are_not_timed() -> None:
    """A way that gives other numbers ends the benchmark, by name."""
    array = np.ones((1, 4), "float32")
    with pytest.raises(WrongAnswer, match="hasty"):
        codecs.compare({"hasty": lambda body: array * 2}, b"[[1, 1, 1, 1]]", array, rounds=1)


def test_cells_hold_the_ratio_to_ours() -> None:
    """Behind the times of a row stand the others' over ours."""
    assert codecs.cells({"ei": 2.0, "plain": 5.0}, ["ei", "plain"]) == ["2.00", "5.00", "2.50"]
