"""Decision trees as tables that are walked by all samples and all trees at once.

    place of each (sample, tree) -> feature and threshold there -> comparison -> place of the child, as often as the deepest tree is deep

Every test becomes x <= threshold, which all of ONNX's modes are made of: below a number is at most the float before it, equal
is at most that number and not at most the float before it. A leaf is its own child.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, InvalidModel
from onnx_import.nd import Value

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
"""In the order in which version 5 of TreeEnsemble numbers them."""

FEWER = 0.8
"""The share of trees still being walked below which the others are set aside."""


@dataclass
class Forest:
    """All trees' places: what is tested there, and the children for above, at most, and NaN."""

    dtype: str
    size: int = 0
    """Features that samples must have."""
    width: int = 2
    ways: Array = field(default_factory=lambda: np.zeros(0, np.int32))
    tests: list[Array] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    children: list[tuple[int, int, int]] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)

    def leaf(self) -> int:
        """A new leaf's place."""
        place = len(self.features)
        return self._put(0, 0.0, (place, place, place))

    def test(self, mode: str, feature: int, threshold: float, yes: int, no: int, nan: int) -> int:
        """A new test's place, of the places that it leads to."""
        below = float(np.nextafter(np.array(threshold, self.dtype), np.array(-np.inf, self.dtype)))
        if threshold == -np.inf:
            below = np.nan  # nothing is less
        if mode == "BRANCH_LEQ":
            return self._put(feature, threshold, (no, yes, nan))
        if mode == "BRANCH_LT":
            return self._put(feature, below, (no, yes, nan))
        if mode == "BRANCH_GTE":
            return self._put(feature, below, (yes, no, nan))
        if mode == "BRANCH_GT":
            return self._put(feature, threshold, (yes, no, nan))
        if mode == "BRANCH_EQ":
            return self._put(feature, threshold, (no, self._put(feature, below, (yes, no, nan)), nan))
        if mode == "BRANCH_NEQ":
            return self.test("BRANCH_EQ", feature, threshold, no, yes, nan)
        raise InvalidModel(f"a tree's node has the mode {mode!r}, which is none of {', '.join(MODES)}")

    def member(self, feature: int, members: list[float], yes: int, no: int, nan: int) -> int:
        """A new test's place, of whether a feature is one of some numbers."""
        for number in members:
            no = self.test("BRANCH_EQ", feature, number, yes, no, nan)
        # The last one put is tested first: NaN goes its own way there.
        return no if members else self._put(feature, np.nan, (no, no, nan))

    def _put(self, feature: int, threshold: float, children: tuple[int, int, int]) -> int:
        self.features.append(feature)
        self.thresholds.append(threshold)
        self.children.append(children)
        return len(self.features) - 1

    def finish(self) -> None:
        """Once all places are there: the tables, and the trees in order of depth, the deepest first."""
        depths = [0] * len(self.features)
        for place, children in enumerate(self.children):  # have lower numbers than their parents
            if children[0] != place:
                depths[place] = 1 + max(depths[child] for child in children)
        self.roots.sort(key=lambda root: -depths[root])
        self.depths = [depths[root] for root in self.roots]
        self.size = max(self.features, default=-1) + 1
        if min(self.features, default=0) < 0:
            raise InvalidModel("a tree tests a feature before the first")
        ways = np.array(self.children, np.int32).reshape(-1, 3)
        # NaN is never at most a threshold: it goes with what is above, unless somewhere it has a way of its own.
        self.width = 3 if (ways[:, 2] != ways[:, 0]).any() else 2
        self.ways = np.ascontiguousarray(ways[:, : self.width]).ravel()
        self.tests = [np.array(self.features, np.int32), np.array(self.thresholds, self.dtype)]


def leaves_of(forest: Forest, x: Value) -> Value:
    """The place (int32) of the leaf that each sample reaches in each tree, the deepest tree first."""
    if forest.size > x.shape[1]:
        raise InvalidInput(f"the trees test {forest.size} features; the samples have {x.shape[1]}")
    places = nd.constant(np.array(forest.roots, np.int32).reshape(1, -1))
    if not x.shape[0] or not any(forest.depths):
        return nd.expand(places, (x.shape[0], len(forest.roots)))
    flat, starts = nd.reshape(x, (x.size,)), _starts(x)
    done: list[Value] = []
    for level in range(forest.depths[0]):
        walking = sum(depth > level for depth in forest.depths)
        if walking < FEWER * places.shape[1]:  # the shallow trees are at their leaves
            done.insert(0, nd.slice_axis(places, 1, walking, places.shape[1]))
            places = nd.slice_axis(places, 1, 0, walking)
        places = _step(forest, flat, starts, places)
    return nd.concatenate([places, *done], 1)


def _step(forest: Forest, flat: Value, starts: Value, places: Value) -> Value:
    """The places one level further down."""
    features, thresholds = (nd.constant(test) for test in forest.tests)
    seen = pick(flat, nd.add(starts, pick(features, places)))
    way = nd.cast(nd.less_equal(seen, pick(thresholds, places)), "int32")
    if forest.width == 3:
        missing = nd.cast(nd.not_equal(seen, seen), "int32")
        way = nd.add(way, nd.multiply(missing, nd.constant(np.int32(2))))
    firsts = nd.multiply(places, nd.constant(np.int32(forest.width)))
    return pick(nd.constant(forest.ways), nd.add(firsts, way))


def pick(table: Value, places: Value) -> Value:
    """The rows of a table at places that are known to be within it."""
    if table.data is not None and places.data is not None:
        return nd.constant(table.data[places.data], table.dtype)
    shape = (*places.shape, *table.shape[1:])
    return nd.emit("take", [table, places], shape, table.dtype, axis=0, mode="clip")


def _starts(x: Value) -> Value:
    """Where each sample's features start once all lie in one row, as a column: counted by the graph, for any number of samples."""
    if x.data is not None:
        return nd.constant((np.arange(x.shape[0], dtype=np.int32) * x.shape[1]).reshape(-1, 1))
    wide = nd.cast(nd.slice_axis(x, 1, 0, 1), "float64")  # float32 counts to 2**24 only
    column = nd.reshape(wide, (x.shape[0],))
    numbers = nd.emit("_contrib_arange_like", [column], column.shape, "float64", axis=0)
    return nd.multiply(nd.reshape(nd.cast(numbers, "int32"), (x.shape[0], 1)), nd.constant(np.int32(x.shape[1])))
