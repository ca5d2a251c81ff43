"""Constants added to or multiplied with what a convolution or a product of matrices gives, or takes: into its weights."""

from __future__ import annotations

import math

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.fusion import scalars
from onnx_import.fusion.rewriting import Place, Rewriting, Rules, array_of, derived, dtype_of, node_of, shape_of
from onnx_import.nd.value import TapeNode

WEIGHTED = ("Convolution", "Deconvolution", "FullyConnected")
SUMS, PRODUCTS = ("broadcast_add", "elemwise_add"), ("broadcast_mul", "elemwise_mul")
DIFFERENCES, QUOTIENTS = ("broadcast_sub", "elemwise_sub"), ("broadcast_div", "elemwise_div")
LARGEST = 1 << 22
"""Elements of weights that are worth a copy."""


def by_channel(array: Array, shape: tuple[int, ...], axis: int) -> Array | None:
    """A constant that broadcasts over a shape, as one number for each place along an axis; None where it differs elsewhere."""
    if array.ndim > len(shape):
        return None
    sizes = (1,) * (len(shape) - array.ndim) + array.shape
    if any(size != 1 for place, size in enumerate(sizes) if place != axis % len(shape)):
        return None
    return np.broadcast_to(array.reshape(-1), (shape[axis],))


def line_by_channel(node: TapeNode, at: int, axis: int) -> tuple[Array | float, Array | float] | None:
    """Scale and shift of the node's input `at` where the node is a line of it with constants that vary along an axis alone."""
    if node.op in scalars.OPERATORS:
        return scalars.line_of(node)
    shape = shape_of((node, 0))
    if node.op not in SUMS + PRODUCTS + DIFFERENCES + QUOTIENTS or shape_of(node.inputs[at]) != shape:
        return None
    array = array_of(node.inputs[1 - at])
    if array is None or array.dtype.kind != "f" or (at and node.op in QUOTIENTS):
        return None
    numbers = by_channel(array, shape, axis)
    if numbers is None or (node.op in QUOTIENTS and not numbers.all()):
        return None
    if node.op in SUMS + DIFFERENCES and not np.all(abs(numbers) <= scalars.LARGEST_SHIFT):
        return None
    if node.op in SUMS:
        return 1.0, numbers
    if node.op in DIFFERENCES:
        return (1.0, -numbers) if at == 0 else (-1.0, numbers)
    return (numbers, 0.0) if node.op in PRODUCTS else (1 / numbers, 0.0)


def behind(rewriting: Rewriting, node: TapeNode) -> bool:
    """`scale * (x @ w + b) + shift` becomes `x @ (scale * w) + (scale * b + shift)`."""
    for at, place in enumerate(node.inputs):
        base = node_of(place, *WEIGHTED)
        if base is None or not rewriting.is_private(place):
            continue
        line = line_by_channel(node, at, -1 if base.op == "FullyConnected" else 1)
        if line is not None and _absorb(rewriting, node, base, line):
            return True
    return False


def _absorb(rewriting: Rewriting, node: TapeNode, base: TapeNode, line: tuple[Array | float, Array | float]) -> bool:
    scale, shift = line
    weight, bias = array_of(base.inputs[1]), array_of(base.inputs[2]) if len(base.inputs) > 2 else None
    is_scaled = not (isinstance(scale, float) and scale == 1)
    if (is_scaled and not _is_scalable(weight)) or (len(base.inputs) > 2 and bias is None):
        return False
    count = shape_of((base, 0))[-1 if base.op == "FullyConnected" else 1]
    dtype = dtype_of((base, 0))
    old = np.zeros(count) if bias is None else bias.astype(np.float64)
    total = (old * scale + shift).astype(dtype)
    inputs = list(base.inputs[:2])
    if is_scaled:
        assert weight is not None
        numbers = np.broadcast_to(np.asarray(scale, np.float64), (count,))
        groups = int(base.attrs.get("num_group", 1)) if base.op == "Deconvolution" else 0
        scaled = derived(lambda w: _scaled(w, numbers, groups), weight, key=(numbers.tobytes(), groups))
        inputs[1] = rewriting.constant(scaled, inputs[1], dtype)
    if bias is not None or np.any(total):
        inputs.append(rewriting.constant(total, (node, 0), dtype))
    return rewriting.replace((node, 0), clone(rewriting, base, inputs, (node, 0)))


def through_product(rewriting: Rewriting, node: TapeNode) -> bool:
    """A factor of what two computed matrices give goes to where one of them comes from, as attention scales its scores."""
    line, behind_product = scalars.line_of(node), _moved_from(rewriting, node.inputs[0])
    product = node_of(behind_product, "batch_dot")
    if line is None or line[1] or product is None or not rewriting.is_private(behind_product):
        return False
    for place in product.inputs:
        source = _moved_from(rewriting, place)
        made = node_of(source, "FullyConnected")
        if made is not None and rewriting.is_private(source) and _is_scalable(array_of(made.inputs[1])):
            reader = rewriting.readers(source)[0]
            scaled = rewriting.make("_mul_scalar", [source], source, scalar=line[0])
            reader.inputs = [scaled if each[0] is made else each for each in reader.inputs]
            rewriting.sweep()
            return rewriting.replace((node, 0), node.inputs[0])
    return False


def _moved_from(rewriting: Rewriting, place: Place) -> Place:
    """What reshapes and transposes that nobody else reads have moved."""
    while node_of(place, "Reshape", "transpose", "expand_dims") and rewriting.is_private(place):
        place = place[0].inputs[0]
    return place


def behind_norm(rewriting: Rewriting, node: TapeNode) -> bool:
    """Constants of each channel behind a BatchNorm go into its own."""
    for at, place in enumerate(node.inputs):
        base = node_of(place, "BatchNorm")
        line = line_by_channel(node, at, 1) if base is not None and rewriting.is_private(place) else None
        if line is None or base is None:
            continue
        gamma, beta = array_of(base.inputs[1]), array_of(base.inputs[2])
        if gamma is None or beta is None:
            continue
        scaled, moved = (np.asarray(gamma * line[0], gamma.dtype), np.asarray(beta * line[0] + line[1], beta.dtype))
        new = [rewriting.constant(part, old, "float32") for part, old in zip((scaled, moved), base.inputs[1:3], strict=True)]
        made = rewriting.make("BatchNorm", [base.inputs[0], *new, *base.inputs[3:]], (node, 0))
        made[0].attrs = dict(base.attrs)
        return rewriting.replace((node, 0), made)
    return False


def _is_scalable(weight: Array | None) -> bool:
    """Whether a factor may go into weights: not into whole numbers, whose sums are exact, as quantized models count on."""
    return weight is not None and weight.size <= LARGEST and bool(np.any(weight != np.rint(weight)))


def _scaled(weight: Array, numbers: Array, groups: int) -> Array:
    """Each filter times its number; those of a Deconvolution lie on axis 1, a group after the other."""
    if not groups:
        return np.asarray((weight * numbers.reshape(-1, *(1,) * (weight.ndim - 1))).astype(weight.dtype))
    rest = weight.shape[1:]
    grouped = weight.reshape(groups, -1, *rest) * numbers.reshape(groups, 1, rest[0], *(1,) * (len(rest) - 1))
    return np.asarray(grouped.reshape(weight.shape).astype(weight.dtype))


def before(rewriting: Rewriting, node: TapeNode) -> bool:
    """`(scale * x + shift) @ w` becomes `x @ (scale * w) + (shift @ w)`, but for a shift that padding would not have got."""
    place, weight = node.inputs[0], array_of(node.inputs[1])
    if place[0].kind != "op" or not rewriting.is_private(place) or not _is_scalable(weight):
        return False
    is_full = node.op == "FullyConnected"
    for at, source in enumerate(place[0].inputs):
        line = line_by_channel(place[0], at, -1 if is_full else 1)
        if line is None or shape_of(source) != shape_of(place):
            continue
        is_shifted = bool(np.any(line[1]))
        if is_shifted and not is_full and any(int(size) for size in node.attrs["pad"].strip("()").split(",") if size.strip()):
            continue
        if is_shifted and len(node.inputs) > 2 and array_of(node.inputs[2]) is None:
            continue
        return _absorb_before(rewriting, node, source, line)
    return False


def _absorb_before(rewriting: Rewriting, node: TapeNode, source: Place, line: tuple[Array | float, Array | float]) -> bool:
    weight, dtype = array_of(node.inputs[1]), dtype_of((node, 0))
    assert weight is not None
    groups = int(node.attrs.get("num_group", 1))
    inner = weight.shape[1]
    # For each filter the channels that it sees: those of its group.
    channels = np.arange(weight.shape[0])[:, None] // (weight.shape[0] // groups) * inner + np.arange(inner)
    scale, shift = (np.broadcast_to(np.asarray(part, np.float64), (inner * groups,))[channels] for part in line)
    view = (*channels.shape, *(1,) * (weight.ndim - 2))
    inputs = [source, node.inputs[1], *node.inputs[2:]]
    if np.any(scale != 1):
        scaled = derived(lambda w: (w * scale.reshape(view)).astype(w.dtype), weight, key=scale.tobytes())
        inputs[1] = rewriting.constant(scaled, inputs[1], dtype)
    if np.any(shift):
        more = (weight.astype(np.float64) * shift.reshape(view)).reshape(weight.shape[0], -1).sum(1)
        bias = array_of(node.inputs[2]) if len(node.inputs) > 2 else np.zeros(weight.shape[0])
        assert bias is not None
        inputs[2:] = [rewriting.constant((bias + more).astype(dtype), (node, 0), dtype)]
    return rewriting.replace((node, 0), clone(rewriting, node, inputs, (node, 0)))


def clone(rewriting: Rewriting, node: TapeNode, inputs: list[Place], like: Place) -> Place:
    """A node with other weights, and a bias if they hold one."""
    new = rewriting.make(node.op, inputs, like)
    new[0].attrs = {**node.attrs, "no_bias": str(len(inputs) < 3)}
    return new


def size_of(place: Place) -> int:
    """How many elements an output has."""
    return math.prod(shape_of(place))


RULES: Rules = {
    **{name: [behind, behind_norm] for name in (*SUMS, *PRODUCTS, *DIFFERENCES, *QUOTIENTS)},
    **{name: [behind, behind_norm, through_product] for name in scalars.OPERATORS},
    "Convolution": [before],
    "FullyConnected": [before],
}
