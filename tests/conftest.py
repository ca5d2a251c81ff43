"""What all suites share: a fixed seed for generated cases, and the path of AWS's own toolkit."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# The same cases in every run: a failure is a fact about the code, not about the day. Deadlines would be timed checks.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")


@pytest.fixture(scope="session")
def toolkit_oracle() -> Path:
    """The folder that holds sagemaker-inference 1.10.1, for the PYTHONPATH of a process of its own (`make dev` fills it)."""
    folder = Path(sys.prefix) / "oracle"
    assert (folder / "sagemaker_inference").is_dir(), "AWS's toolkit is not installed: run `make dev`"
    return folder


# Tests fork, and servers that they start do: gRPC's own handlers for that break the channels of the process that forks.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
