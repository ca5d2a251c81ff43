"""What a sweep tries: every host size with every accelerator type, batch and concurrency; what they cost an hour."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from container.errors import ContainerError
from serving.accelerators import catalog
from serving.errors import StartError

NONE = "none"
HOURS = 1 / 3600
REMEDY = 'as in --price host=0.05 --price eia=0.12, or --prices FILE with {"host": 0.05, "ml.eia2.medium": 0.12}'


@dataclass(frozen=True)
class Configuration:
    """One of them; `accelerator` is a type's name, or "none"."""

    cores: int
    accelerator: str
    batch: int
    concurrency: int

    @property
    def place(self) -> tuple[int, str]:
        """What has to be started for it."""
        return self.cores, self.accelerator

    @property
    def label(self) -> str:
        """For people."""
        what = "no accelerator" if self.accelerator == NONE else self.accelerator
        return f"{self.cores} core{'s' if self.cores > 1 else ''}, {what}"

    def key(self, model: str) -> str:
        """What a finished row is known by: the configuration, and the model's digest."""
        return hashlib.sha256(json.dumps([asdict(self), model], sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Axes:
    """The values of each axis."""

    cores: Sequence[int]
    accelerators: Sequence[str]
    batches: Sequence[int]
    concurrencies: Sequence[int]

    def configurations(self) -> list[Configuration]:
        """All of them, those of one place together."""
        every = product(self.cores, self.accelerators, self.batches, self.concurrencies)
        return [Configuration(*one) for one in every]


def accelerators(text: str) -> list[str]:
    """`none,ml.eia2.medium` as names of types; ContainerError for one that is none."""
    try:
        return [name if name == NONE else catalog.find(name).name for name in text.split(",")]
    except StartError as error:
        raise ContainerError(str(error), "as in --accelerators none,ml.eia2.medium") from None


@dataclass(frozen=True)
class Prices:
    """An hour of a core (`host`), of a host of so many (`host:4`), of a type by its name, of any type (`eia`)."""

    hourly: Mapping[str, float] = field(default_factory=dict)

    def of(self, configuration: Configuration) -> float | None:
        """An hour of a configuration; None where the prices do not say."""
        host = self.hourly.get(f"host:{configuration.cores}")
        if host is None and "host" in self.hourly:
            host = self.hourly["host"] * configuration.cores
        if configuration.accelerator == NONE or host is None:
            return host
        extra = self.hourly.get(configuration.accelerator, self.hourly.get("eia"))
        return None if extra is None else host + extra

    def per_million(self, configuration: Configuration, rows_per_second: float) -> float | None:
        """What a million rows cost; None where the prices do not say, or nothing was answered."""
        hour = self.of(configuration)
        return None if hour is None or rows_per_second <= 0 else hour * HOURS * 1e6 / rows_per_second


def prices(file: Path | None, given: Iterable[str]) -> Prices:
    """Prices of a file, and those given by themselves over them; ContainerError for what is none."""
    found: dict[str, Any] = {}
    try:
        if file is not None:
            found.update(json.loads(file.read_bytes()))
        found.update(dict(pair.split("=", 1) for text in given for pair in text.split()))
        hourly = {_known(name): float(price) for name, price in found.items()}
    except (OSError, ValueError, TypeError) as error:
        raise ContainerError(f"the prices cannot be read: {error}", REMEDY) from None
    if any(price < 0 for price in hourly.values()):
        raise ContainerError("a price is below 0", REMEDY)
    return Prices(hourly)


def _known(name: str) -> str:
    if name in ("host", "eia") or (name.startswith("host:") and name[5:].isdigit()):
        return name
    try:
        return catalog.find(name).name
    except StartError as error:
        raise ValueError(str(error)) from None


def digest(model: Path) -> str:
    """The digest of a model: of a file's bytes, or of all files of a folder by their names."""
    whole = hashlib.sha256()
    for path in _files(model):
        whole.update(path.relative_to(model).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def _files(model: Path) -> Iterator[Path]:
    if model.is_file():
        yield model
        return
    found = sorted(path for path in model.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    yield from found


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))
