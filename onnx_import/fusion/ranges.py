"""Whole numbers whose bounds are known: indices need not be counted from the end where they cannot be negative; and masks."""

from __future__ import annotations

from onnx_import.dtypes import is_integer
from onnx_import.fusion.rewriting import Place, Rewriting, Rules, array_of, dtype_of, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

MOVES = ("Reshape", "_np_reshape", "expand_dims", "transpose", "slice", "broadcast_to", "_copy")
DEEPEST = 64
"""Nodes that are looked through at most."""
Range = tuple[int, int]


def range_of(place: Place, depth: int = 0) -> Range | None:
    """The least and the largest that whole numbers can be; None where nothing is known."""
    array, node = array_of(place), place[0]
    if array is not None:
        return (int(array.min()), int(array.max())) if is_integer(dtype_of(place)) and array.size else None
    if node.kind != "op" or depth > DEEPEST:
        return None
    first = node.inputs[0] if node.inputs else place
    if node.op == "Cast" and dtype_of(first) == "bool":
        return 0, 1
    if not is_integer(dtype_of(place)):
        return None
    if node.op in MOVES or node.op == "take" or (node.op == "Cast" and is_integer(dtype_of(first))):
        return range_of(first, depth + 1)
    return _arithmetic(node, depth)


def _arithmetic(node: TapeNode, depth: int) -> Range | None:
    if node.op == "_npi_where":
        return _joined(*[range_of(place, depth + 1) for place in node.inputs[1:]])
    found = [range_of(place, depth + 1) for place in node.inputs]
    ranges = [each for each in found if each is not None]
    if len(ranges) < len(found):
        return None
    if node.op in ("_plus_scalar", "_mul_scalar"):
        number = float(node.attrs["scalar"])
        ends = [end + number if node.op == "_plus_scalar" else end * number for end in ranges[0]]
        return int(min(ends)), int(max(ends))
    if node.op in ("elemwise_add", "broadcast_add"):
        return ranges[0][0] + ranges[1][0], ranges[0][1] + ranges[1][1]
    return None


def _joined(one: Range | None, other: Range | None) -> Range | None:
    return None if one is None or other is None else (min(one[0], other[0]), max(one[1], other[1]))


def from_end(rewriting: Rewriting, node: TapeNode) -> bool:
    """`where(x < 0, x + size, x)` is x where x cannot be negative."""
    test, kept = node_of(node.inputs[0], "_npi_less_scalar"), node.inputs[2]
    if test is None or float(test.attrs["scalar"]) != 0 or test.inputs[0][0] is not kept[0] or test.inputs[0][1] != kept[1]:
        return False
    found = range_of(kept)
    return found is not None and found[0] >= 0 and shape_of(kept) == shape_of((node, 0)) and rewriting.replace((node, 0), kept)


def cast_mask(rewriting: Rewriting, node: TapeNode) -> bool:
    """A choice between 1 and 0 cast to another type is the condition cast to it."""
    choice = node_of(node.inputs[0], "_npi_where")
    if choice is None or dtype_of(choice.inputs[0]) != "bool" or shape_of(choice.inputs[0]) != shape_of((node, 0)):
        return False
    arrays = [array_of(place) for place in choice.inputs[1:]]
    if any(array is None or array.size != 1 for array in arrays) or [
        float(a.reshape(-1)[0]) for a in arrays if a is not None
    ] != [1, 0]:
        return False
    new = rewriting.make("Cast", [choice.inputs[0]], (node, 0))
    new[0].attrs = dict(node.attrs)
    return rewriting.replace((node, 0), new)


def sum_of_products(rewriting: Rewriting, node: TapeNode) -> bool:
    """Rows times a matrix each, summed over the middle one of three axes, is a product of matrices."""
    product = node_of(node.inputs[0], "broadcast_mul")
    if product is None or node.attrs.get("axis") != "(1,)" or dtype_of((node, 0)) not in ("float32", "float64"):
        return False
    sizes = shape_of((product, 0))
    if len(sizes) != 3 or not rewriting.is_private((product, 0)):
        return False
    for one, other in (product.inputs, product.inputs[::-1]):
        if shape_of(one) == (*sizes[:2], 1) and shape_of(other) == sizes:
            new = rewriting.make("batch_dot", [one, other], (node, 0), (sizes[0], 1, sizes[2]), transpose_a=True)
            if node.attrs.get("keepdims") != "True":
                code = spell((0, -1))
                new = rewriting.make("Reshape", [new], (node, 0))
                new[0].attrs["shape"] = code
            return rewriting.replace((node, 0), new)
    return False


def plain_sum(rewriting: Rewriting, node: TapeNode) -> bool:
    """A sum of whole numbers goes around oneDNN, which would only find that it has none for them."""
    if not is_integer(dtype_of((node, 0))):
        return False
    return rewriting.replace((node, 0), rewriting.make("broadcast_add", node.inputs, (node, 0)))


RULES: Rules = {
    "elemwise_add": [plain_sum],
    "_npi_where": [from_end],
    "Cast": [cast_mask],
    "sum": [sum_of_products],
}
