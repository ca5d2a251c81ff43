"""What a user script costs: the tiny model behind scripts that only repeat the defaults, beside the defaults themselves.

    for each round: for each variant, in an order that turns: start -> check -> warm up -> 16 connections -> check -> stop

Prints each variant's rate over that of the default handlers; the scripts are in benchmarks/scripts. Exits with 1 where the
script of `input_fn` and `output_fn` keeps less than half of the rate, or a server answered wrong.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness, load, models
from benchmarks.harness import figure, median, say
from benchmarks.load import Load
from benchmarks.models import Model
from benchmarks.server import Command, running

SCRIPTS = Path(__file__).resolve().parent / "scripts"
DEFAULT = "defaults"
HELD_TO = "input_output"
MUST, AIM = 0.5, 0.8
CONNECTIONS = 16
ours = Command(lambda place: [str(harness.SERVE), "--model", str(place.model), "--port", str(place.port)])


def main() -> int:
    """Measure, print the table, write the JSON."""
    parser = harness.arguments(__doc__ or "", rounds=5)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parser.parse_args()
    load.require_wrk()
    variants = prepare(models.prepare("tiny"))
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
    for number in range(1 if options.quick else options.rounds):
        for name, model in harness.turned(list(variants.items()), number):
            rounds[name].append(measure(model, 1 if options.quick else 3))
            say(f"{name}: {rounds[name][-1]['rate']:.0f}/s")
    ratios = compare(rounds)
    harness.write(options.json, {"machine": harness.machine(), "rounds": rounds, "ratios": ratios})
    print(table(rounds, ratios))
    print(f"{HELD_TO} over the default handlers: {ratios[HELD_TO]:.2f} (must be {MUST}, the aim is {AIM})")
    return 0 if ratios[HELD_TO] >= MUST else 1


def prepare(plain: Model) -> dict[str, Model]:
    """The tiny model without a script, and with each of the scripts, in folders of their own."""
    variants = {DEFAULT: plain}
    for script in sorted(SCRIPTS.glob("*.py")):
        folder = harness.BUILD / "scripts" / script.stem
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(plain.folder, folder)
        (folder / "model" / "code").mkdir()
        shutil.copy(script, folder / "model" / "code" / "inference.py")
        variants[script.stem] = Model(script.stem, folder)
    return variants


def measure(model: Model, seconds: int) -> dict[str, Any]:
    """One variant once: what `load.apply` tells; BenchmarkError where it does not start, or answers wrong."""
    wanted = Load("json", CONNECTIONS)
    with running(ours, model) as server:
        server.first_answer(wanted.kind)
        server.check([wanted.kind])
        load.apply(server, wanted, 1)
        outcome = load.apply(server, wanted, seconds)
        server.check([wanted.kind])
    return outcome


def compare(rounds: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """The median, over the rounds, of each variant's rate over that of the defaults in the same round."""
    ratios = {}
    for name, outcomes in rounds.items():
        pairs = zip(outcomes, rounds[DEFAULT], strict=True)
        ratios[name] = median(outcome["rate"] / default["rate"] for outcome, default in pairs) or 0.0
    return ratios


def table(rounds: dict[str, list[dict[str, Any]]], ratios: dict[str, float]) -> str:
    """A row for each variant."""
    rows = []
    for name, outcomes in rounds.items():
        cells = [figure(median(one[key] for one in outcomes)) for key in ("rate", "p50_ms", "p99_ms", "cpu_us")]
        rows.append([name, *cells, f"{ratios[name]:.2f}", str(sum(one["errors"] for one in outcomes))])
    return harness.markdown(
        ["script", f"{CONNECTIONS} connections /s", "p50 ms", "p99 ms", "CPU us", "over the defaults", "errors"], rows
    )


if __name__ == "__main__":
    harness.run(main)
