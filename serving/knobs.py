"""How a setting is declared, and how text becomes its value; `settings` has them all. ValueError says what was expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any


def flag(text: str) -> bool:
    """A switch: true, yes, on, 1, and their opposites."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.strip().lower() not in words:
        raise ValueError("expected true or false")
    return words[text.strip().lower()]


def whole(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"-?[0-9]{1,18}", text.strip()):
        raise ValueError("expected a whole number")
    return int(text)


def seconds(text: str) -> float:
    """A duration."""
    try:
        return float(text)
    except ValueError:
        raise ValueError("expected a number of seconds") from None


def port_range(text: str) -> tuple[int, int]:
    """Two ports, LOW-HIGH."""
    low, dash, high = text.partition("-")
    if not dash or not low.isdigit() or not high.isdigit() or not 0 < int(low) <= int(high) < 65536:
        raise ValueError("expected LOW-HIGH, two ports, the lower first")
    return int(low), int(high)


def choice(*words: str) -> Callable[[str], str]:
    """One of these words, in whatever case."""

    def parse(text: str) -> str:
        if text.strip().lower() not in words:
            raise ValueError("expected one of " + ", ".join(words))
        return text.strip().lower()

    return parse


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def names_or_none(text: str) -> tuple[str, ...]:
    """Likewise, of a variable that means something when it is set to nothing."""
    return names(text)


def device(text: str) -> str:
    """Where a model runs: `cpu`, or an accelerator by its ordinal, `eia:N`, `eia(N)` or `eia` alone."""
    found = re.fullmatch(r"cpu|eia(?:[:(]?(?P<ordinal>[0-9]{1,3})\)?)?", text.strip().lower())
    if found is None:
        raise ValueError("expected eia:0, eia:1, ... or cpu")
    return "cpu" if found[0] == "cpu" else f"eia:{int(found['ordinal'] or 0)}"


def secret(text: str) -> str:
    """Text that is never shown."""
    return text.strip()


def log_level(text: str) -> int:
    """A level of Python's logging, by its number or its name."""
    levels = {"debug": 10, "info": 20, "warn": 30, "warning": 30, "error": 40, "critical": 50}
    word = text.strip().lower()
    if word not in levels and not re.fullmatch(r"[0-9]{1,3}", word):
        raise ValueError("expected a number, as Python's logging has it, or debug, info, warning, error, critical")
    return levels[word] if word in levels else int(word)


def value(text: str, meta: Mapping[str, Any]) -> Any:
    """The value of a knob's text, within its bounds."""
    found, low, high = meta["parse"](text), meta["low"], meta["high"]
    if low is not None and not low <= found <= high:
        raise ValueError(f"expected {low} to {high}")
    return found


def knob(
    default: Any,
    *env: str,
    parse: Callable[[str], Any] = str,
    low: float | None = None,
    high: float | None = None,
    help: str,
) -> Any:
    """Declare a setting: its default, its environment names, how text becomes its value, its bounds, what it does."""
    return field(default=default, metadata={"env": env, "parse": parse, "low": low, "high": high, "help": help})
