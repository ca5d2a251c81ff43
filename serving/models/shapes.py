"""A model's signature, read from `model-shapes.json` or inferred from its graph and the shapes of its parameters.

    model-shapes.json -> Signature          graph + parameters' shapes -> inputs -> the first consumer that fixes a shape

MXNet infers shapes forward alone: it cannot say which inputs a graph takes. But a Convolution's weight holds the number of
channels, a FullyConnected's the number of features, so that walking from an input over operators that keep shapes to the
first one with a weight tells what a request must look like. What stays unknown stays `None`: nothing is guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import ModelError
from serving.models.consumers import Shape, demands
from serving.models.graph import VARIABLE, Graph, Node
from serving.models.params_file import DTYPES
from serving.models.signature import Signature, Tensor

FLOAT32 = np.dtype("float32")
FORM = 'expected [{"name": "data", "shape": [1, 3, 224, 224]}], and "dtype" where it is not float32'

LABEL_SLOTS = {
    "SoftmaxOutput": 1,
    "Softmax": 1,
    "LinearRegressionOutput": 1,
    "LogisticRegressionOutput": 1,
    "MAERegressionOutput": 1,
    "SVMOutput": 1,
    "softmax_cross_entropy": 1,
    "CTCLoss": 1,
    "_contrib_MultiBoxTarget": 1,
}
"""Which input of a loss layer is its label: read while training, never by a forward pass."""

PARAMETER_ENDINGS = ("_weight", "_bias", "_gamma", "_beta", "_moving_mean", "_moving_var", "_running_mean", "_running_var")


def read(path: Path) -> Signature:
    """The signature in a shapes file; ModelError that says which entry is wrong, and what was expected.

    Takes a list of entries, one entry, a dict of name to shape, pairs of name and shape, and any of them under `inputs`. The
    first dimension counts rows, whatever number stands there; elsewhere null, 0 and -1 mean any size.
    """
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}; {FORM}") from None
    try:
        tensors = tuple(_tensor(name, shape, dtype) for name, shape, dtype in _entries(document))
    except ValueError as error:
        raise ModelError(f"{path}: {error}; {FORM}") from None
    names = [tensor.name for tensor in tensors]
    if not names or len(set(names)) < len(names):
        raise ModelError(f"{path}: {'no input is named' if not names else f'an input is named twice in {names}'}; {FORM}")
    return Signature(tensors)


def infer(graph: Mapping[str, Any], param_shapes: Mapping[str, tuple[int, ...]]) -> Signature:
    """The inputs of a symbol's JSON graph, with the shapes that its operators and parameters fix.

    Names of parameters are taken with or without `arg:` and `aux:`. ModelError where the graph needs parameters that are not
    there: MXNet would run it with zeros.
    """
    view = Graph(graph, {name.removeprefix("arg:").removeprefix("aux:"): shape for name, shape in param_shapes.items()})
    labels, asked = _labels(view), demands(view)
    inputs = [node for node in view.free if node.at not in labels]
    lacking = [node.name for node in inputs if _is_parameter(view, node)]
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise ModelError(
            f"the parameters lack {', '.join(lacking[:5])}{more}, which the symbol needs; are the two of one training?"
        )
    if not inputs:
        raise ModelError("the symbol has no input: every one of its variables is a parameter or a label")
    return Signature(tuple(Tensor(node.name, _shape(node, asked[node.at]), _dtype(node)) for node in inputs))


def check_complete(graph: Mapping[str, Any], param_shapes: Mapping[str, tuple[int, ...]], signature: Signature) -> None:
    """ModelError where the graph needs parameters that neither the parameters hold nor the signature feeds.

    For a signature that was read, as `infer` checks its own: MXNet would run the graph with zeros in their place.
    """
    fed = dict.fromkeys((tensor.name for tensor in signature.inputs), ())
    view = Graph(
        graph, {**{name.removeprefix("arg:").removeprefix("aux:"): shape for name, shape in param_shapes.items()}, **fed}
    )
    _check_complete(view, view.free)


def _check_complete(view: Graph, variables: list[Node]) -> None:
    lacking = [node.name for node in variables if _is_parameter(view, node)]
    if lacking:
        more = f" and {len(lacking) - 5} more" if len(lacking) > 5 else ""
        raise ModelError(
            f"the parameters lack {', '.join(lacking[:5])}{more}, which the symbol needs; are the two of one training?"
        )


def _entries(document: Any) -> list[tuple[Any, Any, Any]]:
    """(name, shape, dtype) of whatever form the document has."""
    if isinstance(document, dict) and "inputs" in document:
        return _entries(document["inputs"])
    if isinstance(document, dict):
        if "name" in document and "shape" in document:
            return [(document["name"], document["shape"], document.get("dtype"))]
        return [_named(name, value) for name, value in document.items()]
    if not isinstance(document, list):
        raise ValueError(f"found {type(document).__name__}")
    found = []
    for at, entry in enumerate(document):
        if isinstance(entry, dict) and {"name", "shape"} <= set(entry):
            found.append((entry["name"], entry["shape"], entry.get("dtype")))
        elif isinstance(entry, list) and len(entry) in (2, 3) and isinstance(entry[0], str):
            found.append((entry[0], entry[1], entry[2] if len(entry) == 3 else None))
        else:
            raise ValueError(f"entry {at} has no name and shape")
    return found


def _named(name: str, value: Any) -> tuple[Any, Any, Any]:
    return (name, value.get("shape"), value.get("dtype")) if isinstance(value, dict) else (name, value, None)


def _tensor(name: Any, shape: Any, dtype: Any) -> Tensor:
    if not isinstance(name, str) or not name:
        raise ValueError(f"{name!r} is no name")
    if not isinstance(shape, list) or not shape:
        raise ValueError(f"the shape of {name} is {json.dumps(shape)}, not a list of at least one number")
    sizes = []
    for size in shape:
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < -1):
            raise ValueError(f"the shape of {name} holds {json.dumps(size)}")
        sizes.append(size if size is not None and size > 0 else None)
    return Tensor(name, (None, *sizes[1:]), _named_dtype(name, dtype))


def _named_dtype(name: str, dtype: Any) -> np.dtype[Any]:
    if dtype is None:
        return FLOAT32
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"the dtype of {name} is {json.dumps(dtype)}, not one of {', '.join(DTYPES[:8])}")
    return np.dtype(dtype)


def _labels(view: Graph) -> set[int]:
    """The nodes that feed nothing but labels of loss layers, straight or through operators of one input."""
    found: set[int] = set()
    for node in reversed(view.nodes):
        consumers = view.consumers(node)
        if (node.op == VARIABLE and (node.name == "label" or node.name.endswith("_label"))) or (
            consumers
            and all(
                slot == LABEL_SLOTS.get(user.op) or (len(user.inputs) == 1 and user.at in found) for user, slot in consumers
            )
        ):
            found.add(node.at)
    return found


def _is_parameter(view: Graph, node: Node) -> bool:
    """Whether a variable without a value is a parameter: by its name, and because it is no operator's first input."""
    return node.name.endswith(PARAMETER_ENDINGS) and all(slot > 0 for _, slot in view.consumers(node))


def _shape(node: Node, asked: Shape) -> Shape:
    """What the variable declares, else what its consumers ask for; the first axis counts rows."""
    declared = node.shape_attr("__shape__")
    if declared:
        return (None, *(size if size > 0 else None for size in declared[1:]))
    return None if asked is None else (None, *asked[1:])


def _dtype(node: Node) -> np.dtype[Any]:
    flag = node.number("__dtype__", 0)
    return np.dtype(DTYPES[flag]) if 0 <= flag < len(DTYPES) else FLOAT32
