"""One engine in a process of its own, told by lines of JSON what to load and how often to run it; one thread.

    {"load": NAME, "model": PATH, "inputs": FILE.npz} -> {"seconds": ...}      {"run": NAME, "seconds": S} -> {"seconds": median}

It imports nothing of this repository for onnxruntime, so that any interpreter that has onnxruntime can run it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # read when MXNet's library is loaded

import numpy as np  # noqa: E402

Call = Callable[[], Any]


def main(engine: str) -> None:
    """Answer each line of stdin with one of stdout, until it ends."""
    prepare = {"ours": ours, "onnxruntime": onnxruntime}[engine]
    calls: dict[str, Call] = {}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        order = json.loads(line)
        begin = time.perf_counter()
        if "load" in order:
            with np.load(order["inputs"]) as arrays:
                feeds = {name: arrays[name] for name in arrays}
            calls[order["load"]] = prepare(order["model"], feeds)
            calls[order["load"]]()
            seconds = time.perf_counter() - begin
        else:
            seconds = timed(calls[order["run"]], order["seconds"])
        answers.write(json.dumps({"seconds": seconds}) + "\n")
        answers.flush()


def timed(call: Call, seconds: float) -> float:
    """The median time of calls that fill so many seconds, of three at least."""
    call()
    end = time.perf_counter() + seconds
    times: list[float] = []
    while len(times) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return median(times)


def ours(path: str, feeds: dict[str, Any]) -> Call:
    """A pass of a converted model, as a server runs it."""
    from pathlib import Path

    from serving.backends import mxnet
    from serving.models.layout import detect

    model = mxnet.load(detect(Path(path)))
    return lambda: model.forward(feeds)


def onnxruntime(path: str, feeds: dict[str, Any]) -> Call:
    """A pass of onnxruntime's CPU provider with all its optimizations."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)


if __name__ == "__main__":
    main(sys.argv[1])
