"""A sweep's results: a table for a terminal, and a page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from container.sweep import svg
from container.sweep.choice import Choice
from container.sweep.plan import NONE, Prices
from container.sweep.states import Row
from serving.accelerators import catalog

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{padding:.25em .7em;text-align:right;border-bottom:1px solid #ddd}
td:nth-child(2),th:nth-child(2){text-align:left}.best{background:#eaf5ec}.bad{color:#b8323f}td.bad{text-align:left}
svg{max-width:100%;height:auto}svg text{font-size:12px;fill:#444}
.legend span{margin-right:1.2em;white-space:nowrap}.legend i{display:inline-block;width:.8em;height:.8em;margin-right:.4em}
.reason{padding:.7em 1em;background:#f4f4f4;border-left:4px solid #2a8c4a}
"""
HEAD = (
    "cores",
    "accelerator",
    "batch",
    "at a time",
    "rows/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "host MB",
    "accel. MB",
    "a million",
)


@dataclass(frozen=True)
class Sweep:
    """All that is shown."""

    model: Path
    rows: Sequence[Row]
    prices: Prices
    choice: Choice
    machine: str = ""


def cells(row: Row, prices: Prices) -> list[str]:
    """A row's cells; those of its figures are empty where it failed."""
    one = row.configuration
    named = [str(one.cores), one.accelerator, str(one.batch), str(one.concurrency)]
    if row.error:
        return [*named, *[""] * (len(HEAD) - len(named))]
    cost = prices.per_million(one, row.rows)
    times = [f"{row.percentiles.get(key, float('nan')):.2f}" for key in ("p50", "p90", "p99")]
    memory = [f"{row.host_memory / 1e6:.0f}", f"{row.accelerator_memory / 1e6:.0f}" if row.accelerator_memory else ""]
    return [*named, f"{row.rows:.1f}", *times, *memory, "" if cost is None else f"{cost:.4g}"]


def fault(row: Row) -> str:
    """What went wrong in a row, in a few words; "" where nothing did."""
    return row.error or (f"{row.errors} of {row.requests} requests failed" if row.errors else "")


def table(sweep: Sweep) -> str:
    """For a terminal."""
    lines = [list(HEAD), *[cells(row, sweep.prices) for row in sweep.rows]]
    if not sweep.prices.hourly:
        lines = [line[:-1] for line in lines]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    text = ["  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in lines]
    marked = [text[0], *[f"{line}  {fault(row)}".rstrip() for line, row in zip(text[1:], sweep.rows, strict=True)]]
    return "\n".join([*marked, "", f"recommended: {sweep.choice.reason}"])


def page(sweep: Sweep) -> str:
    """The HTML page."""
    body = [
        f"<h1>{escape(sweep.model.resolve().name)}: which host, which accelerator</h1>",
        f'<p class="reason"><b>{"Recommended" if sweep.choice.row else "No recommendation"}.</b> {escape(sweep.choice.reason)}</p>',
        *_plots(sweep),
        f"<h2>All configurations</h2>{_rows(sweep)}",
        f"<p>{escape(sweep.machine)}</p>" if sweep.machine else "",
    ]
    head = f'<meta charset="utf-8"><title>{escape(sweep.model.resolve().name)}: sweep</title><style>{STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'


def _rows(sweep: Sweep) -> str:
    parts = ["<table><tr>", *[f"<th>{escape(name)}</th>" for name in HEAD], "<th></th></tr>"]
    for row in sweep.rows:
        mark = ' class="best"' if row is sweep.choice.row else ""
        found = "".join(f"<td>{escape(cell)}</td>" for cell in cells(row, sweep.prices))
        parts.append(f'<tr{mark}>{found}<td class="bad">{escape(fault(row))}</td></tr>')
    return "".join([*parts, "</table>"])


def _plots(sweep: Sweep) -> list[str]:
    good = [row for row in sweep.rows if row.is_good]
    if not good:
        return []
    series: dict[str, list[svg.Point]] = {}
    for row in good:
        one = row.configuration
        title = f"{one.concurrency} at a time: {row.rows:.1f} rows/s, p50 {row.percentiles['p50']:.1f} ms"
        series.setdefault(f"{one.label}, batch {one.batch}", []).append(svg.Point(row.rows, row.percentiles["p50"], title))
    ordered = {name: sorted(points, key=lambda point: point.x) for name, points in series.items()}
    drawn = [f"<h2>Latency against throughput</h2>{svg.lines(ordered, 'rows a second', 'p50, ms')}"]
    memory = _memory(good)
    if memory:
        names = ["largest seen", "the type's"]
        drawn.append(f"<h2>Memory against type</h2>{svg.bars(memory, names, 'MB at the accelerator')}")
    costs = {
        f"{row.configuration.label}, b{row.configuration.batch} x {row.configuration.concurrency}": [cost]
        for row in good
        if (cost := sweep.prices.per_million(row.configuration, row.rows)) is not None
    }
    if costs:
        drawn.append(f"<h2>Cost</h2>{svg.bars(costs, ['cost'], 'a million rows')}")
    return drawn


def _memory(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Of each type: the most that was seen in use, and what it has."""
    found: dict[str, list[float]] = {}
    for row in rows:
        name = row.configuration.accelerator
        if name != NONE:
            seen = max(row.accelerator_memory / 1e6, found.get(name, [0.0])[0])
            found[name] = [seen, catalog.find(name).memory / 1e6]
    return found
