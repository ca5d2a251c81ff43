"""A user script that does what its request says: it answers, or misbehaves in one way."""

import ctypes
import os
import sys
import time
from pathlib import Path

HELD = []


def model_fn(model_dir):
    return Path(model_dir)


def lock_twice():
    """Never returns to the interpreter, whatever signal comes, and takes no CPU time."""
    mutex = ctypes.create_string_buffer(64)
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)


def allocate():
    while True:
        HELD.append(bytearray(64 << 20))


def wait_for(path):
    while not path.exists():
        time.sleep(0.005)


def transform_fn(model, data, content_type, accept):
    order, _, rest = (data if isinstance(data, str) else data[:200].decode("latin-1")).partition(" ")
    rest = rest.strip()
    if order == "pid":
        return str(os.getpid()), "text/plain"
    if order == "raise":
        raise ValueError("the script does not like this")
    if order == "type":
        return object()
    if order == "exit":
        sys.exit(3)
    if order == "hang":
        while True:
            time.sleep(0.05)
    if order == "native":
        lock_twice()
    if order == "allocate":
        try:
            allocate()
        finally:
            HELD.clear()
    if order == "vanish":
        os._exit(1)
    if order == "wait":  # until the test makes this file
        (model / f"{rest}.began").touch()
        wait_for(model / rest)
    if order == "sleep":
        time.sleep(float(rest.split()[0]))
    if order == "big":
        return b"x" * int(rest), "application/octet-stream"
    return data, "text/plain"
