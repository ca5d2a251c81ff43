"""Decoding and encoding alone: our codecs beside json with numpy, and beside AWS's toolkit where `make dev` installed it.

Every way must give the same array; each is timed for a while, in turn, and the fastest of its repetitions counts.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks import harness
from benchmarks.harness import figure, say
from serving import codecs

LIMIT = 1 << 30
TYPES = {"json": "application/json", "csv": "text/csv", "npy": "application/x-npy"}
SHAPES = {"1 x 64": (1, 64), "64 x 64": (64, 64), "1 x 3 x 224 x 224": (1, 3, 224, 224)}
Way = Callable[[Any], Any]


def main() -> int:
    """Measure, print the table, write the JSON; 1 where a way gives other numbers."""
    parser = harness.arguments(__doc__ or "", rounds=5)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    decoders, encoders = {"ei": ours_decode, "plain": plain_decode}, {"ei": ours_encode, "plain": plain_encode}
    for ways, found in zip((decoders, encoders), toolkit(), strict=True):
        ways.update(found)
    figures: dict[str, dict[str, float]] = {}
    for size, shape in SHAPES.items():
        array = np.random.default_rng(7).random(shape, dtype="float32")
        for kind in TYPES:
            given = array.reshape(len(array), -1) if kind == "csv" else array
            body = plain_encode(kind)(given)
            figures[f"{kind} {size}, decode"] = compare({n: way(kind) for n, way in decoders.items()}, body, given, rounds)
            figures[f"{kind} {size}, encode"] = compare({n: way(kind) for n, way in encoders.items()}, given, given, rounds)
            say(f"{kind} {size}")
    harness.write(options.json, {"machine": harness.machine(), "microseconds": figures})
    names = list(decoders)
    headers = ["what", *(f"{name} us" for name in names), *(f"{name} / ei" for name in names[1:])]
    print(harness.markdown(headers, [[what, *cells(found, names)] for what, found in figures.items()]))
    return 0


def cells(found: dict[str, float], names: list[str]) -> list[str]:
    """The times of a row, and the others' over ours."""
    return [*(figure(found[name]) for name in names), *(figure(found[name] / found["ei"]) for name in names[1:])]


def compare(ways: dict[str, Way], given: Any, due: Any, rounds: int) -> dict[str, float]:
    """Microseconds of each way for what is given; WrongAnswer where it stands for other numbers than `due`."""
    for name, way in ways.items():
        got = way(given)
        array = got if isinstance(got, np.ndarray) else read(got)
        if not np.allclose(array.reshape(due.shape), due, rtol=1e-5):
            raise harness.WrongAnswer(f"{name} gives other numbers")
    best: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name, way in harness.turned(list(ways.items()), number):
            best[name].append(timed(way, given))
    return {name: min(times, default=0.0) for name, times in best.items()}


def timed(way: Way, given: Any, seconds: float = 0.1) -> float:
    """Microseconds of one call, over as many as fill a tenth of a second."""
    count, begin = 0, time.perf_counter()
    while (taken := time.perf_counter() - begin) < seconds:
        way(given)
        count += 1
    return 1e6 * taken / count


def read(body: bytes) -> Any:
    """The numbers of an encoded body, by numpy and json alone."""
    if body[:6] == b"\x93NUMPY":
        return np.load(io.BytesIO(body))
    if body[:1] == b"[":
        return np.asarray(json.loads(body))
    return np.loadtxt(body.decode().splitlines(), delimiter=",")


def ours_decode(kind: str) -> Way:
    """Our codec: body to array."""
    return lambda body: next(iter(codecs.decode(body, TYPES[kind], None, LIMIT).values()))


def ours_encode(kind: str) -> Way:
    """Our codec: array to body."""
    return lambda array: codecs.encode({"": array}, TYPES[kind])[0]


def plain_decode(kind: str) -> Way:
    """What one writes without a library: body to array."""
    ways: dict[str, Way] = {
        "json": lambda body: np.asarray(json.loads(body), "float32"),
        "csv": lambda body: np.genfromtxt(io.BytesIO(body), delimiter=",", dtype="float32"),
        "npy": lambda body: np.load(io.BytesIO(body)),
    }
    return ways[kind]


def plain_encode(kind: str) -> Way:
    """What one writes without a library: array to body."""

    def saved(array: Any) -> bytes:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()

    def text(array: Any) -> bytes:
        file = io.BytesIO()
        np.savetxt(file, array, delimiter=",", fmt="%.9g")
        return file.getvalue()

    ways: dict[str, Way] = {"json": lambda array: json.dumps(array.tolist()).encode(), "csv": text, "npy": saved}
    return ways[kind]


def toolkit() -> tuple[dict[str, Callable[[str], Way]], dict[str, Callable[[str], Way]]]:
    """AWS's decoders and encoders by name, or nothing where its toolkit is not installed."""
    sys.path.append(str(Path(sys.prefix) / "oracle"))  # last: what it brings must not stand before ours
    try:
        from sagemaker_inference import decoder, encoder
    except ImportError as error:
        say(f"without sagemaker-inference: {error}")
        return {}, {}

    def encoded(kind: str) -> Way:
        def way(array: Any) -> bytes:
            body = encoder.encode(array, TYPES[kind])
            return body.encode() if isinstance(body, str) else body

        return way

    def decoded(kind: str) -> Way:
        # Its transformer hands JSON and CSV on as text.
        return lambda body: decoder.decode(body if kind == "npy" else body.decode(), TYPES[kind])

    return {"toolkit": decoded}, {"toolkit": encoded}


if __name__ == "__main__":
    harness.run(main)
