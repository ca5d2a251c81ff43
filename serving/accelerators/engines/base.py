"""What a framework's module is to the engine process: three functions, and the models that `load` returns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving.invocation import Inputs, Outputs
from serving.models.signature import Tensor


@dataclass(frozen=True)
class Config:
    """How an artifact is to be served: what `Artifact.config` says, read again.

    `folder` holds the artifact's files by their repository names. `max_batch` 0 means that each call is a pass of its own,
    in the shapes that it has. `budget` is the bytes that the model may take.
    """

    folder: Path
    max_batch: int = 0
    options: Mapping[str, str] | None = None
    budget: int = 1 << 60

    def option(self, name: str, default: str = "") -> str:
        """An option's text."""
        return (self.options or {}).get(name, default)

    def names(self, name: str) -> tuple[str, ...] | None:
        """An option that is a JSON list of names; None where it is not there."""
        text = self.option(name)
        return tuple(map(str, json.loads(text))) if text else None


@dataclass(frozen=True)
class Host:
    """What an engine process may use: `threads` a pass, `device` `cpu` or `cuda`, `memory` bytes of that device's memory."""

    threads: int
    device: str = "cpu"
    memory: int = 0


class EngineModel(Protocol):
    """A loaded model. One thread touches it."""

    inputs: tuple[Tensor, ...]
    """In the model's order; a shape of None is any, a size of None any number."""
    outputs: tuple[Tensor, ...]
    max_batch: int
    """Rows that calls may be stacked to; 0 where each call is a pass of its own."""
    report: str
    """What is to be said of it at load: the drift against the exact engine, where it is not that one; else empty."""

    def stacks(self, inputs: Inputs) -> bool:
        """Whether calls like this one may share a pass: asked only where `max_batch` is over 0."""

    def forward(self, inputs: Inputs, outputs: tuple[str, ...]) -> Outputs:
        """One pass: the outputs asked for (none: all). AcceleratorError with the right status for every fault of the call.

        Arrays that are returned may be the framework's own memory, good until the next call.
        """

    def close(self) -> None:
        """Give back what it holds."""


class Framework(Protocol):
    """A framework's module."""

    def prepare(self, host: Host) -> None:
        """Import the framework and whatever a first model needs: once, in a process that may then wait as a spare."""

    def check(self, config: Config) -> None:
        """AcceleratorError where the files are no model that may be run here, without running anything of them."""

    def load(self, config: Config) -> EngineModel:
        """The model, warm. AcceleratorError: INVALID_ARGUMENT for files that are none, RESOURCE_EXHAUSTED over the budget."""
