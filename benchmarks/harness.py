"""What every benchmark here shares: where things lie, the talk on stderr, medians, tables, the machine, the JSON file."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from serving import cores

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "bench"
SERVE = Path(sys.executable).parent / "serve"
Item = TypeVar("Item")


class BenchmarkError(Exception):
    """The benchmark cannot run, or what it measures cannot: one message that says why and what to do."""


class WrongAnswer(BenchmarkError):
    """A server answered 200 with other numbers than the model's own."""


def arguments(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark takes: --rounds, --quick and --json."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--rounds", type=positive, default=rounds, help=f"how often each is measured [{rounds}]")
    parser.add_argument("--quick", action="store_true", help="one short round: to see that it works, not to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    return parser


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def run(main: Any) -> None:
    """Call `main()` and exit with its status; a `BenchmarkError` is one line and 1. SIGTERM ends the servers too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(main())
    except BenchmarkError as error:
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def say(text: str) -> None:
    """A progress line."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def write(path: Path | None, results: dict[str, Any]) -> None:
    """The results as JSON, where a file for them was asked for."""
    if path is not None:
        path.write_text(json.dumps(results, indent=1) + "\n")


def turned(items: Sequence[Item], number: int) -> list[Item]:
    """The items, beginning with another one in each round, so that none is always measured first or last."""
    at = number % len(items) if items else 0
    return [*items[at:], *items[:at]]


def median(values: Iterable[float | None]) -> float | None:
    """The median of those that are there; None where none is."""
    found = [value for value in values if value is not None]
    return statistics.median(found) if found else None


def figure(value: float | None) -> str:
    """A number with three digits that matter, thousands set apart; a dash for None."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def markdown(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; the columns but the first hold numbers and are set to the right."""
    rules = ["---", *["---:"] * (len(headers) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (headers, rules, *rows))


def machine() -> dict[str, Any]:
    """The processor, the cores that may be used, and the versions that the figures hold for."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.machine()
    return {"processor": processor, "cores": cores.count(), "kernel": platform.release(), "python": platform.python_version()}


def module(name: str, *words: str) -> Any:
    """Run a module of this package in a process of its own; the JSON of the last line that it prints.

    BenchmarkError, with the end of what it said, where it fails.
    """
    command = [sys.executable, "-m", f"benchmarks.{name}", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"benchmarks.{name} failed: {done.stderr.strip()[-1000:]}")
    return json.loads(done.stdout.splitlines()[-1])
