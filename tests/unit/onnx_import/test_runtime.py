"""What runs a converted model needs neither onnx nor onnxruntime, even where both are installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
from onnx import parser

from onnx_import.convert import convert

TEXT = """<ir_version: 10, opset_import: ["" : 21]>
agraph (float[N, 4] x) => (float[N, 4] y, int64[R, K] places) { y = Relu(x)  places = NonZero(y) }"""

RUN = """
import sys
import numpy as np
from pathlib import Path
from onnx_import import artifact, registry
registry.load()
program = artifact.load(Path(sys.argv[1]))
y, places = program.run({"x": np.array([[-1, 2, 0, 3]], np.float32)})
assert y.tolist() == [[0, 2, 0, 3]] and places.tolist() == [[0, 0], [1, 3]]
named = {name.partition(".")[0] for name in sys.modules}
assert not named & {"onnx", "onnxruntime", "tf2onnx", "google"}, sorted(named)
"""


def test_no_onnx(tmp_path: Path) -> None:
    """Every converter is loaded and an artifact run in a process that imports none of them."""
    model = parser.parse_model(TEXT)
    onnx.checker.check_model(model)
    convert(model, tmp_path / "out")
    subprocess.run([sys.executable, "-c", RUN, str(tmp_path / "out")], check=True, cwd=Path(__file__).parents[3])
