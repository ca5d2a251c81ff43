"""Results that several nodes read, kept away from MXNet 1.9.1's own fusion where it then answers wrongly.

When a symbol is bound, a convolution or product of matrices takes in the activation (and sum) behind it. Where others read the
same result, they get the activation's, or the activation is lost: a product must not be read by an activation and others,
nor a convolution by one that is an output, or is summed. A node between them that changes nothing keeps it whole.
"""

from __future__ import annotations

from onnx_import.fusion.rewriting import Place, Rewriting, node_of, shape_of
from onnx_import.nd.tape import spell
from onnx_import.nd.value import TapeNode

CURVES = ("Activation", "LeakyReLU", "clip")
TAKEN_BY_PRODUCTS = {*CURVES, "square", "sqrt", "exp", "abs", "_npi_square", "_npi_sqrt", "_npi_exp", "_npi_absolute"}
SUM = "elemwise_add"
TAKEN_BY_CONVOLUTIONS = {*CURVES, "BatchNorm", SUM}


def keep_whole(rewriting: Rewriting) -> bool:
    """Put such nodes in; there is nothing left to do after that."""
    for node in list(rewriting.nodes):
        place = (node, 0)
        if node.op in ("FullyConnected", "Convolution") and _is_at_risk(rewriting, node):
            _keep_apart(rewriting, place)
    return False


def _is_at_risk(rewriting: Rewriting, node: TapeNode) -> bool:
    place = (node, 0)
    readers = {id(reader): reader for reader in rewriting.readers(place)}
    is_head = rewriting.is_head(place)
    if len(readers) + is_head < 2:
        return False
    operators = [reader.op for reader in readers.values()]
    if node.op == "FullyConnected":
        return any(name in TAKEN_BY_PRODUCTS for name in operators)
    taken = [name for name in operators if name in TAKEN_BY_CONVOLUTIONS]
    return bool(taken) and (is_head or (SUM in taken and len(taken) > 1))


def _keep_apart(rewriting: Rewriting, place: Place) -> None:
    """Let everybody read the same numbers from another node: MXNet leaves out its own `_copy`."""
    shape = shape_of(place)
    if node_of(place, "Convolution"):  # a mean of one element each, which stays in oneDNN's layout
        same = rewriting.make("Pooling", [place], place, kernel=(1,) * (len(shape) - 2), pool_type="avg")
    else:
        same = rewriting.make("Reshape", [place], place)
        same[0].attrs["shape"] = spell([0] * len(shape))
    rewriting.replace(place, same)
    same[0].inputs = [place]
