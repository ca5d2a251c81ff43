"""From what was measured to the rows of the table: medians over rounds of ratios within a round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.harness import figure, markdown, median


@dataclass(frozen=True)
class Figure:
    """One number of the table. `must` and `aim` are bounds, from above where `is_most`; None: it is there to be read only."""

    what: str
    value: float | None
    must: float | None = None
    aim: float | None = None
    is_most: bool = True
    note: str = ""

    @property
    def is_missed(self) -> bool:
        """Whether it is not what it must be."""
        return self.must is not None and not self._keeps(self.must)

    @property
    def verdict(self) -> str:
        """What the table says of it."""
        if self.must is None:
            return ""
        if self.is_missed:
            return "MISSED"
        return "aim" if self.aim is not None and self._keeps(self.aim) else "must"

    def _keeps(self, bound: float) -> bool:
        if self.value is None:
            return False
        return self.value <= bound if self.is_most else self.value >= bound


def table(found: Iterable[Figure], machine: dict[str, Any]) -> str:
    """All of them, under the machine that they hold for."""
    rows = [[one.what, figure(one.value), *map(_bound, (one.must, one.aim)), one.verdict, one.note] for one in found]
    head = f"{machine['cores']} cores of {machine['processor']}; medians of ratios within rounds, all ends on the same cores."
    return f"{head}\n\n{markdown(['what', 'measured', 'must', 'aim', 'reached', 'in figures'], rows)}"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def failed(name: str, why: str) -> Figure:
    """A row that could not be measured: missed."""
    return Figure(name, None, 0.0, note=why.splitlines()[-1][:100].replace("|", "/") if why else "failed")


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The median of ratios of the same round."""
    return median(a / b for a, b in zip(over, under, strict=True)) or 0.0


def p95(values: Sequence[float]) -> float:
    """The 95th percentile: the smallest that at least 95 % do not exceed."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


def added(found: dict[str, dict[str, list[float]]], default: str) -> list[Figure]:
    """What each way adds to the pass, over what an echo takes."""
    figures = []
    for size, ways in found.items():
        echo = median(ways["echo"]) or 0.0
        for name in (default, *(name for name in ways if name not in (default, "echo", "local"))):
            more = [way - local for way, local in zip(ways[name], ways["local"], strict=True)]
            note = f"{figure(median(more))} us more than the pass; echo {figure(echo)} us"
            bounds = (1.0, 0.5) if name == default else (None, None)
            label = f"added to a call, {size}, {name}{' (the default)' if name == default else ''}, over an echo"
            figures.append(Figure(label, ratio(more, ways["echo"]), *bounds, note=note))
    return figures


def resnet(found: dict[str, list[float]]) -> list[Figure]:
    """A script's pass attached, over the local one."""
    note = f"{figure(median(found['attached']))} ms, local {figure(median(found['local']))} ms"
    value = ratio(found["attached"], found["local"])
    return [Figure("ResNet-50, a script: accelerator with 2 threads, over local with 1", value, 0.65, 0.6, note=note)]


def batching(found: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """Requests a second with batching at the accelerator, over those without."""
    rates = {name: [one["rate"] for one in rounds] for name, rounds in found.items()}
    rows = {name: figure(median(one["rows_a_pass"] for one in rounds)) for name, rounds in found.items()}
    note = ", ".join(f"{name} {figure(median(rates[name]))}/s, {rows[name]} rows a pass" for name in found)
    what = "tiny model, 64 clients, 2 containers: batching at the accelerator, over none"
    errors = sum(one["errors"] for rounds in found.values() for one in rounds)
    figures = [Figure(what, ratio(rates["batching"], rates["none"]), 10, 25, is_most=False, note=note)]
    return [*figures, Figure("requests lost meanwhile", errors, 0, 0)]


def engines(found: dict[str, dict[str, list[float]]]) -> list[Figure]:
    """How much faster the converted model is; with two threads it is held to it."""
    figures = []
    for threads, taken in found.items():
        note = ", ".join(f"{name} {figure(median(values))} ms" for name, values in taken.items())
        bounds = (1.3, 1.5) if threads == "2" else (None, None)
        what = f"ResNet-50, batch 1, {threads} thread{'s' if threads != '1' else ''}: onnxruntime engine, over mxnet"
        figures.append(Figure(what, ratio(taken["mxnet"], taken["onnxruntime"]), *bounds, is_most=False, note=note))
    return figures


def copies(found: dict[str, int]) -> list[Figure]:
    """Copies of a model with several workers attached."""
    most = max(found["containers"], found["scripts"])
    loads = max(found["loads_by_containers"], found["loads_by_scripts"])
    note = f"2 containers of 2 workers: {found['containers']}, 4 scripts: {found['scripts']}; loaded {loads} time(s)"
    return [Figure("copies of a model, 4 workers attached", most, 1, 1, note=note)]


def estimate(found: dict[str, Any]) -> list[Figure]:
    """How far the estimate is over and under what a model takes, in percent."""
    note = f"{sum(not row['fitted'] for row in found['rows'])} rows that it was not fitted to"
    under, over = 100 * max(0.0, -found["least"]), 100 * max(0.0, found["most"])
    return [
        Figure("estimate under what a model takes, percent, at worst", under, 0, 0, note=note),
        Figure("estimate over what a model takes, percent, at worst", over, 35, 20, note=note),
    ]


def killed(found: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """Seconds without an answer after `kill -9`, and what failed."""
    figures = []
    for name, rounds in found.items():
        seconds = max(one["seconds"] for one in rounds)
        note = f"each: {', '.join(figure(one['seconds']) for one in rounds)} s; {sum(one['calls'] for one in rounds)} calls"
        figures.append(
            Figure(f"kill -9 of the engine under load to the first right answer, {name}, s", seconds, 2, 1, note=note)
        )
        outside = sum(one["failed_outside"] for one in rounds)
        note = f"{outside} of them before or after it" if outside else ""
        lost = sum(one["failed"] for one in rounds)
        figures.append(Figure(f"calls that fail then, {name}", lost, math.inf if not outside else 0, 0, note=note))
    return figures


def fairness(found: list[dict[str, Any]]) -> list[Figure]:
    """The calm client's 95th percentile, in passes."""
    value = median(p95(one["latency_ms"]) / one["pass_ms"] for one in found)
    note = f"p95 {figure(median(p95(one['latency_ms']) for one in found))} ms, a pass {figure(median(one['pass_ms'] for one in found))} ms"
    return [Figure("10 requests/s beside a flood: p95 in passes", value, 3, 3, note=note)]
