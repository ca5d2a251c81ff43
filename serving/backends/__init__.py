"""Framework adapters, one module each, imported only when selected."""

from __future__ import annotations

import ctypes
import sys

_threads = 1


def parameter_bytes(model: object) -> int:
    """Bytes of a loaded model's parameters, 0 where the model does not tell."""
    return int(getattr(model, "parameter_bytes", 0))


def set_threads(count: int) -> None:
    """Threads of this process' passes: right after the fork, before a model is loaded or, of one that is, its first pass."""
    global _threads
    _threads = count
    if "mxnet" in sys.modules:
        from serving.backends import mxnet

        mxnet.set_threads(count)


def threads() -> int:
    """What `set_threads` said last, for a framework whose models are made with their threads."""
    return _threads


def trim() -> None:
    """Give back to the system what loading and the first passes left free: of TensorFlow's, as much again as the weights."""
    libc = ctypes.CDLL(None)
    if "serving.backends.tensorflow" in sys.modules and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
