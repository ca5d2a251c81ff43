"""A graph on an accelerator: sent with its parameters at its first pass, and again where they were changed.

symbol + parameters -> Artifact -> Accelerator.load -> RemoteModel -> one call each pass
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import is_
from pathlib import Path
from typing import Any

import numpy as np

from serving.accelerators import eia_arrays, eia_faults
from serving.accelerators.artifact import MXNET, PARAMS, SYMBOL, Artifact
from serving.accelerators.client import Accelerator, RemoteModel
from serving.accelerators.eia import MARK
from serving.accelerators.errors import AcceleratorError, Code
from serving.invocation import Array

Arrays = Sequence[Any]
"""NDArrays."""
Key = tuple[Accelerator, str]


@dataclass
class Sent:
    """What an accelerator holds of a graph, and the state of the parameters that it was sent with."""

    names: tuple[str, ...]
    arrays: Arrays
    writes: eia_arrays.Writes
    counts: list[int]
    lease: Lease
    inputs: dict[str, np.dtype[Any]]
    process: int

    def is_of(self, names: tuple[str, ...], arrays: Arrays) -> bool:
        """Whether it was sent from these very arrays, by this process."""
        return (
            names is self.names
            and (arrays is self.arrays or all(map(is_, arrays, self.arrays)))
            and self.process == os.getpid()
        )


class Graph:
    """A symbol and the accelerator it runs on. Several threads may use one."""

    def __init__(self, symbol: Any, ordinal: int) -> None:
        self._symbol, self.ordinal = symbol, ordinal
        self._count = len(symbol.list_outputs())
        self._states = frozenset(symbol.list_auxiliary_states())
        self._sent: Sent | None = None
        self._lock = threading.Lock()

    def fresh(self, names: tuple[str, ...], arrays: Arrays) -> Sent | None:
        """What is sent, if that is still what these parameters are. Waits until MXNet is done with what it was asked for."""
        eia_arrays.settle()
        sent = self._sent
        if sent is not None and sent.is_of(names, arrays) and sent.writes.counts() == sent.counts:
            return sent
        return None

    def changed(self, names: tuple[str, ...], arrays: Arrays) -> list[str]:
        """The parameters written to since they were sent."""
        sent = self._sent
        if sent is None or not sent.is_of(names, arrays):
            return []
        now = sent.writes.counts()
        return [name for name, was, count in zip(names, sent.counts, now, strict=True) if was != count]

    def send(self, names: tuple[str, ...], arrays: Arrays, inputs: Mapping[str, Any]) -> Sent:
        """Send the graph with these parameters, for inputs like these; EiaError where it does not fit or is refused."""
        with self._lock, eia_faults.translated():
            dtypes = {name: np.dtype(array.dtype) for name, array in inputs.items()}
            sent = self.fresh(names, arrays)
            if sent is not None and sent.inputs == dtypes:
                return sent  # another thread was faster
            accelerator = eia_faults.accelerator(self.ordinal)
            if accelerator is None:
                raise eia_faults.EiaError(Code.UNAVAILABLE, f"eia({self.ordinal}) cannot be reached any more")
            self._sent = None
            writes = eia_arrays.Writes(arrays)
            counts = writes.counts()
            named = {f"{'aux' if name in self._states else 'arg'}:{name}": a for name, a in zip(names, arrays, strict=True)}
            files = _Files(self._text(), named, lambda: writes.counts() == counts)
            artifact = Artifact(MXNET, files, options=_options(dtypes))
            self._sent = Sent(names, arrays, writes, counts, Lease(accelerator, artifact), dtypes, os.getpid())
            return self._sent

    def run(self, sent: Sent, inputs: Mapping[str, Any]) -> list[Array]:
        """One pass: the outputs in the symbol's order, read-only."""
        with eia_faults.translated():
            fed = {name: eia_arrays.view(array) for name, array in inputs.items()}
            if {name: array.dtype for name, array in fed.items()} != sent.inputs:
                sent = self.send(sent.names, sent.arrays, inputs)
            found = sent.lease.model(fed)
            if len(found) != self._count:
                raise AcceleratorError(Code.INTERNAL, f"the accelerator answered {len(found)} outputs of {self._count}")
        return list(found.values())

    def _text(self) -> bytes:
        """The symbol's JSON without our mark: the accelerator knows equal graphs by equal text."""
        text: str = self._symbol.tojson(remove_amp_cast=False)
        if MARK not in text:
            return text.encode()
        graph = json.loads(text)
        for node in graph["nodes"]:
            node.get("attrs", {}).pop(MARK, None)
        return json.dumps(graph).encode()


def _options(inputs: Mapping[str, np.dtype[Any]]) -> dict[str, str]:
    """What the engine is told of the inputs: every other argument is a parameter."""
    return {"inputs": json.dumps(list(inputs)), "dtypes": json.dumps([dtype.name for dtype in inputs.values()])}


class _Files(Mapping[str, bytes | Path]):
    """An artifact's files, made when they are asked for: the parameters are not held twice."""

    def __init__(self, text: bytes, arrays: Mapping[str, Any], is_unchanged: Callable[[], bool]) -> None:
        self._text, self._arrays, self._is_unchanged = text, arrays, is_unchanged

    def __getitem__(self, name: str) -> bytes:
        if name == SYMBOL:
            return self._text
        if name != PARAMS:
            raise KeyError(name)
        if not self._is_unchanged():
            raise AcceleratorError(Code.ABORTED, "the parameters were changed while they were being sent")
        return eia_arrays.params_bytes(self._arrays) if self._arrays else b""

    def __iter__(self) -> Iterator[str]:
        return iter((SYMBOL, PARAMS))

    def __len__(self) -> int:
        return 2


_leases: Counter[Key] = Counter()
_ended: deque[Key] = deque()
"""Filled by finalizers, which may run anywhere: nothing but an append happens there."""


class Lease:
    """A model that a graph of this process uses. Once it is gone, the model's memory is taken when another needs it."""

    def __init__(self, accelerator: Accelerator, artifact: Artifact) -> None:
        self._key = (accelerator, artifact.name)
        _leases[self._key] += 1
        try:
            self.model = _load(accelerator, artifact)
        except BaseException:
            _leases[self._key] -= 1
            raise
        self._is_held = True

    def __del__(self) -> None:
        if getattr(self, "_is_held", False):
            _ended.append(self._key)


def _load(accelerator: Accelerator, artifact: Artifact) -> RemoteModel:
    """The model; where it does not fit, once more without those that no graph of this process uses any more."""
    try:
        return accelerator.load(artifact)
    except AcceleratorError as error:
        if error.code != Code.RESOURCE_EXHAUSTED or not _unload_unused():
            raise
    return accelerator.load(artifact)


def _unload_unused() -> int:
    """Give back the memory of models without a lease; how many."""
    count = 0
    while _ended:
        accelerator, name = key = _ended.popleft()
        _leases[key] -= 1
        if not _leases[key]:
            accelerator.unload(name)
            count += 1
    return count
