"""Chains of sums and products with single numbers."""

from __future__ import annotations

from onnx_import.fusion.rewriting import Place, Rewriting, Rules, dtype_of, node_of
from onnx_import.nd.value import TapeNode

OPERATORS = ("_plus_scalar", "_minus_scalar", "_rminus_scalar", "_mul_scalar", "_div_scalar")
FLOATS = ("float32", "float64")
LARGEST_SHIFT = 65536.0
"""Larger numbers are added, and taken away again, to round: such sums stay as they are."""
LARGE = 1e5
"""Beyond it a number may be there for its rounding: `(x + 2**23) - 2**23` is no x."""


def line_of(node: TapeNode) -> tuple[float, float] | None:
    """Scale and shift of a node that adds or multiplies one number."""
    if node.op not in OPERATORS or node.outputs[0][1] not in FLOATS:
        return None
    number = float(node.attrs["scalar"])
    if abs(number) > LARGE:
        return None
    lines = {
        "_plus_scalar": (1.0, number),
        "_minus_scalar": (1.0, -number),
        "_rminus_scalar": (-1.0, number),
        "_mul_scalar": (number, 0.0),
    }
    if node.op == "_div_scalar":
        return (1 / number, 0.0) if number else None
    return lines[node.op]


def peel(rewriting: Rewriting, place: Place) -> tuple[Place, float, float]:
    """What a value is a line of: `value = scale * base + shift`, going through nodes that nobody else reads."""
    scale, shift = 1.0, 0.0
    while place[0].kind == "op" and rewriting.is_private(place):
        line = line_of(place[0])
        if line is None:
            break
        scale, shift = scale * line[0], scale * line[1] + shift
        place = place[0].inputs[0]
    return place, scale, shift


def join(rewriting: Rewriting, node: TapeNode) -> bool:
    """Two factors, one after the other, become one."""
    line, before = line_of(node), node.inputs[0]
    inner = line_of(before[0]) if before[0].kind == "op" and rewriting.is_private(before) else None
    if line is None or inner is None or line[1] or inner[1]:
        return False
    new = rewriting.make("_mul_scalar", [before[0].inputs[0]], (node, 0), scalar=line[0] * inner[0])
    return rewriting.replace((node, 0), new)


def drop(rewriting: Rewriting, node: TapeNode) -> bool:
    """A factor of 1 is none."""
    line = line_of(node)
    return line is not None and abs(line[0] - 1) < 1e-7 and line[1] == 0 and rewriting.replace((node, 0), node.inputs[0])


def past_product(rewriting: Rewriting, node: TapeNode) -> bool:
    """`(x * (s * y)) * t` becomes `(x * y) * (s * t)`."""
    line, product = line_of(node), node_of(node.inputs[0], "elemwise_mul", "broadcast_mul")
    if line is None or line[1] or product is None or not rewriting.is_private((product, 0)):
        return False
    for at in (0, 1):
        factor = product.inputs[at]
        inner = line_of(factor[0]) if factor[0].kind == "op" and rewriting.is_private(factor) else None
        if inner is not None and not inner[1] and dtype_of(factor) == dtype_of((node, 0)):
            inputs = list(product.inputs)
            inputs[at] = factor[0].inputs[0]
            new = rewriting.make(product.op, inputs, (node, 0))
            return rewriting.replace((node, 0), rewriting.make("_mul_scalar", [new], (node, 0), scalar=inner[0] * line[0]))
    return False


def doubled(rewriting: Rewriting, node: TapeNode) -> bool:
    """`x + x` is `2 * x`: MXNet cannot bind a convolution that is added to itself."""
    one, other = node.inputs
    if one[0] is not other[0] or one[1] != other[1] or dtype_of((node, 0)) not in FLOATS:
        return False
    return rewriting.replace((node, 0), rewriting.make("_mul_scalar", [one], (node, 0), scalar=2.0))


RULES: Rules = {"elemwise_add": [doubled], **{name: [drop, join, past_product] for name in OPERATORS}}
