"""ONNX's own backend suite: every case passes, or is a known gap with its reason. A gap that passes fails until its line is deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import onnx_suite
from benchmarks.onnx_suite import Case

GAPS_FILE = Path(__file__).parent / "onnx_known_gaps.txt"


def gaps() -> dict[str, str]:
    """The known gaps: `family/case: reason` a line."""
    lines = [line for line in GAPS_FILE.read_text().splitlines() if line and not line.startswith("#")]
    return {key: reason for key, _, reason in (line.partition(": ") for line in lines)}


GAPS = gaps()
CASES = {f"{case.family}/{case.name}": case for case in onnx_suite.cases()}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_case(case: Case) -> None:
    """A case answers as ONNX expects, in shape, dtype and values; a known gap is refused, never answered wrongly."""
    found = onnx_suite.judge(case)
    reason = GAPS.get(f"{case.family}/{case.name}")
    if reason is None:
        assert found.verdict == "pass", found.reason
    else:
        assert found.verdict != "pass", "this known gap passes: delete its line from onnx_known_gaps.txt"
        assert found.verdict == "unsupported", f"a gap must be refused, not answered: {found.reason}"


def test_gaps_are_cases() -> None:
    """Every known gap is a case of the installed suite, and says why."""
    assert GAPS.keys() <= CASES.keys()
    assert all(GAPS.values())
