"""Which type a model needs, and whether attaching pays: from what was estimated and measured.

need x 1.25 (20 % of the type to spare) -> the smallest type of each generation
a local pass against what a call adds   -> how fast an accelerator must be to be worth it
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from serving.accelerators import catalog
from serving.accelerators.catalog import AcceleratorType

SPARE = 0.20
GENERATIONS = (2, 1)
WORTH = 2.0
"""Of an accelerator that must be more than so many times as fast as this host to win anything, it is said that it hardly pays."""


@dataclass(frozen=True)
class Call:
    """Seconds: a pass on this host, and what a call to an accelerator takes beyond its pass there."""

    local: float
    added: float

    @property
    def speedup(self) -> float | None:
        """How many times as fast as this host's the accelerator's pass must be for a call to be as fast; None: no speed is enough."""
        return self.local / (self.local - self.added) if self.local > self.added else None

    @property
    def verdict(self) -> str:
        """A sentence for people."""
        times = f"a pass takes {milliseconds(self.local)} here, and a call adds {milliseconds(self.added)}"
        if self.speedup is None:
            return f"attaching does not pay: {times}, so that no accelerator is fast enough"
        if self.speedup > WORTH:
            return (
                f"attaching hardly pays: {times}, so that an accelerator must be {self.speedup:.1f} times as fast to break even"
            )
        return f"attaching may pay: {times}, so that it pays from {self.speedup:.2f} times this host's speed on"


@dataclass(frozen=True)
class Advice:
    """What is recommended for a model: a type of each generation, None where the largest is too small.

    `estimate` is None where there is none: of a SavedModel.
    """

    estimate: int | None
    need: int
    types: dict[int, AcceleratorType | None]
    call: Call | None = None

    @property
    def best(self) -> AcceleratorType | None:
        """The smallest of them all."""
        return self.types[GENERATIONS[0]]

    def as_object(self) -> dict[str, Any]:
        """For JSON: bytes and seconds."""
        found: dict[str, Any] = {
            "estimate": self.estimate,
            "need": self.need,
            "spare": SPARE,
            "type": self.best.name if self.best else None,
            "types": {f"eia{generation}": kind.name if kind else None for generation, kind in self.types.items()},
        }
        if self.call is not None:
            found["call"] = {**asdict(self.call), "speedup": self.call.speedup, "verdict": self.call.verdict}
        return found

    def lines(self) -> list[str]:
        """For people."""
        guess = "" if self.estimate is None else f"estimate {megabytes(self.estimate)}, "
        told = [f"{guess}measured {megabytes(self.need)}"]
        for generation, kind in self.types.items():
            if kind is None:
                told.append(
                    f"no type of eia{generation} has that with {SPARE:.0%} to spare: send smaller batches, or a smaller model"
                )
            else:
                told.append(f"{kind.name}: {kind.gigabytes} GiB, of which {self.need / kind.memory:.0%} are used")
        if self.best:
            told.append(f"recommended: {self.best.name}")
        return told + ([self.call.verdict] if self.call else [])


def advise(estimate: int | None, need: int, call: Call | None = None) -> Advice:
    """The advice for a measured need."""
    wanted = need / (1 - SPARE)
    return Advice(estimate, need, {generation: catalog.smallest(wanted, generation) for generation in GENERATIONS}, call)


def megabytes(size: float) -> str:
    """A size as people read it."""
    return f"{size / 1e6:,.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def milliseconds(seconds: float) -> str:
    """A time as people read it."""
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.0f} µs"
