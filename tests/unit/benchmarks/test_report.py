"""The tables: medians of rounds, ratios to the limit, failures in words, and their place in the README."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import report
from benchmarks.harness import BenchmarkError


def outcome(rate: float) -> dict[str, Any]:
    """One server's round at one connection and at 16."""
    seen = {"errors": 0, "other_cores": 0.5, "p50_ms": 1.0, "p99_ms": 2.0, "worst_ping_ms": 3.0, "forced_switches": 4.0}
    loads = {label: {**seen, "rate": rate * times} for label, times in (("json-1", 1), ("json-16", 4))}
    return {"loads": loads, "memory_mib": 150.0, "first_answer_s": 0.7}


@pytest.fixture
def results() -> dict[str, Any]:
    """Three rounds of two servers, of which one never started."""
    limit = {"1": {"rows_per_second": 1000.0, "pass_ms": 1.0}}
    servers = {"ei": [outcome(rate) for rate in (100, 300, 200)], "mms": [{"loads": {}, "failed": "it ended:\nno port"}]}
    tiny = {"loads": ["json-1", "json-16"], "limit": [limit], "servers": servers}
    return {"machine": {"cores": 2, "processor": "abacus"}, "rounds": 3, "models": {"tiny": tiny}}


def row(text: str, server: str) -> list[str]:
    """The cells of a server's row."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {server} |")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_medians_and_ratio(results: dict[str, Any]) -> None:
    """Rates are the medians of the rounds; the best of them stands over the passes alone."""
    cells = row(report.render(results), "ei")
    assert cells[1:3] == ["200", "800"]
    assert cells[-2:] == ["0.80", "0"]


def test_rows_are_as_long_as_their_head(results: dict[str, Any]) -> None:
    """Every row of a table has as many cells as its head, a failed server's too."""
    lines = [line for line in report.render(results).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1


def test_failures_are_named(results: dict[str, Any]) -> None:
    """A server that could not be measured has the last line of why in its row."""
    assert row(report.render(results), "mms")[1] == "failed: no port"


def test_the_machine_and_its_other_users_are_told(results: dict[str, Any]) -> None:
    """Above the tables stands what they hold for."""
    head = report.render(results).splitlines()[0]
    assert "2 cores of abacus, 3 rounds" in head
    assert "0.50 cores busy" in head


def test_into_readme(tmp_path: Path) -> None:
    """Only what stands between the markers is replaced, as often as one likes."""
    page = tmp_path / "README.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    for _ in range(2):
        report.into_readme(page, "new")
        assert page.read_text() == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"


def test_readme_without_markers(tmp_path: Path) -> None:
    """A page without the closing marker stays as it is."""
    page = tmp_path / "README.md"
    page.write_text(f"{report.BEGIN}\nno end")
    with pytest.raises(BenchmarkError, match="/figures"):
        report.into_readme(page, "new")
    assert page.read_text() == f"{report.BEGIN}\nno end"


def test_another_program_has_its_own_place(tmp_path: Path) -> None:
    """The tables of TensorFlow stand between their own markers."""
    page = tmp_path / "README.md"
    begin = report.BEGIN.replace("serving.py", "serving_tf.py")
    page.write_text(f"{report.BEGIN}\none\n{report.END}\n{begin}\ntwo\n{report.END}\n")
    report.into_readme(page, "new", "serving_tf.py")
    assert page.read_text() == f"{report.BEGIN}\none\n{report.END}\n{begin}\n\nnew\n\n{report.END}\n"
