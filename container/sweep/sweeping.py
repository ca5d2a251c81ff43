"""`ei sweep`: every configuration in its place, each remembered as soon as it is measured; a failure is a row, too."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np

from container.errors import ContainerError
from container.sweep import bench, payload, plan, trial
from container.sweep.load import Timing
from container.sweep.plan import Axes, Configuration
from container.sweep.states import Row, State
from serving.errors import ServingError

Heard = Callable[[Row], None]


@dataclass(frozen=True)
class Job:
    """What is swept: a model directory or archive, and what is sent to it (made up for each batch, or `body`)."""

    model: Path
    axes: Axes
    timing: Timing = field(default_factory=Timing)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    body: tuple[bytes, str] | None = None


def state(job: Job, path: Path) -> State:
    """What was done before of the same model with the same requests."""
    sent = repr((job.timing, sorted(job.shapes.items()), job.body))
    return State(path, plan.digest(job.model) + sent)


def sweep(job: Job, known: State, heard: Heard) -> list[Row]:
    """The row of every configuration; those that `known` has are not measured again. `heard` is told of each."""
    bodies = Bodies(job)
    found: list[Row] = []
    for place, group in groupby(job.axes.configurations(), key=lambda one: one.place):
        several = list(group)
        left = [one for one in several if known.find(one) is None]
        measured = {row.configuration: row for row in _at(job, place, left, bodies, lambda row: _keep(row, known, heard))}
        for one in several:
            row = measured.get(one) or known.find(one)
            assert row is not None
            found.append(row)
            if one not in measured:
                heard(row)
    return found


def _keep(row: Row, known: State, heard: Heard) -> None:
    known.put(row)
    heard(row)


class Bodies:
    """The request of each batch size, made when it is first needed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._made: dict[int, tuple[bytes, str]] = {}

    def of(self, batch: int) -> tuple[bytes, str]:
        """The body and its content type."""
        if self._job.body is not None:
            return self._job.body
        if batch not in self._made:
            _, inputs = bench.inputs_of(self._job.model, batch, _with_batch(self._job.shapes, batch))
            self._made[batch] = payload.of_inputs({name: np.asarray(array) for name, array in inputs.items()})
        return self._made[batch]


def _with_batch(shapes: dict[str, tuple[int, ...]], batch: int) -> dict[str, tuple[int, ...]]:
    return {name: (batch, *shape[1:]) for name, shape in shapes.items()}


def _at(job: Job, place: tuple[int, str], configurations: Sequence[Configuration], bodies: Bodies, keep: Heard) -> list[Row]:
    """The rows of configurations in one place; where it does not start, each of them says why."""
    rows: list[Row] = []

    def add(row: Row) -> None:
        rows.append(row)
        keep(row)

    if not configurations:
        return rows
    try:
        with trial.started(job.model, *place) as there:
            for one in configurations:
                add(_row(there, one, bodies, job.timing))
    except (ContainerError, ServingError, OSError) as error:
        for one in configurations[len(rows) :]:
            add(Row(one, said(error)))
    return rows


def _row(there: trial.Place, one: Configuration, bodies: Bodies, timing: Timing) -> Row:
    try:
        return trial.measured(there, one, bodies.of(one.batch), timing)
    except (ContainerError, ServingError, OSError) as error:
        return Row(one, said(error))


def said(error: Exception) -> str:
    """What went wrong, in a line."""
    text = error.wrong if isinstance(error, ContainerError) else str(error)
    return " ".join(text.split())[:300] or type(error).__name__


def machine() -> str:
    """The machine that the figures are of."""
    cores = len(plan.usable_cores())
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return f"Measured on {cores} cores of {model}; the accelerator ran on this host, on the cores that were left."
