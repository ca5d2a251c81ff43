"""Decision trees as tables that are walked by all samples and all trees at once.

    place of each (sample, tree) -> feature and threshold there -> comparison -> place of the child, as often as the deepest tree is deep

Every test becomes x <= threshold, which all of ONNX's modes are made of: below a number is at most the float before it, equal
is at most that number and not at most the float before it. NaN is never at most a threshold; where it shall go as if it were,
the test reads a second copy of the features, in which -inf stands for NaN. A leaf is its own child.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnx_import import nd
from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, InvalidModel, Unsupported
from onnx_import.nd import Value

MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
"""In the order in which version 5 of TreeEnsemble numbers them."""

FEWER = 0.8
"""The share of trees still being walked below which the others are set aside."""


@dataclass
class Forest:
    """All trees' places: what is tested there, whether NaN passes, and the children for above and at most."""

    dtype: str
    features: list[int] = field(default_factory=list)
    thresholds: list[float] = field(default_factory=list)
    passes: list[bool] = field(default_factory=list)
    children: list[tuple[int, int]] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    tables: list[Array] = field(default_factory=list)
    """Features, thresholds, whether NaN passes, children: of all places, once the forest is finished."""

    def leaf(self) -> int:
        """A new leaf's place."""
        place = len(self.features)
        return self._put(0, 0.0, False, (place, place))

    def test(self, mode: str, feature: int, threshold: float, ways: tuple[int, int], *, nan: bool) -> int:
        """A new test's place, of the places that yes and no lead to; `nan` says that NaN goes with yes."""
        yes, no = ways
        below = float(np.nextafter(np.array(threshold, self.dtype), np.array(-np.inf, self.dtype)))
        if threshold == -np.inf:
            below = np.nan  # nothing is less
        if mode == "BRANCH_LEQ":
            return self._put(feature, threshold, nan, (no, yes))
        if mode == "BRANCH_LT":
            return self._put(feature, below, nan, (no, yes))
        if mode == "BRANCH_GTE":
            return self._put(feature, below, not nan, (yes, no))
        if mode == "BRANCH_GT":
            return self._put(feature, threshold, not nan, (yes, no))
        if mode == "BRANCH_EQ":  # NaN that passes the first test fails the second, and arrives at yes
            return self._put(feature, threshold, nan, (no, self._put(feature, below, False, (yes, no))))
        if mode == "BRANCH_NEQ":
            return self.test("BRANCH_EQ", feature, threshold, (no, yes), nan=not nan)
        raise InvalidModel(f"a tree's node has the mode {mode!r}, which is none of {', '.join(MODES)}")

    def member(self, feature: int, members: list[float], ways: tuple[int, int], *, nan: bool) -> int:
        """A new test's place, of whether a feature is one of some numbers."""
        yes, no = ways
        if not members and nan:
            raise Unsupported("a tree's node that NaN alone passes")
        for number in members:
            no = self.test("BRANCH_EQ", feature, number, (yes, no), nan=nan)
        return no

    def _put(self, feature: int, threshold: float, passes: bool, children: tuple[int, int]) -> int:
        if passes and np.isnan(threshold):
            raise Unsupported("a tree's node that NaN alone passes")
        self.features.append(feature)
        self.thresholds.append(threshold)
        self.passes.append(passes)
        self.children.append(children)
        return len(self.features) - 1

    def finish(self) -> None:
        """Once all places are there: the tables, and the trees in order of depth, the deepest first."""
        if min(self.features, default=0) < 0:
            raise InvalidModel("a tree tests a feature before the first")
        depths = [0] * len(self.features)
        for place, (above, at_most) in enumerate(self.children):  # have lower numbers than their parents
            if above != place:
                depths[place] = 1 + max(depths[above], depths[at_most])
        self.roots.sort(key=lambda root: -depths[root])
        self.depths = [depths[root] for root in self.roots]
        tests = np.array(self.features, np.int32), np.array(self.thresholds, self.dtype), np.array(self.passes, np.int32)
        self.tables = [*tests, np.array(self.children, np.int32).ravel()]


def leaves_of(forest: Forest, x: Value) -> Value:
    """The place (int32) of the leaf that each sample reaches in each tree, the deepest tree first."""
    features, thresholds, passes, children = forest.tables
    if features.max(initial=-1) >= x.shape[1]:
        raise InvalidInput(f"the trees test {features.max() + 1} features; the samples have {x.shape[1]}")
    places = nd.constant(np.array(forest.roots, np.int32).reshape(1, -1))
    if not x.shape[0] or not any(forest.depths):
        return nd.expand(places, (x.shape[0], len(forest.roots)))
    if passes.any():
        features = features + passes * x.shape[1]
        lowest = nd.constant(np.array(-np.inf, x.dtype))
        x = nd.concatenate([x, nd.where(nd.not_equal(x, x), lowest, x)], 1)
    flat, starts = nd.reshape(x, (x.size,)), _starts(x)
    tables = [nd.constant(table) for table in (features, thresholds, children)]
    done: list[Value] = []
    for level in range(forest.depths[0]):
        walking = sum(depth > level for depth in forest.depths)
        if walking < FEWER * places.shape[1]:  # the shallow trees are at their leaves
            shallow = nd.slice_axis(places, 1, walking, places.shape[1])
            done.insert(0, nd.expand(shallow, (x.shape[0], shallow.shape[1])))  # before the first level it is one row
            places = nd.slice_axis(places, 1, 0, walking)
        seen = pick(flat, nd.add(starts, pick(tables[0], places)))
        is_at_most = nd.cast(nd.less_equal(seen, pick(tables[1], places)), "int32")
        places = pick(tables[2], nd.add(nd.add(places, places), is_at_most))
    return nd.concatenate([places, *done], 1)


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
