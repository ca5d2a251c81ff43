"""Which of a sweep's configurations to take, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from container.sweep.plan import NONE, Prices
from container.sweep.states import Row
from serving.accelerators import catalog

ENOUGH = 0.9
"""A configuration with this share of the best throughput is as good, if it takes less."""


@dataclass(frozen=True)
class Choice:
    """A row, and the reason in a sentence; no row where none will do."""

    row: Row | None
    reason: str


def choose(rows: Sequence[Row], prices: Prices, limit: float = 0.0) -> Choice:
    """The cheapest where all prices are known, else the smallest of the fastest; p99 within `limit` ms, where that is over 0."""
    good = [row for row in rows if row.is_good]
    if not good:
        return Choice(None, "no configuration answered every request")
    fitting = [row for row in good if not limit or row.percentiles["p99"] <= limit]
    within = f" with a p99 within {limit:g} ms" if limit else ""
    if not fitting:
        least = min(good, key=lambda row: row.percentiles["p99"])
        return Choice(
            None, f"none has a p99 within {limit:g} ms: the least is {least.percentiles['p99']:.1f} ms ({described(least)})"
        )
    costs = [(prices.per_million(row.configuration, row.rows), row) for row in fitting]
    priced = [(cost, row) for cost, row in costs if cost is not None]
    if priced and len(priced) == len(costs):
        cost, row = min(priced, key=lambda pair: pair[0])
        return Choice(row, f"{described(row)}: the cheapest{within}, {cost:.4g} a million rows at {row.rows:.1f} rows a second")
    best = max(fitting, key=lambda row: row.rows)
    enough = [row for row in fitting if row.rows >= ENOUGH * best.rows]
    row = min(enough, key=_size)
    why = (
        "the fastest"
        if row is best
        else f"it needs least of those that reach {ENOUGH:.0%} of the best throughput ({best.rows:.1f})"
    )
    return Choice(
        row, f"{described(row)}: {why}{within}, {row.rows:.1f} rows a second with a p99 of {row.percentiles['p99']:.1f} ms"
    )


def described(row: Row) -> str:
    """A configuration for people."""
    return f"{row.configuration.label}, batch {row.configuration.batch}, {row.configuration.concurrency} at a time"


def _size(row: Row) -> tuple[float, int, float]:
    name = row.configuration.accelerator
    memory = 0 if name == NONE else catalog.find(name).memory
    return memory, row.configuration.cores, row.percentiles["p99"]
