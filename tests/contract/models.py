"""Write the models that the contract tests serve, with MXNet itself: `python models.py FOLDER`, in a process of its own.

mlp     data (rows, 4) -> two layers; positive rows [a, b, c, d] answer [a + 0.5, b, a + b + c + d - 1]
pair    a (rows, 2) float32 and b (rows, 2) int32 -> 2a + b
script  the mlp, with a user script that answers its request's own headers
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from serving.backends.mxnet_import import import_mxnet

SCRIPT = '''"""Answers the custom attributes and content type of the request, and sends the attributes back."""

import json


def transform_fn(model, data, content_type, accept, context):
    """Echo; a body of "raise" raises."""
    name = "X-Amzn-SageMaker-Custom-Attributes"
    attributes = context.get_request_header(0, name)
    if data == '"raise"':
        raise ValueError("the script does not like this body")
    if attributes:
        context.set_response_header(0, name, attributes + ";seen=yes")
    return json.dumps({"attributes": attributes, "content_type": content_type, "accept": accept}), "application/json"
'''


def main(folder: Path) -> None:
    """Write all models below the folder."""
    mx = import_mxnet()
    _mlp(mx, folder / "mlp")
    _pair(mx, folder / "pair")
    shutil.copytree(folder / "mlp", folder / "script")
    (folder / "script/code").mkdir()
    (folder / "script/code/inference.py").write_text(SCRIPT)


def _mlp(mx: Any, folder: Path) -> None:
    data = mx.sym.var("data")
    hidden = mx.sym.Activation(mx.sym.FullyConnected(data, num_hidden=4, name="fc1"), act_type="relu")
    output = mx.sym.FullyConnected(hidden, num_hidden=3, name="fc2")
    weights = {
        "fc1_weight": mx.nd.eye(4),
        "fc1_bias": mx.nd.zeros(4),
        "fc2_weight": mx.nd.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]]),
        "fc2_bias": mx.nd.array([0.5, 0, -1]),
    }
    _save(mx, folder, output, weights, [{"name": "data", "shape": [1, 4]}])


def _pair(mx: Any, folder: Path) -> None:
    a, b = mx.sym.var("a"), mx.sym.var("b", dtype="int32")
    output = mx.sym.broadcast_mul(a, mx.sym.var("scale")) + mx.sym.Cast(b, dtype="float32")
    shapes = [{"name": "a", "shape": [1, 2]}, {"name": "b", "shape": [1, 2], "dtype": "int32"}]
    _save(mx, folder, output, {"scale": mx.nd.array([[2, 2]])}, shapes)


def _save(mx: Any, folder: Path, symbol: Any, weights: dict[str, Any], shapes: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    symbol.save(str(folder / "model-symbol.json"))
    mx.nd.save(str(folder / "model-0000.params"), {f"arg:{name}": array for name, array in weights.items()})
    (folder / "model-shapes.json").write_text(json.dumps(shapes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
