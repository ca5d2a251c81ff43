"""What treats each channel alike or by constants of its own, as oneDNN likes it: without leaving its blocked layout.

oneDNN keeps 16 channels side by side between convolutions. Most other operators make MXNet copy a tensor into the plain
layout and back, which costs more than they do; a convolution with one 1 x 1 filter a channel does not.
"""

from __future__ import annotations

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.fusion import scalars
from onnx_import.fusion.biases import DIFFERENCES, PRODUCTS, QUOTIENTS, SUMS, by_channel, line_by_channel
from onnx_import.fusion.rewriting import Place, Rewriting, Rules, array_of, dtype_of, node_of, shape_of
from onnx_import.nd.value import TapeNode

BLOCK = 16
"""Channels that oneDNN keeps side by side."""
BLOCKED = ("Convolution", "Deconvolution", "Pooling", "BatchNorm")
LEAST_TURNED = 32
"""Channels from which on it pays to turn them to the last axis."""
CHANNELWISE = ("Pooling", "Activation", "LeakyReLU", "elemwise_add", "clip")


def scale_channels(rewriting: Rewriting, place: Place, like: Place, scale: Array, shift: Array | None = None) -> Place:
    """Each channel times a number, plus another, by one filter of size 1 a channel."""
    count, rank = shape_of(place)[1], len(shape_of(place)) - 2
    ones = (1,) * rank
    weight = rewriting.constant(scale.astype("float32").reshape(count, 1, *ones), like, "float32")
    inputs = [place, weight] if shift is None else [place, weight, rewriting.constant(shift.astype("float32"), like, "float32")]
    attrs = {"kernel": ones, "stride": ones, "dilate": ones, "pad": (0,) * rank, "num_filter": count, "num_group": count}
    return rewriting.make("Convolution", inputs, like, shape_of(place), **attrs, no_bias=shift is None)


def prelu(rewriting: Rewriting, node: TapeNode) -> bool:
    """`relu(x) + slope * min(x, 0)` becomes `slope * x + (1 - slope) * relu(x)`."""
    for at, place in enumerate(node.inputs):
        product = node_of(node.inputs[1 - at], *PRODUCTS)
        relu = node_of(place, "Activation")
        if product is None or relu is None or relu.attrs["act_type"] != "relu":
            continue
        slope = _slope(rewriting, product, relu.inputs[0])
        if slope is not None and _is_image(relu.inputs[0]):
            return rewriting.replace((node, 0), _prelu(rewriting, relu.inputs[0], slope, (node, 0)))
    return False


def _slope(rewriting: Rewriting, product: TapeNode, base: Place) -> Array | None:
    """The slopes by channel of the smaller part of `base` in a product."""
    for at, place in enumerate(product.inputs):
        lower, numbers = node_of(place, "_npi_minimum_scalar"), array_of(product.inputs[1 - at])
        if lower is None or numbers is None or float(lower.attrs["scalar"]) != 0 or len(shape_of(base)) < 3:
            continue
        source = lower.inputs[0]
        if source[0] is base[0] and source[1] == base[1] and rewriting.is_private((lower, 0)):
            return by_channel(numbers, shape_of(base), 1)
    return None


def _prelu(rewriting: Rewriting, base: Place, slope: Array, like: Place) -> Place:
    if np.all(slope == slope[0]):
        return rewriting.make("LeakyReLU", [base], like, act_type="leaky", slope=float(slope[0]))
    straight = scale_channels(rewriting, base, like, slope)
    if np.all(slope <= 1):  # the factor may then go in front of the curve, which its convolution takes in
        bent = scale_channels(rewriting, base, like, 1 - slope)
        bent = rewriting.make("Activation", [bent], like, act_type="relu")
    else:
        bent = rewriting.make("Activation", [base], like, act_type="relu")
        bent = scale_channels(rewriting, bent, like, 1 - slope)
    return rewriting.make("elemwise_add", [straight, bent], like)


def _is_image(place: Place) -> bool:
    return dtype_of(place) == "float32" and 3 <= len(shape_of(place)) <= 5 and node_of(place, *BLOCKED) is not None


def hard_sigmoid(rewriting: Rewriting, node: TapeNode) -> bool:
    """A hard sigmoid of what a convolution gives is a clip of a filter a channel."""
    place = node.inputs[0]
    if not _is_image(place):
        return False
    shape = shape_of(place)
    slope, start = (np.full(shape[1], float(node.attrs[name])) for name in ("alpha", "beta"))
    new = scale_channels(rewriting, place, (node, 0), slope, start)
    return rewriting.replace((node, 0), rewriting.make("clip", [new], (node, 0), a_min=0, a_max=1))


def product(rewriting: Rewriting, node: TapeNode) -> bool:
    """Two results of convolutions are multiplied with their channels last, which is next to oneDNN's layout, and turned back."""
    shape = shape_of((node, 0))
    if any(_is_sigmoid(place) for place in node.inputs):  # which serving multiplies in one node
        return False
    if len(shape) != 4 or shape[1] < LEAST_TURNED or not all(_is_image(_unclipped(place)) for place in node.inputs):
        return False
    turned = [
        rewriting.make("transpose", [place], place, [shape[0], *shape[2:], shape[1]], axes=(0, 2, 3, 1))
        for place in node.inputs
    ]
    new = rewriting.make("elemwise_mul", turned, (node, 0), shape_of(turned[0]))
    return rewriting.replace((node, 0), rewriting.make("transpose", [new], (node, 0), shape, axes=(0, 3, 1, 2)))


def _is_sigmoid(place: Place) -> bool:
    curve = node_of(place, "Activation")
    return curve is not None and curve.attrs["act_type"] == "sigmoid"


def _unclipped(place: Place) -> Place:
    curve = node_of(place, "clip", "Activation", "LeakyReLU")
    return place if curve is None else curve.inputs[0]


def line(rewriting: Rewriting, node: TapeNode) -> bool:
    """Sums and products with constants of each channel, in front of convolutions that would not take them in."""
    if dtype_of((node, 0)) != "float32" or not 3 <= len(shape_of((node, 0))) <= 5 or not _feeds_convolutions(rewriting, node):
        return False
    place: Place = (node, 0)
    scale: Array | float = 1.0
    shift: Array | float = 0.0
    count = 0
    while place[0].kind == "op" and (place[0] is node or rewriting.is_private(place)):
        found = next(((at, part) for at in range(len(place[0].inputs)) if (part := line_by_channel(place[0], at, 1))), None)
        if found is None or shape_of(place[0].inputs[found[0]]) != shape_of(place):
            break
        scale, shift = scale * found[1][0], scale * found[1][1] + shift
        place, count = place[0].inputs[found[0]], count + 1
    if not count or (count < 2 and node_of(place, *BLOCKED) is None):
        return False
    channels = shape_of((node, 0))[1]
    wide = [np.broadcast_to(np.asarray(part, np.float64), (channels,)) for part in (scale, shift)]
    new = scale_channels(rewriting, place, (node, 0), wide[0], wide[1] if np.any(wide[1]) else None)
    return rewriting.replace((node, 0), new)


def _feeds_convolutions(rewriting: Rewriting, node: TapeNode) -> bool:
    is_read = all(reader.op == "Convolution" and reader.inputs[0][0] is node for reader in rewriting.readers((node, 0)))
    return is_read and not rewriting.is_head((node, 0))


def norm_of_branch(rewriting: Rewriting, node: TapeNode) -> bool:
    """A BatchNorm is a filter a channel where others too read its convolution: MXNet 1.9.1 fails to bind most such graphs."""
    place = node.inputs[0]
    arrays = [array_of(part) for part in node.inputs[1:]]
    if node_of(place, "Convolution") is None or rewriting.is_private(place) or any(array is None for array in arrays):
        return False
    gamma, beta, mean, variance = (np.asarray(array, np.float64) for array in arrays)
    factor = gamma / np.sqrt(variance + float(node.attrs["eps"]))
    return rewriting.replace((node, 0), scale_channels(rewriting, place, (node, 0), factor, beta - mean * factor))


RULES: Rules = {
    **{name: [line] for name in (*SUMS, *PRODUCTS, *DIFFERENCES, *QUOTIENTS, *scalars.OPERATORS)},
    "elemwise_add": [prelu, line],
    "hard_sigmoid": [hard_sigmoid],
    "BatchNorm": [norm_of_branch],
}
LAST_RULES: Rules = {"elemwise_mul": [product]}
"""For what is left: its transposes hide from other rules what is behind them."""
