"""The tables of a run of `serving.py`, and their place in the README.

A cell is the median over the rounds. Best / limit: the highest of the rates over the rows a second of the passes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import BenchmarkError, figure, markdown, median

BEGIN, END = "<!-- figures: benchmarks/serving.py -->", "<!-- /figures -->"
TITLES = {
    "tiny": "Tiny: a perceptron of 64-64-10, JSON of 1.2 KB",
    "big": "Big: ResNet-50, NPY of 602 KB and JSON of 3 MB",
    "half": "Half: x / 2 + 2 over 64 floats, JSON of 1.2 KB",
    "resnet": "ResNet: ResNet-50 as Keras exports it, JSON of 3 MB",
    "frozen": "Frozen: the same ResNet-50 after `ei freeze`",
}
Round = dict[str, Any]


def render(results: dict[str, Any]) -> str:
    """A table for each model, under the machine that it holds for."""
    machine = results["machine"]
    head = f"{machine['cores']} cores of {machine['processor']}, {results['rounds']} rounds, medians, the load on the same cores. `json-16 /s`: answers a second to JSON bodies over 16 connections."
    taken = [one["other_cores"] for one in _every_load(results)]
    if taken:
        head += f" Others on the machine kept {figure(median(taken))} cores busy meanwhile, {figure(max(taken))} at most."
    parts = [head, *(_model(name, data) for name, data in results["models"].items())]
    return "\n\n".join(parts)


def _every_load(results: dict[str, Any]) -> list[Round]:
    servers = [rounds for data in results["models"].values() for rounds in data["servers"].values()]
    return [load for rounds in servers for one in rounds for load in one["loads"].values()]


def _model(name: str, data: dict[str, Any]) -> str:
    labels = data["loads"]
    alone = {batch: median(one[batch]["rows_per_second"] for one in data["limit"]) for batch in _batches(data)}
    taken = {batch: median(one[batch]["pass_ms"] for one in data["limit"]) for batch in alone}
    limits = ", ".join(f"{figure(rate)} rows/s at batch {batch} ({figure(taken[batch])} ms)" for batch, rate in alone.items())
    headers = ["server", *(f"{label} /s" for label in labels), *(title for title, _ in _columns(labels)), "best / limit"]
    limit = alone.get("1")
    rows = [_row(server, rounds, labels, limit) for server, rounds in data["servers"].items()]
    parts = [f"**{TITLES[name]}**", f"The passes alone, the limit: {limits}.", markdown([*headers, "errors"], rows)]
    return "\n\n".join(parts)


def _batches(data: dict[str, Any]) -> list[str]:
    return list(data["limit"][0]) if data["limit"] else []


def _row(server: str, rounds: list[Round], labels: Sequence[str], limit: float | None) -> list[str]:
    good = [one for one in rounds if "failed" not in one]
    if not good:
        why = rounds[0]["failed"].splitlines()[-1][:80].replace("|", "/") if rounds else "not measured"
        return [server, f"failed: {why}", *["-"] * (len(labels) + len(_columns(labels)) + 1)]
    rates = [median(one["loads"][label]["rate"] for one in good) for label in labels]
    best = max((rate for rate in rates if rate is not None), default=None)
    cells = [figure(rate) for rate in rates]
    cells += [figure(median(map(get, good))) for _, get in _columns(labels)]
    cells.append(figure(best / limit) if best is not None and limit else "-")
    return [server, *cells, _errors(rounds)]


def _columns(labels: Sequence[str]) -> list[tuple[str, Callable[[Round], Any]]]:
    """Titles of the columns between the rates and the ratio, and where each is found in a round."""
    first = labels[0]
    heavy = max((label for label in labels if label.split("-")[0] == first.split("-")[0]), key=lambda at: int(at.split("-")[1]))
    return [
        (f"{first} p50 ms", lambda r: r["loads"][first]["p50_ms"]),
        (f"{first} p99 ms", lambda r: r["loads"][first]["p99_ms"]),
        (f"{heavy} p99 ms", lambda r: r["loads"][heavy]["p99_ms"]),
        ("worst /ping ms", lambda r: r["loads"][heavy]["worst_ping_ms"]),
        ("forced switches /s", lambda r: r["loads"][heavy]["forced_switches"]),
        ("MiB", lambda r: r["memory_mib"]),
        ("first answer s", lambda r: r["first_answer_s"]),
    ]


def _errors(rounds: list[Round]) -> str:
    failed = sum("failed" in one for one in rounds)
    count = sum(load["errors"] for one in rounds for load in one["loads"].values())
    return f"{count}" + (f", {failed} of {len(rounds)} rounds failed" if failed else "")


def into_readme(path: Path, text: str, program: str = "serving.py") -> None:
    """Put the text between the program's two markers; BenchmarkError where they are not there, in this order."""
    first = BEGIN.replace("serving.py", program)
    page = path.read_text()
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise BenchmarkError(f"{path.name} has no {first} before a {END}")
    path.write_text(f"{before}{first}\n\n{text}\n\n{END}{after}")
