"""A tensor while its graph is lowered: known, with its numpy array at hand, or pending, an output of a node on the tape."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_import.dtypes import CARRIERS, Array
from onnx_import.errors import InvalidInput

MOST_ELEMENTS = (1 << 31) - 1
"""Elements of the largest array that MXNet can index."""

MOST_KNOWN = 1 << 28
"""Elements of the largest array that is made while a graph is lowered."""


@dataclass(eq=False, slots=True)
class TapeNode:
    """What computes pending values.

    `kind` is "feed" (a slot of the running program), "const", "op" (one MXNet node) or "host" (a call of `function`).
    """

    kind: str
    op: str
    name: str
    inputs: list[tuple[TapeNode, int]] = field(default_factory=list)
    attrs: dict[str, str] = field(default_factory=dict)
    outputs: list[tuple[tuple[int, ...] | None, str]] = field(default_factory=list)
    array: Array | None = None
    slot: int = -1
    call: Any = None
    number: int = 0
    is_convolved: bool | None = None
    """Whether it is a convolution or behind one (`halves`); None until asked for."""


@dataclass(eq=False, slots=True, weakref_slot=True)
class Value:
    """One tensor edge: its ONNX dtype, its sizes, and either `data` (in the carrier dtype) or the node that computes it.

    A `name` is the name of the initializer that it is, so that an artifact's parameters keep their names.
    """

    dtype: str
    shape: tuple[int, ...]
    data: Array | None = None
    node: TapeNode | None = None
    index: int = 0
    name: str = ""

    @property
    def is_known(self) -> bool:
        """Whether its array is at hand."""
        return self.data is not None

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def carrier(self) -> str:
        """The MXNet dtype that holds it."""
        return CARRIERS.get(self.dtype, self.dtype)


@dataclass(frozen=True, slots=True)
class Told:
    """What a host function gives where it alone knows the dtype: an array and its dtype, or lists of both alike."""

    value: Any
    dtype: Any


def fitting(shape: Iterable[int], most: int = MOST_KNOWN) -> None:
    """Refuse a shape of more elements before memory is asked for; InvalidInput, as sizes follow from what is fed."""
    sizes = [int(size) for size in shape]
    if min(sizes, default=0) < 0:
        raise InvalidInput(f"no tensor has the shape {sizes}")
    if max(sizes, default=0) > most or math.prod(sizes) > most:
        raise InvalidInput(f"a tensor of shape {sizes} would have more than {most} elements")


def constant(data: Any, dtype: str | None = None, name: str = "") -> Value:
    """A known value. `data` is taken as it is where it has the carrier dtype already, else converted to it."""
    array = np.asarray(data)
    dtype = dtype or array.dtype.name
    carrier = CARRIERS.get(dtype)
    if carrier is not None and array.dtype != carrier:
        array = array.astype(carrier)
    return Value(dtype, tuple(array.shape), array, name=name)
