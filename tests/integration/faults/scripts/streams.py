"""A user script that answers in pieces, each when the test asks for it."""

import time
from pathlib import Path


def model_fn(model_dir):
    return Path(model_dir)


def pieces(folder, order):
    yield b"first "
    if order == "raise":
        raise ValueError("nothing after the first piece")
    if order == "hang":
        while True:
            time.sleep(0.05)
    if order == "endless":
        try:
            while True:
                yield b"x" * 65536
        finally:
            (folder / "closed").touch()
    while not (folder / order).exists():
        time.sleep(0.005)
    yield b"second "
    yield b""
    yield "third"


def transform_fn(model, data, content_type, accept):
    return pieces(model, data if isinstance(data, str) else data.decode()), "text/plain"
