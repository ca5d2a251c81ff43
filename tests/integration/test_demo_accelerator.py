"""`make demo-accelerator`, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_demo() -> None:
    """Three scripts are right on the accelerator; a container's answers survive its engine, and come back after it was killed."""
    command = [sys.executable, "examples/accelerator/demo.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    right = [int(count) for count in re.findall(r"(\d+) of 100 right", done.stdout)]
    assert len(right) == 3
    assert min(right) >= 90
    assert len(re.findall(r"[1-9]\d* requests seen at the accelerator", done.stdout)) == 3
    statuses = [int(status) for status in re.findall(r"x (\d{3}) ", done.stdout)]
    assert statuses[0] == statuses[-1] == 200
    assert 503 in statuses
    assert "Failed to detect any accelerator" in done.stdout
    assert "==> stopping the accelerator" in done.stdout
