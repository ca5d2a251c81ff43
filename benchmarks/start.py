"""From the start of the process to the first right answer, beside what importing MXNet takes by itself.

    for each round, in an order that turns: `import mxnet`, plain -> our import -> serve the tiny model -> serve ResNet-50

Prints medians. Files are in the page cache, as they are from the second start on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness, models
from benchmarks.harness import figure, median, say
from benchmarks.models import Model
from benchmarks.server import Command, running

PLAIN = """
import numpy
for name in ("bool", "int", "float", "object", "complex", "str"):
    setattr(numpy, name, getattr(__import__("builtins"), name))  # MXNet names these, and numpy 1.24 removed them
import mxnet
"""
OURS = "from serving.backends.mxnet_import import import_mxnet; import_mxnet()"
KINDS = {"tiny": "json", "big": "npy"}
ours = Command(lambda place: [str(harness.SERVE), "--model", str(place.model), "--port", str(place.port)])


def main() -> int:
    """Measure, print the table, write the JSON."""
    parser = harness.arguments(__doc__ or "", rounds=5)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parser.parse_args()
    tested = {name: models.prepare(name) for name in KINDS}
    taken = measure(steps(tested), 1 if options.quick else options.rounds)
    medians = {name: median(seconds) for name, seconds in taken.items()}
    harness.write(options.json, {"machine": harness.machine(), "seconds": taken, "medians": medians})
    rows = [[name, figure(medians[name]), figure(min(seconds)), figure(max(seconds))] for name, seconds in taken.items()]
    print(harness.markdown(["what", "median s", "least s", "most s"], rows))
    return 0


def steps(tested: dict[str, Model]) -> dict[str, Callable[[], float]]:
    """What is measured, by name; each gives seconds."""
    return {
        "import mxnet": lambda: program(PLAIN),
        "import mxnet, ours": lambda: program(OURS),
        **{f"first right answer, {name}": partial(first_answer, model) for name, model in tested.items()},
    }


def measure(wanted: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in each round; a first round, which fills the page cache, does not count."""
    taken: dict[str, list[float]] = {name: [] for name in wanted}
    for number in range(rounds + 1):
        for name, step in harness.turned(list(wanted.items()), number):
            seconds = step()
            if number:
                taken[name].append(seconds)
                say(f"{name}: {seconds:.2f} s")
    return taken


def program(code: str) -> float:
    """Seconds that an interpreter with this code takes from start to end; BenchmarkError where it fails."""
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], cwd=harness.ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begin
    if done.returncode:
        raise harness.BenchmarkError(f"the import failed: {done.stderr.strip()[-500:]}")
    return seconds


def first_answer(model: Model) -> float:
    """Seconds from the start of `serve` to its first right answer."""
    with running(ours, model) as server:
        return server.first_answer(KINDS[model.name])


if __name__ == "__main__":
    harness.run(main)
