"""The names, shapes and dtypes of a model's inputs and outputs, and the check of a request against them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tensor:
    """One input or output: its name, its shape (None where any size will do; the first axis counts rows) and its dtype."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: np.dtype[np.generic]


@dataclass(frozen=True)
class Signature:
    """A model's inputs and outputs, in the model's own order."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...] = ()
