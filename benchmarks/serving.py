"""Our server beside others and beside the model alone, in one run on one machine. `docs/performance.md` explains the table.

    for each round: for each model: the limit, then every server in an order that turns
    a server: start -> first right answer -> check -> warm up -> each load -> memory -> check -> stop

Exits with 1 where any server answered wrong numbers, or ours failed or left a request without its answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness, load, models, processes, report
from benchmarks.harness import BenchmarkError, WrongAnswer, say
from benchmarks.load import Load
from benchmarks.models import Model
from benchmarks.peers import catalog
from benchmarks.peers.catalog import Peer
from benchmarks.server import Command, Server, running

OURS = "ei"
QUICK_CONNECTIONS = (1, 16)
ours = Command(lambda place: [str(harness.SERVE), "--model", str(place.model), "--port", str(place.port)])


@dataclass(frozen=True)
class Trial:
    """How a model is measured: its loads, for so many seconds each, and the batches of its passes alone."""

    loads: Sequence[Load]
    seconds: int
    batches: Sequence[str]


@dataclass(frozen=True)
class Suite:
    """What is measured in one run: a program's models by name, the modules that make them and run them alone, and the peers."""

    program: str
    trials: Mapping[str, Trial]
    maker: str
    limit: str
    peers: Sequence[Peer]


MXNET = Suite(
    "serving.py",
    {
        "tiny": Trial([Load("json", 1), Load("json", 16), Load("json", 64)], 2, ("1", "64")),
        "big": Trial([Load("npy", 1), Load("npy", 16), Load("npy", 64), Load("json", 1), Load("json", 16)], 3, ("1", "4")),
    },
    maker="models",
    limit="limit",
    peers=catalog.PEERS,
)


def main(suite: Suite = MXNET) -> int:
    """Measure, print the tables, write the files that were asked for."""
    options = parse(suite)
    load.require_wrk()
    names = options.models
    commands = {OURS: ours, **dict(installed(options.peers, suite.peers))}
    tested = {name: models.prepare(name, suite.maker) for name in names}
    results: dict[str, Any] = {"machine": harness.machine(), "rounds": options.rounds, "quick": options.quick}
    labels = {name: [one.label for one in loads(suite.trials[name], options.quick)] for name in names}
    results["models"] = {name: {"loads": labels[name], "limit": [], "servers": {c: [] for c in commands}} for name in names}
    for number in range(options.rounds):
        for name, model in tested.items():
            turn = harness.turned(list(commands.items()), number)
            one_round(results["models"][name], model, turn, suite, options.quick)
            harness.write(options.json, results)
    text = report.render(results)
    print(text)
    if options.readme:
        report.into_readme(harness.ROOT / "README.md", text, suite.program)
    return verdict(results)


def parse(suite: Suite = MXNET) -> argparse.Namespace:
    """The command line; argparse ends with 2 where it is wrong."""
    peers, trials = [peer.name for peer in suite.peers], list(suite.trials)
    parser = harness.arguments(__doc__ or "", rounds=3)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--models", type=lambda text: text.split(","), default=trials, help=",".join(trials))
    parser.add_argument("--peers", help=f"some of {','.join(peers)}, or none [all that can be installed]")
    parser.add_argument("--readme", action="store_true", help="write the tables into README.md")
    options = parser.parse_args()
    named = [] if options.peers == "none" else (options.peers or "").split(",") if options.peers else peers
    unknown = sorted(set(options.models) - set(trials)) + sorted(set(named) - set(peers))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; models: {', '.join(trials)}; peers: {', '.join(peers)}")
    if options.readme and options.quick:
        parser.error("--readme wants the whole run: leave out --quick")
    options.peers = named
    options.rounds = 1 if options.quick else options.rounds
    return options


def installed(names: Sequence[str], peers: Sequence[Peer] = catalog.PEERS) -> Iterator[tuple[str, Command]]:
    """The peers of these names that can be started here; of the others a line says why not."""
    for peer in peers:
        if peer.name in names:
            try:
                yield peer.name, peer.command()
            except BenchmarkError as error:
                say(f"without {peer.name}: {error}")


def loads(trial: Trial, quick: bool) -> list[Load]:
    """The loads of a model; a quick run leaves out the many connections."""
    return [one for one in trial.loads if not quick or one.connections in QUICK_CONNECTIONS]


def one_round(data: dict[str, Any], model: Model, commands: list[tuple[str, Command]], suite: Suite, quick: bool) -> None:
    """The limit once, and each server once, into `data`."""
    trial = suite.trials[model.name]
    seconds = 1 if quick else trial.seconds
    limit = harness.module(suite.limit, str(model.directory), str(seconds), *trial.batches)
    data["limit"].append(limit)
    say(f"{model.name}, the passes alone: {limit['1']['rows_per_second']:.1f} rows/s")
    for name, command in commands:
        outcome = measure(command, model, loads(trial, quick), seconds)
        data["servers"][name].append(outcome)
        found = [f"{label} {one['rate']:.1f}/s" for label, one in outcome.get("loads", {}).items()]
        say(f"{model.name}, {name}: {outcome['failed'] if 'failed' in outcome else ', '.join(found)}")


def measure(command: Command, model: Model, wanted: list[Load], seconds: int) -> dict[str, Any]:
    """One server once; `failed` says why where it could not be measured, and `wrong` that its numbers were."""
    outcome: dict[str, Any] = {"loads": {}}
    try:
        with running(command, model) as server:
            drive(server, wanted, seconds, outcome)
    except BenchmarkError as error:
        outcome["failed"] = str(error)
        outcome["wrong"] = isinstance(error, WrongAnswer)
    return outcome


def drive(server: Server, wanted: list[Load], seconds: int, outcome: dict[str, Any]) -> None:
    """Everything that is asked of a running server, in order; the figures go to `outcome`."""
    kinds = list(dict.fromkeys(one.kind for one in wanted))
    outcome["first_answer_s"] = server.first_answer(kinds[0])
    server.check(kinds)
    load.apply(server, Load(kinds[0], 16), 1)  # every process, every batch size
    server.settle()
    for one in wanted:
        outcome["loads"][one.label] = load.apply(server, one, seconds)
        server.settle()
    outcome["memory_mib"] = processes.memory_mib(server.members())
    server.check(kinds)


def verdict(results: dict[str, Any]) -> int:
    """The exit status, with a line for each reason."""
    faults = []
    for model, data in results["models"].items():
        for name, rounds in data["servers"].items():
            faults += [f"{name}, {model}: wrong answer: {one['failed']}" for one in rounds if one.get("wrong")]
        own = data["servers"][OURS]
        faults += [f"{OURS}, {model}: {one['failed']}" for one in own if "failed" in one and not one["wrong"]]
        lost = sum(one["errors"] for outcome in own for one in outcome["loads"].values())
        faults += [f"{OURS}, {model}: {lost} errors"] if lost else []
    for fault in faults:
        print(f"FAULT {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    harness.run(main)
