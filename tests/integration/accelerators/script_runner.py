"""Runs scripts one after the other in one process, and prints for each what it printed, and how many calls it made.

    python script_runner.py attached|local SCRIPT...

`attached`: as our hooks run them, the calls counted by the accelerator. `local`: on stock MXNet, whose `mx.eia()` is the CPU.
"""

from __future__ import annotations

import contextlib
import io
import json
import runpy
import sys
import types
from collections.abc import Callable

import numpy as np


def local() -> Callable[[], int]:
    """MXNet as it is, where the accelerator is the CPU."""
    for name, builtin in {"bool": bool, "int": int, "float": float, "object": object}.items():
        if name not in np.__dict__:
            setattr(np, name, builtin)
    import mxnet as mx

    mx.eia = lambda n=0: mx.cpu()
    mx.Context.devstr2type["eia"] = mx.Context.devstr2type["cpu"]
    sys.modules["eimx"] = types.ModuleType("eimx")
    return lambda: 0


def attached() -> Callable[[], int]:
    """Our hooks, and the accelerator's count of calls."""
    from serving.accelerators import attached as accelerators
    from serving.accelerators import scripts
    from serving.accelerators.protocol.messages import message

    scripts.install()

    def count() -> int:
        reply = accelerators.number(0).call("ModelStatistics", message("ModelStatisticsRequest")(), 10.0)
        return sum(entry.inference_stats.success.count for entry in reply.model_stats)

    return count


def main(mode: str, scripts: list[str]) -> None:
    """Run them."""
    count = {"local": local, "attached": attached}[mode]()
    for script in scripts:
        before, printed = count(), io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_path(script, run_name="__main__")
        print(json.dumps({"script": script, "lines": printed.getvalue().splitlines(), "calls": count() - before}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
