"""Reshapes and transposes that follow one another, or undo one another."""

from __future__ import annotations

from onnx_import.fusion.rewriting import Place, Rewriting, Rules, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

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
    new = reshaped(rewriting, base, shape_of((node, 0)), (node, 0))
    return new is not None and rewriting.replace((node, 0), new)


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
    "Reshape": [join_reshapes],
    "_np_reshape": [join_reshapes],
    "transpose": [join_transposes],
}
