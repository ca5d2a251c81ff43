"""One pass of a tiny SavedModel, three ways, and what it costs to have TensorFlow at all: why it is run by its C library.

signature: a function of `tf.saved_model.load`        session: a TF1 session's `make_callable`, in the caller's thread
library:   our backend, `SavedModel.run`

Each way has a process of its own in each round, with one thread; what starts take is measured there too. The median of a way's
rounds counts. The model is x/2 + 2 over rows of 64 float32, made with TensorFlow below build/bench.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
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

MODEL = harness.BUILD / "tf-half"
ROWS = {"1 row": 1, "64 rows": 64}
CALLS = 2000
Way = Callable[[Any], Any]


def main() -> int:
    """Measure every way in turn, print both tables, write the JSON."""
    parser = harness.arguments(__doc__ or "", rounds=5)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    if not MODEL.is_dir():
        harness.module("tf_calls", "--make")
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in harness.turned(list(WAYS), number):
            found[way].append(harness.module("tf_calls", "--way", way))
            say(f"round {number + 1}: {way}")
    medians = {way: {key: statistics.median(one[key] for one in taken) for key in taken[0]} for way, taken in found.items()}
    harness.write(options.json, {"machine": harness.machine(), "rounds": rounds, "medians": medians})
    headers = ["way", *(f"{name}, us" for name in ROWS), "start, s", "load, ms", "MB", "own MB", "threads"]
    keys = [*ROWS, "start", "load", "resident", "own", "threads"]
    print(harness.markdown(headers, [[way, *(figure(medians[way][key]) for key in keys)] for way in WAYS]))
    return 0


def measure(way: str) -> dict[str, float]:
    """The figures of one way in this process: microseconds of a call, seconds of the start, megabytes, threads."""
    begin, before = time.perf_counter(), memory()
    load = WAYS[way]()
    start, threads = time.perf_counter() - begin, len(os.listdir("/proc/self/task"))
    after = memory()
    begin = time.perf_counter()
    call = load()
    figures = {"start": start, "load": 1e3 * (time.perf_counter() - begin), "threads": float(threads)}
    figures |= {key: after[key] - before[key] for key in after}
    for name, rows in ROWS.items():
        x = np.random.default_rng(7).random((rows, 64), dtype="float32")
        if not np.array_equal(call(x), x / 2 + 2):
            raise harness.WrongAnswer(f"{way} gives other numbers")
        figures[name] = microseconds(call, x)
    return figures


def microseconds(call: Way, x: Any) -> float:
    """The median of a call's times."""
    times = []
    for _ in range(CALLS):
        begin = time.perf_counter()
        call(x)
        times.append(time.perf_counter() - begin)
    return 1e6 * statistics.median(times[CALLS // 4 :])


def memory() -> dict[str, float]:
    """Megabytes that this process has in memory, and those of them that no other process can share."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {key: int(lines[name].split()[0]) / 1024 for key, name in (("resident", "VmRSS"), ("own", "RssAnon"))}


def signature() -> Callable[[], Way]:
    """Import TensorFlow; then a signature's function."""
    tf = imported()

    def load() -> Way:
        model = tf.saved_model.load(str(MODEL))  # its signatures do not keep its variables alive
        return lambda x: model.signatures["serving_default"](x=tf.constant(x))["y"].numpy()

    return load


def session() -> Callable[[], Way]:
    """Import TensorFlow; then a callable of a session."""
    v1 = imported().compat.v1

    def load() -> Way:
        config = v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
        running = v1.Session(graph=v1.Graph(), config=config)
        with running.graph.as_default():
            meta_graph = v1.saved_model.load(running, ["serve"], str(MODEL))
        signature = meta_graph.signature_def["serving_default"]
        names = signature.outputs["y"].name, signature.inputs["x"].name
        call = running.make_callable(names[0], feed_list=[names[1]])
        return lambda x: call(x)

    return load


def imported() -> Any:
    """TensorFlow's package, with one thread."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    return tf


def library() -> Callable[[], Way]:
    """Open TensorFlow's library; then our backend."""
    from serving.backends import tensorflow, tensorflow_import

    tensorflow_import.library()

    def load() -> Way:
        model = tensorflow.load(MODEL)
        return lambda x: model.run("serving_default", {"x": x})["y"]

    return load


WAYS: dict[str, Callable[[], Callable[[], Way]]] = {"signature": signature, "session": session, "library": library}


def make() -> None:
    """Write the model."""
    tf = imported()
    module = tf.Module()
    module.scale, module.shift = tf.Variable(0.5), tf.Variable(2.0)
    function = tf.function(lambda x: {"y": module.scale * x + module.shift})
    signatures = function.get_concrete_function(tf.TensorSpec([None, 64], tf.float32, name="x"))
    tf.saved_model.save(module, str(MODEL), signatures=signatures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make()
        print("{}")
    elif sys.argv[1:2] == ["--way"]:
        print(json.dumps(measure(sys.argv[2])))
    else:
        harness.run(main)
