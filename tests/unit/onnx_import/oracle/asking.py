"""One node asked of the mended evaluator, for the tests of its operators."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx_import import oracle


def ask(op: str, inputs: list[Any], opset: int, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
    """What one node answers; None leaves an input out. One output as it is, several in a list."""
    names = [f"i{at}" if value is not None else "" for at, value in enumerate(inputs)]
    results = [f"o{at}" for at in range(outputs)]
    node = helper.make_node(op, names, results, domain=domain, **attributes)
    feeds = {name: np.asarray(value) for name, value in zip(names, inputs, strict=True) if name}
    found = oracle.reference(model([node], feeds, results, opset, domain)).run(feeds)
    return found[0] if outputs == 1 else found


def model(
    nodes: list[onnx.NodeProto], feeds: dict[str, Any], results: list[str], opset: int, domain: str = ""
) -> onnx.ModelProto:
    """A model of some nodes; its inputs have the feeds' types and shapes."""
    given = [
        helper.make_tensor_value_info(
            name, 8 if value.dtype == object else helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in feeds.items()
    ]
    graph = helper.make_graph(nodes, "g", given, [helper.make_empty_tensor_value_info(name) for name in results])
    opsets = (
        [helper.make_opsetid("", opset)] if not domain else [helper.make_opsetid("", 13), helper.make_opsetid(domain, opset)]
    )
    return helper.make_model(graph, opset_imports=opsets)
