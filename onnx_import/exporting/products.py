"""Products of matrices."""

from __future__ import annotations

from onnx_import.exporting.build import Refused, Use, mx


@mx("FullyConnected", "_npx_fully_connected")
def fully_connected(use: Use) -> str:
    """Gemm on rows, MatMul on more axes."""
    x, weight = use.inputs[:2]
    bias = [] if use.flag("no_bias") else [use.inputs[2]]
    if use.flag("flatten", True) or len(use.shapes[0]) == 2:
        if len(use.shapes[0]) != 2:
            x = use.emit("Flatten", x, axis=1)
        return use.emit("Gemm", x, weight, *bias, transB=1)
    found = use.emit("MatMul", x, _turned(use, 1))
    return use.emit("Add", found, bias[0]) if bias else found


def _turned(use: Use, at: int) -> str:
    """An input with its last two axes exchanged: at once where it is a constant."""
    known, rank = use.known(at), len(use.shapes[at])
    if known is not None:
        return use.build.constant(known.swapaxes(-1, -2), f"{use.node.name}_turned")
    return use.emit("Transpose", use.inputs[at], perm=[*range(rank - 2), rank - 1, rank - 2])


def _operands(use: Use) -> list[str]:
    """Two operands, turned where the attributes say so."""
    return [_turned(use, at) if use.flag(name) else use.inputs[at] for at, name in enumerate(("transpose_a", "transpose_b"))]


@mx("dot")
def dot(use: Use) -> str:
    """The last axis of one with the first of the other."""
    if len(use.shapes[0]) > 2 or len(use.shapes[1]) > 2:
        if use.flag("transpose_a") or use.flag("transpose_b") or len(use.shapes[1]) > 2:
            raise Refused("it multiplies tensors of more than two axes along their first")
        return use.emit("MatMul", *use.inputs)
    if len(use.shapes[0]) == len(use.shapes[1]) == 1:
        return use.emit("Reshape", use.emit("MatMul", *use.inputs), use.const(list(use.shape)))
    return use.emit("MatMul", *_operands(use))


@mx("batch_dot", "_npx_batch_dot")
def batch_dot(use: Use) -> str:
    """A product a sample."""
    return use.emit("MatMul", *_operands(use))


@mx("_npi_matmul", "_np_dot")
def matmul(use: Use) -> str:
    """numpy's product."""
    if use.node.op == "_np_dot" and len(use.shapes[1]) > 2:
        raise Refused("it multiplies along the last axis but one of a tensor of more than two")
    if not use.shapes[0] or not use.shapes[1]:
        return use.emit("Mul", *use.inputs)
    return use.emit("MatMul", *use.inputs)


@mx("_linalg_gemm2", "linalg_gemm2", "_linalg_gemm", "linalg_gemm")
def gemm2(use: Use) -> str:
    """A scaled product, with a scaled third operand where there is one."""
    if int(use.get("axis", -2)) % len(use.shapes[0]) != len(use.shapes[0]) - 2:
        raise Refused("its matrices do not lie in the last two axes")
    found = use.emit("MatMul", *_operands(use))
    if (alpha := float(use.get("alpha", 1.0))) != 1:
        found = use.emit("Mul", found, use.const(alpha, use.dtype))
    if len(use.inputs) > 2:
        third = use.emit("Mul", use.inputs[2], use.const(float(use.get("beta", 1.0)), use.dtype))
        found = use.emit("Add", found, third)
    return found
