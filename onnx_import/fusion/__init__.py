"""Fewer and faster MXNet nodes for the same values: rewrites of a symbol's nodes before it is written.

    lowered nodes -> rules, again and again until none applies -> nodes

A rule looks at one node and what feeds it, and says whether it replaced something. What it puts there answers the same
within float rounding, for any number of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from onnx_import.fusion import activations, biases, blocks, branches, channels, layouts, pixels, ranges, reductions, scalars
from onnx_import.fusion.rewriting import Place, Rewriting, Rules
from onnx_import.nd.value import TapeNode

Phase = list[Rules] | Callable[[Rewriting], bool]
PHASES: list[Phase] = [
    [layouts.RULES, scalars.RULES, biases.RULES, activations.RULES, ranges.RULES, pixels.RULES],
    [channels.RULES, reductions.RULES],
    blocks.fill,
    [channels.LAST_RULES],
    branches.keep_whole,
]
"""Rules by the MXNet operator that they look at, or a function of the whole; a phase ends when none applies any more."""
ROUNDS = 20
"""Rules that undid each other would go on for ever."""


def fuse(members: Sequence[TapeNode], heads: Sequence[Place]) -> tuple[list[TapeNode], list[Place]]:
    """New nodes for those of a symbol, and its heads among them."""
    rewriting = Rewriting(members, heads)
    for phase in PHASES:
        for _ in range(ROUNDS):
            changed = phase(rewriting) if callable(phase) else _apply(rewriting, phase)
            rewriting.sweep()
            if not changed:
                break
    return rewriting.nodes, rewriting.heads


def _apply(rewriting: Rewriting, phase: list[Rules]) -> bool:
    """Whether any rule applied to any node."""
    changed = False
    for node in list(rewriting.nodes):
        for rule in (rule for rules in phase for rule in rules.get(node.op, ())):
            if rewriting.is_alive(node):
                changed = rule(rewriting, node) or changed
    return changed
