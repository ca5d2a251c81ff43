"""Framework adapters, one module each, imported only when selected."""

from __future__ import annotations

import sys


def parameter_bytes(model: object) -> int:
    """Bytes of a loaded model's parameters, 0 where the model does not tell."""
    return int(getattr(model, "parameter_bytes", 0))


def set_threads(count: int) -> None:
    """Threads of this process' passes, for a framework that is loaded: right after the fork, before the first pass."""
    if "mxnet" in sys.modules:
        from serving.backends import mxnet

        mxnet.set_threads(count)
