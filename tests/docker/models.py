"""Write the model that the MXNet image is tested with, by MXNet itself: `python models.py FOLDER`, in a process of its own.

data (rows, 4) -> two layers; positive rows [a, b, c, d] answer [a + 0.5, b, a + b + c + d - 1].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from serving.backends.mxnet_import import import_mxnet


def main(folder: Path) -> None:
    """Write it."""
    mx = import_mxnet()
    hidden = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc1"), act_type="relu")
    output = mx.sym.FullyConnected(hidden, num_hidden=3, name="fc2")
    weights = {
        "arg:fc1_weight": mx.nd.eye(4),
        "arg:fc1_bias": mx.nd.zeros(4),
        "arg:fc2_weight": mx.nd.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 1, 1]]),
        "arg:fc2_bias": mx.nd.array([0.5, 0, -1]),
    }
    folder.mkdir(parents=True)
    output.save(str(folder / "model-symbol.json"))
    mx.nd.save(str(folder / "model-0000.params"), weights)
    (folder / "model-shapes.json").write_text(json.dumps([{"name": "data", "shape": [1, 4]}]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
