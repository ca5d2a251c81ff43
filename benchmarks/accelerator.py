"""The accelerator's numbers, in one run: ratios of times that were taken in turn. `docs/performance.md` explains the rows.

    accelerator.py [--only ROW,...] [--rounds N] [--quick] [--json FILE]

Exits with 1 where a row misses what it must reach.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.attached import calls, containers, faults, figures, host, passes
from benchmarks.attached.figures import Figure
from benchmarks.harness import say
from benchmarks.server import free_port


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    quick: bool

    def some(self, whole: int, quick: int) -> int:
        """One of two numbers."""
        return quick if self.quick else whole


@dataclass(frozen=True)
class Row:
    """What is measured, and what is read from it."""

    measure: Callable[[Effort], Any]
    read: Callable[[Any], list[Figure]]


def added(effort: Effort) -> Any:
    """A call by every way of the wire, beside an echo of as many bytes."""
    port = free_port()
    with ExitStack() as stack:
        tcp = stack.enter_context(host.accelerator("--threads", "1", "--no-spare"))
        unix = stack.enter_context(host.accelerator("--threads", "1", "--no-spare", unix=True))
        stack.enter_context(host.worker("echo", str(port))).ask("listen")
        rounds, number = effort.some(5 * effort.rounds, 3), effort.some(120, 30)
        return harness.module("attached.calls", tcp.address, unix.address, str(port), str(rounds), str(number))


def engines(effort: Effort) -> Any:
    """Both engines for MXNet artifacts, with two threads and with one."""
    return {threads: passes.engines(effort.some(effort.rounds + 2, 2), int(threads)) for threads in ("2", "1")}


def killed(effort: Effort) -> Any:
    """The engine killed under the load of a small and of a large model."""
    return {name: faults.killed(effort.some(effort.rounds, 1), name) for name in ("tiny", "big")}


def fairness(effort: Effort) -> Any:
    """A calm client beside one that floods."""
    found = []
    with host.accelerator("--threads", "1", "--no-spare") as accelerator:
        for _ in range(effort.some(effort.rounds, 1)):
            found.append(harness.module("attached.fairness", accelerator.address, str(effort.some(8, 3))))
            say(f"calm beside a flood: p95 {figures.p95(found[-1]['latency_ms']):.1f} ms, a pass {found[-1]['pass_ms']:.1f} ms")
    return found


def estimate(effort: Effort) -> Any:
    """What the sizing says of models, beside what they take: a benchmark of its own, which exits with 1 where it misses."""
    quick = ["--models", "resnet34_v1,squeezenet1_1,lstm", "--batches", "1"] if effort.quick else []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows")
        command = [sys.executable, "-m", "benchmarks.estimate", "--json", str(file), *quick]
        done = subprocess.run(command, cwd=harness.ROOT, stdout=sys.stderr, check=False)
        if not file.exists():
            raise harness.BenchmarkError(f"benchmarks.estimate ended with {done.returncode}")
        return json.loads(file.read_text())


ROWS: Mapping[str, Row] = {
    "added": Row(added, lambda found: figures.added(found, calls.DEFAULT)),
    "resnet": Row(lambda effort: passes.script(effort.some(effort.rounds + 2, 2)), figures.resnet),
    "batching": Row(lambda effort: containers.batching(effort.some(effort.rounds, 1), effort.some(4, 1)), figures.batching),
    "engines": Row(engines, figures.engines),
    "copies": Row(lambda effort: containers.copies(), figures.copies),
    "estimate": Row(estimate, figures.estimate),
    "killed": Row(killed, figures.killed),
    "fairness": Row(fairness, figures.fairness),
}


def main() -> int:
    """Measure, print the table, write the JSON; 1 where a row misses what it must reach."""
    options = parse()
    effort = Effort(options.rounds, options.quick)
    results: dict[str, Any] = {"machine": harness.machine(), "rounds": options.rounds, "quick": options.quick, "rows": {}}
    read: list[Figure] = []
    for name in options.only:
        say(name)
        try:
            results["rows"][name] = found = ROWS[name].measure(effort)
        except harness.BenchmarkError as error:
            results["rows"][name] = {"failed": str(error)}
            read.append(figures.failed(name, str(error)))
            say(f"{name}: {error}")
        else:
            read += ROWS[name].read(found)
        harness.write(options.json, results)
    print(figures.table(read, results["machine"]))
    return int(any(figure.is_missed for figure in read))


def parse() -> argparse.Namespace:
    """The command line; argparse ends with 2 where it is wrong."""
    parser = harness.arguments(__doc__ or "", rounds=3)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(ROWS), help=f"some of {','.join(ROWS)}")
    options = parser.parse_args()
    unknown = sorted(set(options.only) - set(ROWS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; rows: {', '.join(ROWS)}")
    return options


if __name__ == "__main__":
    harness.run(main)
