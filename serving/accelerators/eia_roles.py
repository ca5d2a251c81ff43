"""Which of a graph's arguments are its parameters, sent once, and which are data, sent with each call.

    Module: it says so   |   bind: what a script feeds, or changes between two passes, is data; until it has done either,
                         |   whatever is not named like a weight

A wrong guess costs time, never a wrong answer: a parameter that changes is sent again. What operators read as weights is
never data: MXNet's oneDNN graphs go on with those of their first pass, whatever the bound array holds by then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

_WEIGHT = re.compile(r"(weight|bias|gamma|beta|mean|var|parameters|alpha)$")
"""How MXNet names the parameters that its operators make for themselves."""
_LABEL = re.compile(r"label$")
"""What a loss layer compares with: its shape goes with the data's."""
_WEIGHTED = frozenset(("FullyConnected", "Convolution", "Deconvolution", "BatchNorm", "RNN"))
"""The operators whose inputs, but for the first, may be read at the first pass alone."""


def weights(symbol: str) -> frozenset[str]:
    """The variables of a symbol's JSON that operators read as weights."""
    nodes = json.loads(symbol)["nodes"]
    read = {entry[0] for node in nodes if node["op"] in _WEIGHTED for entry in node["inputs"][1:]}
    return frozenset(nodes[at]["name"] for at in read if nodes[at]["op"] == "null")


class Roles:
    """The roles of the arguments `names`, of which `weights` are parameters in any case.

    `declared` are the parameters, where something has said so; else they are learnt.
    """

    def __init__(
        self, names: Iterable[str], declared: Iterable[str] | None = None, weights: Iterable[str] = frozenset()
    ) -> None:
        self.names, self._weights = tuple(names), frozenset(weights)
        self._declared = None if declared is None else set(declared)
        self._fed: set[str] = set()

    @property
    def is_settled(self) -> bool:
        """Whether the data is known: nothing need be watched but the parameters."""
        return self._declared is not None or bool(self._fed)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The arguments that are sent with the graph."""
        return tuple(name for name in self.names if self._is_parameter(name))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The arguments that are sent with each call."""
        return tuple(name for name in self.names if not self._is_parameter(name))

    def feed(self, names: Iterable[str]) -> bool:
        """Note what a script hands to a pass; True where the roles are others now."""
        before = self.inputs
        self._fed.update(name for name in names if name not in self._weights)
        return self.inputs != before

    def change(self, names: Iterable[str]) -> bool:
        """Note what a script has written to between two passes; True where the roles are others now."""
        is_weight = self._declared.__contains__ if self._declared is not None else _WEIGHT.search
        return self.feed([name for name in names if not is_weight(name) and name not in self._weights])

    def _is_parameter(self, name: str) -> bool:
        if name in self._weights:
            return True
        if name in self._fed or _LABEL.search(name):
            return False
        if self._declared is not None:
            return name in self._declared
        return bool(self._fed) or bool(_WEIGHT.search(name))
