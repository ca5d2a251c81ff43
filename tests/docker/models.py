"""Write the models that the image is tested with, by MXNet itself: `python models.py FOLDER`, in a process of its own.

mlp      data (rows, 4) -> two layers; positive rows [a, b, c, d] answer [a + 0.5, b, a + b + c + d - 1]
slow     the mlp, with a user script that says "began" and takes the seconds that the request names
packages the mlp, with a user script that imports a package of its requirements.txt
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from serving.backends.mxnet_import import import_mxnet

SLOW = '''"""Takes as long as the request says."""

import json
import sys
import time


def transform_fn(model, data, content_type, accept):
    """Wait, then answer what was asked; a warm-up's rows are no seconds."""
    seconds = json.loads(data)
    if isinstance(seconds, float):
        print("began", file=sys.stderr, flush=True)
        time.sleep(seconds)
    return data, "application/json"
'''

PACKAGES = '''"""Answers by a package that the image does not have."""

import ei_test_colours


def transform_fn(model, data, content_type, accept):
    """The package's own words."""
    return ei_test_colours.answer(), "text/plain"
'''


def main(folder: Path) -> None:
    """Write all models below the folder."""
    _mlp(folder / "mlp")
    for name, script in (("slow", SLOW), ("packages", PACKAGES)):
        shutil.copytree(folder / "mlp", folder / name)
        (folder / name / "code").mkdir()
        (folder / name / "code" / "inference.py").write_text(script)
    (folder / "packages" / "code" / "requirements.txt").write_text("ei-test-colours==1.0\n")


def _mlp(folder: Path) -> None:
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
