"""The run of `accelerator.py`: its options, and what makes it fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import accelerator
from benchmarks.accelerator import Effort, Row
from benchmarks.attached.figures import Figure
from benchmarks.harness import BenchmarkError


def row(*figures: Figure) -> Row:
    """A row that measures nothing."""
    return Row(lambda effort: {"rounds": effort.rounds}, lambda found: list(figures))


def lost(effort: Effort) -> Any:
    """A measurement that cannot be made."""
    raise BenchmarkError("no accelerator here")


def run(monkeypatch: pytest.MonkeyPatch, rows: dict[str, Row], *words: str) -> int:
    """The exit status with these rows and options."""
    monkeypatch.setattr(accelerator, "ROWS", rows)
    monkeypatch.setattr(sys, "argv", ["accelerator.py", *words])
    return accelerator.main()


@pytest.mark.parametrize(("value", "status"), [(0.9, 0), (1.1, 1)], ids=["kept", "missed"])
def test_a_row_that_misses_fails(monkeypatch: pytest.MonkeyPatch, value: float, status: int) -> None:
    """The run exits with 1 where a figure is not what it must be."""
    assert run(monkeypatch, {"one": row(Figure("one", value, 1.0))}) == status


def test_a_row_that_cannot_be_measured_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It counts as missed, says why, and the others are measured all the same."""
    rows = {"lost": Row(lost, lambda found: []), "kept": row(Figure("kept", 0.5, 1.0))}
    assert run(monkeypatch, rows, "--json", str(tmp_path / "out.json")) == 1
    printed = capsys.readouterr().out
    assert "no accelerator here" in printed
    assert "| kept | 0.50 |" in printed
    assert json.loads((tmp_path / "out.json").read_text())["rows"]["lost"] == {"failed": "no accelerator here"}


def test_only_some_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`--only` measures what it names, and the JSON has what was measured."""
    rows = {"one": row(Figure("first", 1.0)), "two": row(Figure("second", 2.0))}
    assert run(monkeypatch, rows, "--only", "two", "--rounds", "7", "--json", str(tmp_path / "out.json")) == 0
    printed = capsys.readouterr().out
    assert "second" in printed
    assert "first" not in printed
    assert json.loads((tmp_path / "out.json").read_text())["rows"] == {"two": {"rounds": 7}}


def test_unknown_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that there is none of is a usage error."""
    with pytest.raises(SystemExit) as end:
        run(monkeypatch, {"one": row()}, "--only", "one,three")
    assert end.value.code == 2


def test_quick_is_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quick run takes the smaller number of everything."""
    assert (Effort(3, True).some(9, 2), Effort(3, False).some(9, 2)) == (2, 9)
