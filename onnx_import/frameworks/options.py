"""What a caller may say about an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """`opset` is the newest to use (None: the exporter's choice); `example` is an input, or a tuple of them, to trace or to take types from."""

    opset: int | None = None
    is_trusted: bool = False
    example: Any = None
