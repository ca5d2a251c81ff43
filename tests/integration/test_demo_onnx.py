"""`make demo-onnx`, as a newcomer runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo() -> None:
    """A scikit-learn model is trained, converted, verified, served and asked; it is right 19 times out of 20."""
    command = [sys.executable, "examples/digits_onnx/demo.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    (accuracy,) = re.findall(r"right: accuracy ([\d.]+)", done.stdout)
    assert float(accuracy) >= 0.95
    assert "verified against" in done.stdout
    assert "==> stopping the server" in done.stdout
    report = json.loads((ROOT / "build" / "digits_onnx" / "model" / "conversion.json").read_text())
    assert report["verification"]
