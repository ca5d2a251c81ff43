"""Handwritten digits as pictures of characters, with what the model took them for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

SHOWN = 6
INK = " .:-=+*#%@"
Array: TypeAlias = "np.ndarray[Any, Any]"


def show(images: Array, labels: Array, guesses: Array) -> None:
    """The first digits as pictures side by side, and the first of those that the model took for others."""
    print("the first digits:")
    draw(range(SHOWN), images, labels, guesses)
    wrong = np.flatnonzero(guesses != labels)[:SHOWN]
    if len(wrong):
        print("taken for others:")
        draw(wrong, images, labels, guesses)


def draw(chosen: Iterable[int], images: Array, labels: Array, guesses: Array) -> None:
    """Images (n, 1, height, width) side by side, each over its two lines."""
    for row in range(images.shape[2]):
        inked = ["".join(INK[round(float(value) * (len(INK) - 1))] * 2 for value in images[at, 0, row]) for at in chosen]
        print("  " + "   ".join(inked))
    print("  " + "   ".join(f"{f'model says {guesses[at]}':<16}" for at in chosen))
    print("  " + "   ".join(f"{f'label      {labels[at]}':<16}" for at in chosen) + "\n")
