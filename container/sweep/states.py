"""What a sweep has done so far: a line of JSON for each finished configuration, so that the next start goes on from there."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from container.errors import ContainerError
from container.sweep.plan import Configuration, Prices


@dataclass(frozen=True)
class Row:
    """A configuration's figures; `error` says why there are none. Times in ms, memory in bytes."""

    configuration: Configuration
    error: str = ""
    rate: float = 0.0
    percentiles: dict[str, float] = field(default_factory=dict)
    requests: int = 0
    errors: int = 0
    host_memory: int = 0
    accelerator_memory: int = 0

    @property
    def rows(self) -> float:
        """Rows a second."""
        return self.rate * self.configuration.batch

    @property
    def is_good(self) -> bool:
        """Whether every request was answered."""
        return not self.error and not self.errors and self.requests > 0

    def as_object(self, prices: Prices) -> dict[str, Any]:
        """For JSON."""
        cost = prices.per_million(self.configuration, self.rows)
        plain = {key: value for key, value in asdict(self).items() if key not in ("configuration", "percentiles")}
        return {**asdict(self.configuration), **plain, **self.percentiles, "rows": self.rows, "per_million": cost}


class State:
    """The file. Lines that are cut off, of a start that was killed, are passed over."""

    def __init__(self, path: Path, model: str) -> None:
        self.path, self._model = path, model
        self._done: dict[str, Row] = {}
        try:
            text = path.read_text() if path.exists() else ""
            self._is_whole = not text or text.endswith("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ContainerError(f"{path} cannot be read: {error}", "name another file by --state") from None
        for line in text.splitlines():
            try:
                told = json.loads(line)
                row = Row(Configuration(**told["row"].pop("configuration")), **told["row"])
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            self._done[str(told.get("key"))] = row

    def find(self, configuration: Configuration) -> Row | None:
        """The row of a configuration of this model, if it is there and was no error."""
        row = self._done.get(configuration.key(self._model))
        return None if row is None or row.error else row

    def put(self, row: Row) -> None:
        """Add a row, at once and for good."""
        key = row.configuration.key(self._model)
        self._done[key] = row
        line = json.dumps({"key": key, "row": asdict(row)}) + "\n"
        with self.path.open("a") as file:
            file.write(line if self._is_whole else "\n" + line)
            file.flush()
            os.fsync(file.fileno())
        self._is_whole = True
