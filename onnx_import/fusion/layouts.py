"""Reshapes and transposes that follow one another, or undo one another."""

from __future__ import annotations

from onnx_import.fusion.rewriting import Place, Rewriting, Rules, array_of, dtype_of, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

SOURCES = ("Convolution", "Deconvolution", "Pooling", "BatchNorm", "Activation", "LeakyReLU", "elemwise_add", "clip")
"""What leaves oneDNN's layout only if it must."""
POINTWISE = (
    "Activation",
    "LeakyReLU",
    "BatchNorm",
    "clip",
    "hard_sigmoid",
    "square",
    "sqrt",
    "exp",
    "_npi_maximum_scalar",
    "_npi_minimum_scalar",
    "_plus_scalar",
    "_minus_scalar",
    "_rminus_scalar",
    "_mul_scalar",
    "_div_scalar",
    "elemwise_add",
    "elemwise_sub",
    "elemwise_mul",
    "broadcast_add",
    "broadcast_sub",
    "broadcast_mul",
)
RESHAPES = ("Reshape", "_np_reshape", "expand_dims")


def join_reshapes(rewriting: Rewriting, node: TapeNode) -> bool:
    """A reshape of a reshape is one; one that changes nothing is none."""
    source = node.inputs[0]
    if shape_of(source) == shape_of((node, 0)):
        return rewriting.replace((node, 0), source)
    inner = node_of(source, *RESHAPES)
    if inner is None:
        return False
    base = inner.inputs[0]
    if shape_of(base) == shape_of((node, 0)):
        return rewriting.replace((node, 0), base)
    code = _joined(inner, node)
    if code is None:
        return False
    new = rewriting.make("Reshape", [base], (node, 0))
    new[0].attrs["shape"] = spell(code)
    return rewriting.replace((node, 0), new)


def _joined(inner: TapeNode, outer: TapeNode) -> list[int] | None:
    """The code of both reshapes at once, which holds for the same numbers of rows as theirs; None where none can be told."""
    if inner.op != "Reshape" or outer.op != "Reshape":
        return None
    first, second = (_code(node) for node in (inner, outer))
    if min((*first, *second)) < -1:
        return None
    joined = []
    for at, size in enumerate(second):
        if size:
            joined.append(size)
        elif at < len(first) and (first[at] != -1 or -1 not in second):
            joined.append(first[at])
        else:
            return None
    return joined


def _code(node: TapeNode) -> list[int]:
    return [int(size) for size in node.attrs["shape"].strip("()").split(",") if size.strip()]


def reshaped(rewriting: Rewriting, base: Place, shape: tuple[int, ...], like: Place) -> Place | None:
    """A node that gives another shape, whatever the number of rows, as `nd.reshape` writes it; None for scalars."""
    old = shape_of(base)
    if not shape or not old or 0 in shape:
        return None
    kept = next((i for i, (a, b) in enumerate(zip(old, shape, strict=False)) if a != b), min(len(shape), len(old)))
    code = [0] * kept + [-1 if axis == kept else size for axis, size in enumerate(shape) if axis >= kept]
    if kept == len(shape):
        code[-1] = -1
    new = rewriting.make("Reshape", [base], like, shape)
    new[0].attrs["shape"] = spell(code)
    return new


def lift_reshape(rewriting: Rewriting, node: TapeNode) -> bool:
    """What works on each element, or on channels alike, comes before a reshape that only adds or drops axes of size 1."""
    if node.op == "LeakyReLU" and len(node.inputs) > 1:
        return False
    found = next((place for place in node.inputs if _is_slight(rewriting, place)), None)
    if found is None:
        return False
    base, shape = found[0].inputs[0], shape_of((node, 0))
    inputs = [_lifted(rewriting, place, base, shape) for place in node.inputs]
    if node.op == "BatchNorm":
        inputs = [base, *node.inputs[1:]]
    if shape_of(found) != shape or any(place is None for place in inputs):
        return False
    new = rewriting.make(node.op, [place for place in inputs if place is not None], (node, 0), shape_of(base))
    new[0].attrs = dict(node.attrs)
    back = rewriting.make(found[0].op, [new], (node, 0), shape)
    back[0].attrs = dict(found[0].attrs)
    return rewriting.replace((node, 0), back)


def _is_slight(rewriting: Rewriting, place: Place) -> bool:
    """Whether it is a reshape of what oneDNN gives, of the same rows and channels, that nobody else reads."""
    inner = node_of(place, *RESHAPES)
    if inner is None or not rewriting.is_private(place) or node_of(inner.inputs[0], *SOURCES) is None:
        return False
    old, new = shape_of(inner.inputs[0]), shape_of(place)
    return len(old) > 2 and len(new) > 2 and old[:2] == new[:2] and [n for n in old if n != 1] == [n for n in new if n != 1]


def _lifted(rewriting: Rewriting, place: Place, base: Place, shape: tuple[int, ...]) -> Place | None:
    """An operand as it is before the reshape, if it can be told."""
    inner, array = node_of(place, *RESHAPES), array_of(place)
    if (
        inner is not None
        and shape_of(inner.inputs[0]) == shape_of(base)
        and rewriting.is_private(place)
        and shape_of(place) == shape
    ):
        return inner.inputs[0]
    if array is None or array.ndim > len(shape):
        return None
    sizes = (1,) * (len(shape) - array.ndim) + array.shape
    if any(size != 1 for axis, size in enumerate(sizes) if axis != 1):
        return None
    view = (1, sizes[1], *(1,) * (len(shape_of(base)) - 2))
    return rewriting.constant(array.reshape(view), place, dtype_of(place))


def order_of(node: TapeNode) -> tuple[int, ...]:
    """The axes of a transpose."""
    return tuple(int(axis) for axis in node.attrs["axes"].strip("()").split(",") if axis.strip())


def join_transposes(rewriting: Rewriting, node: TapeNode) -> bool:
    """A transpose of a transpose is one; one that changes nothing is none."""
    inner = node_of(node.inputs[0], "transpose")
    if inner is None:
        return False
    base, order = inner.inputs[0], tuple(order_of(inner)[axis] for axis in order_of(node))
    if order == tuple(range(len(order))):
        return rewriting.replace((node, 0), base)
    return rewriting.replace((node, 0), rewriting.make("transpose", [base], (node, 0), axes=order))


RULES: Rules = {
    **{name: [lift_reshape] for name in POINTWISE},
    "Reshape": [join_reshapes],
    "_np_reshape": [join_reshapes],
    "expand_dims": [join_reshapes],
    "transpose": [join_transposes],
}
