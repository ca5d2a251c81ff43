"""Calls of a servable, and their passes: those of one signature and row shape share one where rows may.

[Call] -> groups of equal keys -> as few passes as their rows need -> [(Call, Outputs) or the exception]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from serving.errors import ServingError, UserCodeError
from serving.invocation import Inputs, Outputs
from serving.tfs.servables import Servable

Answer = Callable[[Outputs], bytes]


class Call:
    """One request, decoded: what to run, on which inputs, and how its outputs are written.

    `content_type` is empty where the Accept header chooses it. `done` is the answer of a call that runs nothing.
    """

    __slots__ = ("answer", "content_type", "done", "inputs", "only", "servable", "signature")

    def __init__(self, servable: Servable, signature: str, inputs: Inputs, answer: Answer, content_type: str = "") -> None:
        self.servable, self.signature, self.inputs = servable, signature, inputs
        self.answer, self.content_type = answer, content_type
        self.only: tuple[str, ...] = ()
        self.done: bytes | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Calls of equal keys can be stacked."""
        rows = [(name, array.dtype, array.shape[1:]) for name, array in self.inputs.items()]
        return (id(self.servable), self.signature, self.only, *rows)

    @property
    def counts_rows(self) -> bool:
        """Whether all inputs have one number of rows: what a client got wrong must not shift the rows of its neighbours."""
        counts = {array.shape[:1] for array in self.inputs.values()}
        return len(counts) == 1 and () not in counts


def run(calls: list[Call]) -> list[Any]:
    """(call, outputs), or the exception, for each call, in order."""
    if len(calls) == 1:
        return [_alone(calls[0])]
    found: list[Any] = [None] * len(calls)
    for group in _groups(calls):
        for at, answer in zip(group, _together([calls[at] for at in group]), strict=True):
            found[at] = answer
    return found


def _alone(call: Call) -> Any:
    try:
        return call, ({} if call.done is not None else call.servable.model.run(call.signature, call.inputs, call.only))
    except ServingError as error:
        return error
    except Exception as error:
        return UserCodeError(f"the forward pass failed: {error}")


def _groups(calls: list[Call]) -> list[list[int]]:
    """Indices of the calls that may share a pass."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for at, call in enumerate(calls):
        groups.setdefault(call.key if _stacks(call) else (at,), []).append(at)
    return list(groups.values())


def _stacks(call: Call) -> bool:
    return call.done is None and call.counts_rows and call.servable.stacking.allows(call.servable.signature(call.signature))


def _together(calls: list[Call]) -> list[Any]:
    """The calls' outputs by as few passes as their rows need; each by itself where a shared pass fails."""
    if len(calls) == 1:
        return [_alone(calls[0])]
    most = calls[0].servable.max_rows
    rows = [len(next(iter(call.inputs.values()))) for call in calls]
    found: list[Any] = []
    begin = 0
    while begin < len(calls):
        end, total = begin + 1, rows[begin]
        while end < len(calls) and total + rows[end] <= most:
            total += rows[end]
            end += 1
        found += _stacked(calls[begin:end], rows[begin:end])
        begin = end
    return found


def _stacked(calls: list[Call], rows: list[int]) -> list[Any]:
    if len(calls) == 1:
        return [_alone(calls[0])]
    first = calls[0]
    try:
        inputs = {name: np.concatenate([call.inputs[name] for call in calls]) for name in first.inputs}
        outputs = first.servable.model.run(first.signature, inputs, first.only)
    except Exception:
        return [_alone(call) for call in calls]
    if any(array.shape[:1] != (sum(rows),) for array in outputs.values()):
        return [_alone(call) for call in calls]
    found, begin = [], 0
    for call, count in zip(calls, rows, strict=True):
        found.append((call, {name: array[begin : begin + count] for name, array in outputs.items()}))
        begin += count
    return found
