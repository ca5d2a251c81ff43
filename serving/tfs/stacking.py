"""Whether requests may share a pass: the first axis of everything counts rows, and rows do not change each other's outputs.

TF Serving takes the user's word for it (`enable_batching`); here it is found out: from the signature's open first axes, then by
three small passes over random rows, two together and each alone.
"""

from __future__ import annotations

import logging
from typing import Protocol

import numpy as np

from serving.backends.rounding import agree
from serving.backends.tensorflow import SignatureDef, TensorInfo
from serving.errors import ServingError
from serving.invocation import Array, Inputs, Outputs

log = logging.getLogger("ei.models")
MAX_SAMPLE_VALUES = 1 << 20


class Runs(Protocol):
    """What can be run by signature."""

    def run(self, signature: str, inputs: Inputs, outputs: tuple[str, ...] = ()) -> Outputs:
        """One pass."""


class Stacking:
    """The answer for each signature of one model, found at its first question and remembered."""

    def __init__(self, model: Runs, trusted: bool = False) -> None:
        self._model, self._trusted = model, trusted
        self._known: dict[str, bool] = {}

    def allows(self, signature: SignatureDef) -> bool:
        """Whether rows of several requests may go through one pass of this signature."""
        known = self._known.get(signature.name)
        if known is None:
            known = self._known[signature.name] = self._find_out(signature)
        return known

    def _find_out(self, signature: SignatureDef) -> bool:
        if not all(_counts_rows(info) for info in (*signature.inputs, *signature.outputs)):
            return False
        return self._trusted or self._are_independent(signature)

    def _are_independent(self, signature: SignatureDef) -> bool:
        random = np.random.default_rng(0)
        two = {info.name: _random_rows(info, random) for info in signature.inputs}
        rows = {name: array for name, array in two.items() if array is not None}
        if len(rows) < len(two):
            return False
        try:
            together = self._model.run(signature.name, rows)
            alone = [self._model.run(signature.name, {k: v[at : at + 1] for k, v in rows.items()}) for at in (0, 1)]
        except ServingError:
            return False
        same = all(_agree(array, [one[name] for one in alone]) for name, array in together.items())
        if not same:
            log.warning("rows of one batch change each other's outputs: every request has a pass of its own")
        return same


def _counts_rows(info: TensorInfo) -> bool:
    """Whether the first axis is there and open."""
    return bool(info.shape) and info.shape is not None and info.shape[0] is None


def _random_rows(info: TensorInfo, random: np.random.Generator) -> Array | None:
    """Two random rows; None for what numbers do not fill, and for rows that would be huge."""
    assert info.shape is not None
    shape = (2, *[size or 1 for size in info.shape[1:]])
    if info.dtype.kind not in "biuf" or np.prod(shape, dtype=np.int64) > MAX_SAMPLE_VALUES:
        return None
    if info.dtype.kind == "f":
        return random.random(shape).astype(info.dtype)
    return random.integers(0, 2, shape).astype(info.dtype)


def _agree(together: Array, alone: list[Array]) -> bool:
    """Whether two rows are what each was alone, but for what kernels of different batch sizes round differently."""
    if len(together) != 2 or any(len(one) != 1 for one in alone):
        return False
    if together.dtype.kind != "f":
        return bool(np.array_equal(together, np.concatenate(alone)))
    other = np.concatenate(alone)
    return agree(together, other)
