"""Converted ONNX models against onnxruntime: how fast one thread of each runs the same inputs.

Each model of a folder (its index is models.json: name, model, cases) is converted once below build/bench, then served by our
backend in one process and run by onnxruntime in another. They take turns; the median of the rounds counts. The ratio is
onnxruntime's time over ours: above 1 we are faster.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import harness
from benchmarks.harness import BenchmarkError, figure, say

BUILD = harness.BUILD / "onnx"
BURST = 0.3
"""Seconds that an engine runs a model for in each round."""


@dataclass
class Model:
    """One model: its file, its first case's inputs, and the seconds of a pass in each round by engine."""

    name: str
    file: Path
    inputs: Path
    times: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "onnxruntime": []})

    @property
    def artifact(self) -> Path:
        """Where it is converted to."""
        return BUILD / self.name

    def median(self, engine: str) -> float:
        """Seconds of a pass."""
        return statistics.median(self.times[engine])

    @property
    def ratio(self) -> float:
        """How many passes we make while onnxruntime makes one."""
        return self.median("onnxruntime") / self.median("ours")


class Engine:
    """A process that runs models."""

    def __init__(self, name: str, python: str) -> None:
        self.name = name
        script = harness.ROOT / "benchmarks" / "peers" / "onnx_calls.py"
        place = str(harness.ROOT) if name == "ours" else ""
        self._process = subprocess.Popen(
            [python, str(script), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": place, "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
        )

    def ask(self, **order: Any) -> float:
        """The seconds that it answers; BenchmarkError where it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(order), file=self._process.stdin, flush=True)
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            assert self._process.stderr is not None
            raise BenchmarkError(f"{self.name} failed at {order}: {self._process.stderr.read().strip()[-1000:]}")
        return float(json.loads(answer)["seconds"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def main() -> int:
    """Convert, measure by turns, print the table, write the JSON."""
    options = parse()
    models = [model for model in found(options.models, options.extra) if not options.only or model.name in options.only]
    if not models:
        raise BenchmarkError(f"{options.models} has no model to measure")
    for model in models:
        convert(model)
    rounds = 1 if options.quick else options.rounds
    engines = [Engine("ours", sys.executable), Engine("onnxruntime", options.peer_python)]
    try:
        measure(models, engines, rounds)
    finally:
        for engine in engines:
            engine.close()
    harness.write(options.json, results(models, rounds))
    print(render(models))
    return 0


def parse() -> argparse.Namespace:
    """The options of the command line."""
    parser = harness.arguments(__doc__ or "", rounds=5)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--models", type=Path, required=True, metavar="DIR", help="folder with models.json")
    parser.add_argument(
        "--extra", type=Path, metavar="DIR", help="folder with NAME.onnx for models that the index has no file of"
    )
    parser.add_argument(
        "--peer-python", default=sys.executable, metavar="FILE", help="interpreter that has onnxruntime [this one]"
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="measure this model; may be repeated")
    return parser.parse_args()


def found(folder: Path, extra: Path | None) -> list[Model]:
    """The models of an index whose file is there."""
    try:
        index = json.loads((folder / "models.json").read_text())["models"]
    except (OSError, ValueError, KeyError) as error:
        raise BenchmarkError(f"{folder} has no index of models: {error!r}") from None
    models = []
    for entry in index:
        name = entry["name"]
        file = folder / entry["model"] if entry["model"] else (extra or folder) / f"{name}.onnx"
        if not file.is_file():
            say(f"{name}: left out, no {file}")
            continue
        models.append(Model(name, file, folder / name / entry["cases"][0]["file"]))
    return models


def convert(model: Model) -> None:
    """Write the model's artifact, and its inputs without the case's outputs."""
    import numpy as np

    from onnx_import.convert import Options
    from onnx_import.convert import convert as converted

    say(f"converting {model.name}")
    BUILD.mkdir(parents=True, exist_ok=True)
    converted(model.file, model.artifact, Options(verify=False))
    with np.load(model.inputs) as arrays:
        feeds = {name.removeprefix("in_"): arrays[name] for name in arrays if name.startswith("in_")}
    model.inputs = BUILD / f"{model.name}.npz"
    np.savez(model.inputs, **feeds)


def measure(models: list[Model], engines: list[Engine], rounds: int) -> None:
    """Let the engines take turns at every model."""
    for model in models:
        for engine in engines:
            path = model.artifact if engine.name == "ours" else model.file
            engine.ask(load=model.name, model=str(path.resolve()), inputs=str(model.inputs.resolve()))
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        for model in models:
            for engine in harness.turned(engines, number):
                model.times[engine.name].append(engine.ask(run=model.name, seconds=BURST))


def mean(models: list[Model]) -> float:
    """The geometric mean of the ratios."""
    return math.exp(statistics.fmean(math.log(model.ratio) for model in models))


def results(models: list[Model], rounds: int) -> dict[str, Any]:
    """Every figure."""
    return {
        "machine": harness.machine(),
        "rounds": rounds,
        "geometric_mean": mean(models),
        "models": {model.name: {"seconds": model.times, "ratio": model.ratio} for model in models},
    }


def render(models: list[Model]) -> str:
    """The table."""
    rows = [
        [model.name, figure(1e3 * model.median("ours")), figure(1e3 * model.median("onnxruntime")), figure(model.ratio)]
        for model in models
    ]
    rows.append(["geometric mean", "", "", figure(mean(models))])
    return harness.markdown(["model", "ours, ms", "onnxruntime, ms", "ratio"], rows)


if __name__ == "__main__":
    harness.run(main)
