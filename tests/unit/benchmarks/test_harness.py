"""What all benchmarks share: turns, medians, figures, tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import harness


def test_every_item_begins_a_round_in_turn() -> None:
    """Over as many rounds as there are items each is measured first once, and none is left out."""
    rounds = [harness.turned("abc", number) for number in range(3)]
    assert [one[0] for one in rounds] == ["a", "b", "c"]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)


def test_nothing_has_no_turns() -> None:
    """No items are no items in every round."""
    assert harness.turned([], 2) == []


def test_median_passes_over_what_is_missing() -> None:
    """A round without a figure does not count; no figure at all has no median."""
    assert harness.median([1.0, None, 9.0, 3.0]) == 3.0
    assert harness.median([None]) is None


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.1234, "0.12"), (1.5, "1.50"), (12.34, "12.3"), (66418.2, "66,418")], ids=str
)
def test_figures_keep_what_matters(value: float | None, text: str) -> None:
    """A figure has as many decimals as its size leaves a meaning to."""
    assert harness.figure(value) == text


def test_markdown_sets_numbers_right() -> None:
    """The first column is text, the others are set to the right, and every row is there."""
    assert harness.markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_write(tmp_path: Path) -> None:
    """Results go to the file that was asked for, and nowhere where none was."""
    harness.write(tmp_path / "out.json", {"a": 1})
    harness.write(None, {"a": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 1}


def test_no_rounds_are_refused() -> None:
    """A benchmark of no rounds is a usage error."""
    with pytest.raises(SystemExit) as end:
        harness.arguments("", rounds=3).parse_args(["--rounds", "0"])
    assert end.value.code == 2


def test_a_failed_module_says_why() -> None:
    """A part that fails in a process of its own is one error, with what it said."""
    with pytest.raises(harness.BenchmarkError, match="No module named benchmarks.nothing"):
        harness.module("nothing")
