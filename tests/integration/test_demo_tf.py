"""`make demo-tf`, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo() -> None:
    """Both models are trained, served by one server and asked; each is right nine times out of ten, and the server ends well."""
    command = [sys.executable, "examples/digits_tf/demo.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    accuracies = {what: float(share) for what, share in re.findall(r"(digits|wines) right: accuracy ([\d.]+)", done.stdout)}
    assert accuracies.keys() == {"digits", "wines"}
    assert min(accuracies.values()) >= 0.9
    assert "model says" in done.stdout
    assert "==> stopping the server" in done.stdout
