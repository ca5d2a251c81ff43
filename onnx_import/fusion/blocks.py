"""Channels filled up to whole blocks of 16 between convolutions: oneDNN is at its best with those, and changes layouts for others.

What treats each channel for itself carries the same number of channels on: such tensors are one *class*. A class may grow
where convolutions of all channels make it and take it, and nothing else looks: the added filters are
zeros, and so are the weights for the added channels. Where something else looks, added filters are cut off behind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.fusion.biases import LARGEST
from onnx_import.fusion.rewriting import Place, Rewriting, array_of, derived, dtype_of, shape_of
from onnx_import.nd.value import TapeNode

BLOCK = 16
"""Channels that oneDNN lays side by side."""
FEWEST = 8
"""Channels that are worth filling up: fewer would be doubled more than once."""
HALF = 8
"""Filters whose number is no multiple of this go by a slow kernel."""
CONVOLUTIONS = ("Convolution", "Deconvolution")
CURVES = ("relu", "sigmoid", "tanh", "softrelu", "leaky", "elu", "gelu", "selu")
CHANNELWISE = {
    *("Pooling", "clip", "hard_sigmoid", "elemwise_add", "elemwise_sub", "elemwise_mul", "BatchNorm"),
    *("broadcast_add", "broadcast_sub", "broadcast_mul"),
    *("_plus_scalar", "_minus_scalar", "_rminus_scalar", "_mul_scalar", "_npi_maximum_scalar", "_npi_minimum_scalar"),
}
"""Operators that give finite numbers for channels of zeros."""
Key = tuple[int, int]


@dataclass
class Class:
    """Tensors of the same channels: their places, and the nodes that make, take and carry them."""

    places: list[Place] = field(default_factory=list)
    makers: list[TapeNode] = field(default_factory=list)
    takers: list[TapeNode] = field(default_factory=list)
    carriers: list[TapeNode] = field(default_factory=list)
    is_open: bool = True


class Classes:
    """The classes of a symbol, found by joining what shares its channels."""

    def __init__(self, rewriting: Rewriting) -> None:
        self._parents: dict[Key, Key] = {}
        self._places: dict[Key, Place] = {}
        closed: list[Place] = [*rewriting.heads]
        makers, takers, carriers = [], [], []
        for node in rewriting.nodes:
            output = (node, 0)
            if len(node.outputs) > 1 or not _is_image(output):
                closed += [*node.inputs, *[(node, index) for index in range(len(node.outputs))]]
            elif is_whole(node):
                makers.append(node)
                takers.append(node)
            elif _is_carrier(node):
                carriers.append(node)
                for place in _carried(node):
                    self._join(place, output)
            else:
                closed += [*node.inputs, output]
        closed += [place for node in carriers for place in node.inputs if place[0].kind not in ("op", "const")]
        closed += [node.inputs[0] for node in takers if node.inputs[0][0].kind != "op"]
        self.found: dict[Key, Class] = {}
        for place in [(node, 0) for node in rewriting.nodes]:
            self._of(place).places.append(place)
        for node in makers:
            self._of((node, 0)).makers.append(node)
        for node in takers:
            self._of(node.inputs[0]).takers.append(node)
        for node in carriers:
            self._of((node, 0)).carriers.append(node)
        for place in closed:
            self._of(place).is_open = False

    def _of(self, place: Place) -> Class:
        return self.found.setdefault(self._root(place), Class())

    def _root(self, place: Place) -> Key:
        key = (id(place[0]), place[1])
        while self._parents.get(key, key) != key:
            key = self._parents[key]
        return key

    def _join(self, one: Place, other: Place) -> None:
        self._parents[self._root(one)] = self._root(other)


def _is_image(place: Place) -> bool:
    return dtype_of(place) == "float32" and 3 <= len(shape_of(place)) <= 5


def is_whole(node: TapeNode) -> bool:
    """Whether it is a convolution of all channels whose weights may grow; oneDNN's transposed ones get slower by more."""
    if node.op != "Convolution" or int(node.attrs.get("num_group", "1")) != 1:
        return False
    arrays = [array_of(place) for place in node.inputs[1:]]
    return all(array is not None and array.size <= LARGEST for array in arrays)


def _is_carrier(node: TapeNode) -> bool:
    """Whether it gives each channel of its input, or inputs, for itself, in a way that zeros can be added to."""
    channels = shape_of((node, 0))[1]
    if node.op in CONVOLUTIONS:
        is_separate = (
            int(node.attrs.get("num_group", "1")) == channels == int(node.attrs["num_filter"]) == shape_of(node.inputs[0])[1]
        )
        return is_separate and all(array_of(place) is not None for place in node.inputs[1:])
    if node.op in ("Activation", "LeakyReLU"):
        return node.attrs["act_type"] in CURVES and len(node.inputs) == 1
    if node.op == "BatchNorm":
        return all(array_of(place) is not None for place in node.inputs[1:])
    return node.op in CHANNELWISE and all(_is_of_channels(place, channels, len(shape_of((node, 0)))) for place in node.inputs)


def _is_of_channels(place: Place, channels: int, rank: int) -> bool:
    """Whether it is a tensor of these channels, or a constant of one number for each, or for all."""
    array = array_of(place)
    if array is None:
        return len(shape_of(place)) == rank and shape_of(place)[1] == channels and dtype_of(place) == "float32"
    sizes = (1,) * (rank - array.ndim) + array.shape
    return array.ndim <= rank and all(size == 1 or (axis == 1 and size == channels) for axis, size in enumerate(sizes))


def _carried(node: TapeNode) -> list[Place]:
    inputs = node.inputs[:1] if node.op in (*CONVOLUTIONS, "BatchNorm") else node.inputs
    return [place for place in inputs if place[0].kind != "const"]


def fill(rewriting: Rewriting) -> bool:
    """Fill up every class that may grow, and convolutions whose number of filters goes by a slow kernel."""
    changed = False
    for each in Classes(rewriting).found.values():
        channels = shape_of(each.places[0])[1] if each.places and len(shape_of(each.places[0])) > 2 else 0
        if channels < FEWEST or channels % BLOCK == 0 or not each.makers:
            continue
        if each.is_open and each.takers:
            _grow(rewriting, each, channels, -channels % BLOCK)
            changed = True
        elif channels % HALF and channels > BLOCK:
            changed = any([_cut_behind(rewriting, maker, channels) for maker in each.makers]) or changed
    return changed


def _grow(rewriting: Rewriting, each: Class, channels: int, more: int) -> None:
    for node in each.takers:
        node.inputs[1] = _grown(rewriting, node.inputs[1], (1, 0.0), more)
    for node in each.makers:
        _add_filters(rewriting, node, more)
    for node in each.carriers:
        if node.op in CONVOLUTIONS:
            node.attrs["num_group"] = node.attrs["num_filter"] = str(channels + more)
            node.inputs[1:] = [_grown(rewriting, place, (0, 0.0), more) for place in node.inputs[1:]]
        elif node.op == "BatchNorm":  # the last of its constants divides
            fillers = [0.0, 0.0, 0.0, 1.0]
            node.inputs[1:] = [_grown(rewriting, p, (0, f), more) for p, f in zip(node.inputs[1:], fillers, strict=True)]
        else:
            node.inputs = [_grown_constant(rewriting, place, channels, len(shape_of((node, 0))), more) for place in node.inputs]
    for node, _ in each.places:
        sizes, dtype = shape_of((node, 0)), dtype_of((node, 0))
        node.outputs = [((sizes[0], sizes[1] + more, *sizes[2:]), dtype)]


def _add_filters(rewriting: Rewriting, node: TapeNode, more: int) -> None:
    node.attrs["num_filter"] = str(int(node.attrs["num_filter"]) + more)
    node.inputs[1:] = [_grown(rewriting, place, (0, 0.0), more) for place in node.inputs[1:]]


def _grown_constant(rewriting: Rewriting, place: Place, channels: int, rank: int, more: int) -> Place:
    array = array_of(place)
    if array is None or array.ndim < rank - 1 or array.shape[1 - rank] != channels:
        return place
    return _grown(rewriting, place, (array.ndim + 1 - rank, 0.0), more)


def _grown(rewriting: Rewriting, place: Place, filler: tuple[int, float], more: int) -> Place:
    """A constant with so many more of a number along an axis."""
    array, (axis, number) = array_of(place), filler
    assert array is not None

    def padded(values: Array) -> Array:
        widths = [(0, more if at == axis else 0) for at in range(values.ndim)]
        return np.pad(values, widths, constant_values=number)

    return rewriting.constant(derived(padded, array, key=(filler, more)), place, dtype_of(place))


def _cut_behind(rewriting: Rewriting, node: TapeNode, channels: int) -> bool:
    """More filters, and their channels cut off behind."""
    more, shape = -channels % BLOCK, shape_of((node, 0))
    made = rewriting.make(node.op, node.inputs, (node, 0), (shape[0], channels + more, *shape[2:]))
    made[0].attrs = dict(node.attrs)
    _add_filters(rewriting, made[0], more)
    return rewriting.replace((node, 0), rewriting.make("slice_axis", [made], (node, 0), shape, axis=1, begin=0, end=channels))
