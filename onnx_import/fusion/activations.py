"""Activation functions that exporters spell as chains."""

from __future__ import annotations

import math

from onnx_import.fusion.rewriting import Place, Rewriting, Rules, dtype_of, node_of, shape_of
from onnx_import.fusion.scalars import peel
from onnx_import.nd.value import TapeNode

PRODUCTS = ("elemwise_mul", "broadcast_mul")
WITH_RELU = ("Convolution", "BatchNorm", "FullyConnected", "elemwise_add")


def bounded(rewriting: Rewriting, node: TapeNode) -> tuple[Place, float, float] | None:
    """What a node cuts to a range, and the range: a clip, or the smaller of a number and the larger of a number and it."""
    if node.op == "clip":
        return node.inputs[0], float(node.attrs["a_min"]), float(node.attrs["a_max"])
    ops = ("_npi_minimum_scalar", "_npi_maximum_scalar")
    inner = node_of(node.inputs[0], ops[node.op == ops[0]])
    if inner is None or not rewriting.is_private((inner, 0)):
        return None
    one, other = float(node.attrs["scalar"]), float(inner.attrs["scalar"])
    low, high = (other, one) if node.op == ops[0] else (one, other)
    return (inner.inputs[0], low, high) if low < high else None


def hard_sigmoid(rewriting: Rewriting, node: TapeNode) -> bool:
    """What is cut to 0 to u, of s * x + t, becomes u times a hard sigmoid."""
    found = bounded(rewriting, node)
    if found is None or dtype_of((node, 0)) != "float32":
        return False
    place, low, high = found
    base, scale, shift = peel(rewriting, place)
    if low != 0 or not 0 < high < math.inf or base is place or not shift:
        return False
    new = rewriting.make("hard_sigmoid", [base], (node, 0), alpha=scale / high, beta=shift / high)
    if high != 1:
        new = rewriting.make("_mul_scalar", [new], (node, 0), scalar=high)
    return rewriting.replace((node, 0), new)


def relu_with_limit(rewriting: Rewriting, node: TapeNode) -> bool:
    """What a convolution gives, cut at 0 and above, is a clip, which oneDNN's convolution takes in."""
    found = bounded(rewriting, node) if node.op != "clip" else None
    if found is None or dtype_of((node, 0)) != "float32":
        return False
    place, low, high = found
    if low != 0 or not node_of(place, "Convolution", "BatchNorm") or not rewriting.is_private(place):
        return False
    return rewriting.replace((node, 0), rewriting.make("clip", [place], (node, 0), a_min=low, a_max=high))


def relu(rewriting: Rewriting, node: TapeNode) -> bool:
    """The larger of 0 and what a convolution, normalization or product of matrices gives: oneDNN's, which those take in."""
    if dtype_of((node, 0)) != "float32" or float(node.attrs["scalar"]) != 0 or not node_of(node.inputs[0], *WITH_RELU):
        return False
    return rewriting.replace((node, 0), rewriting.make("Activation", [node.inputs[0]], (node, 0), act_type="relu"))


def gelu(rewriting: Rewriting, node: TapeNode) -> bool:
    """`x / 2 * (1 + erf(x / sqrt(2)))`, in whatever order its factors come."""
    if dtype_of((node, 0)) != "float32" or any(node is reader for reader in _only_products(rewriting, node)):
        return False
    factors, scale = _factors(rewriting, (node, 0))
    for at, place in enumerate(factors):
        share, slope, shift = peel(rewriting, place)
        curve = node_of(share, "erf")
        if curve is None or not rewriting.is_private(share) or not _is(slope, shift):
            continue
        base, inner, none = peel(rewriting, curve.inputs[0])
        rest = factors[:at] + factors[at + 1 :]
        if (
            len(rest) == 1
            and _same(rest[0], base)
            and not none
            and _is(inner, math.sqrt(0.5))
            and shape_of(base) == shape_of((node, 0))
        ):
            new = rewriting.make("LeakyReLU", [base], (node, 0), act_type="gelu")
            if not _is(scale * slope, 0.5):
                new = rewriting.make("_mul_scalar", [new], (node, 0), scalar=2 * scale * slope)
            return rewriting.replace((node, 0), new)
    return False


def gelu_by_tanh(rewriting: Rewriting, node: TapeNode) -> bool:
    """`x / 2 * (1 + tanh(u))` becomes `x * sigmoid(2 * u)`."""
    if dtype_of((node, 0)) != "float32" or any(node is reader for reader in _only_products(rewriting, node)):
        return False
    factors, scale = _factors(rewriting, (node, 0))
    for at, place in enumerate(factors):
        share, slope, shift = peel(rewriting, place)
        curve = node_of(share, "Activation")
        if curve is None or curve.attrs["act_type"] != "tanh" or not rewriting.is_private(share) or not _is(slope, shift):
            continue
        rest = factors[:at] + factors[at + 1 :]
        if len(rest) != 1 or shape_of(rest[0]) != shape_of(share):
            continue
        doubled = rewriting.make("_mul_scalar", [curve.inputs[0]], share, scalar=2.0)
        gate = rewriting.make("Activation", [doubled], share, act_type="sigmoid")
        new = rewriting.make("elemwise_mul", [rest[0], gate], (node, 0))
        if not _is(scale * slope, 0.5):
            new = rewriting.make("_mul_scalar", [new], (node, 0), scalar=2 * scale * slope)
        return rewriting.replace((node, 0), new)
    return False


def _only_products(rewriting: Rewriting, node: TapeNode) -> list[TapeNode]:
    """The node itself where a larger product goes on behind it, which is looked at in its place."""
    if not rewriting.is_private((node, 0)):
        return []
    place: Place = (node, 0)
    while rewriting.is_private(place):
        reader = rewriting.readers(place)[0]
        if reader.op in PRODUCTS:
            return [node]
        if reader.op not in ("_mul_scalar", "_div_scalar"):
            return []
        place = (reader, 0)
    return []


def _factors(rewriting: Rewriting, place: Place) -> tuple[list[Place], float]:
    """What a product of products multiplies, and the numbers in it."""
    node = node_of(place, *PRODUCTS)
    if node is None:
        return [place], 1.0
    found, scale = [], 1.0
    for source in node.inputs:
        base, slope, shift = peel(rewriting, source)
        if shift or not (node_of(base, *PRODUCTS) and rewriting.is_private(base)):
            if shift:
                base, slope = source, 1.0
            found.append(base)
            scale *= slope
            continue
        inner, number = _factors(rewriting, base)
        found += inner
        scale *= slope * number
    return found, scale


def _same(one: Place, other: Place) -> bool:
    return one[0] is other[0] and one[1] == other[1]


def _is(number: float, wanted: float) -> bool:
    return math.isclose(number, wanted, rel_tol=1e-4)


RULES: Rules = {
    "clip": [hard_sigmoid],
    "_npi_minimum_scalar": [hard_sigmoid, relu_with_limit],
    "_npi_maximum_scalar": [hard_sigmoid, relu_with_limit, relu],
    "elemwise_mul": [gelu, gelu_by_tanh],
    "broadcast_mul": [gelu],
}
