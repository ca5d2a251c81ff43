"""From what was measured to the rows of the table."""

from __future__ import annotations

import pytest

from benchmarks.attached import figures
from benchmarks.attached.figures import Figure


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure("x", 0.4, 1.0, 0.5), "aim"),
        (Figure("x", 0.7, 1.0, 0.5), "must"),
        (Figure("x", 1.2, 1.0, 0.5), "MISSED"),
        (Figure("x", 1.6, 1.3, 1.5, is_most=False), "aim"),
        (Figure("x", 1.4, 1.3, 1.5, is_most=False), "must"),
        (Figure("x", 1.2, 1.3, 1.5, is_most=False), "MISSED"),
        (Figure("x", None, 1.0), "MISSED"),
        (Figure("x", 7.0), ""),
        (Figure("x", 0, 0, 0), "aim"),
    ],
)
def test_verdict(figure: Figure, verdict: str) -> None:
    """A bound holds from above or from below; a figure without one is only told; what was not measured is missed."""
    assert figure.verdict == verdict
    assert figure.is_missed == (verdict == "MISSED")


def test_added_is_what_the_pass_does_not_take() -> None:
    """Round by round, what a way takes more than the pass, over the echo of that round; the default alone is held to it."""
    ways = {"echo": [100.0, 200.0], "local": [10.0, 20.0], "unary": [60.0, 120.0], "unix": [35.0, 70.0]}
    (first, second) = figures.added({"1 KB": ways}, "unary")
    assert (first.value, first.must) == (0.5, 1.0)
    assert (second.value, second.must) == (0.25, None)
    assert "unary (the default)" in first.what


def test_resnet_is_a_ratio_of_times() -> None:
    """Attached over local, as the median of the rounds' ratios: a slow round counts for both."""
    (found,) = figures.resnet({"local": [100.0, 200.0, 100.0], "attached": [60.0, 120.0, 90.0]})
    assert found.value == pytest.approx(0.6)


def test_batching_is_a_ratio_of_rates_with_its_losses() -> None:
    """The rates of both containers together; a request that is lost is a figure of its own that is held to none."""

    def one(rate: float, errors: int = 0) -> dict[str, float]:
        return {"rate": rate, "errors": errors, "rows_a_pass": 1.0}

    gain, lost = figures.batching({"batching": [one(100.0), one(300.0)], "none": [one(10.0), one(20.0, 2)]})
    assert gain.value == 12.5
    assert not gain.is_missed
    assert lost.value == 2
    assert lost.is_missed


def test_engines_are_held_with_two_threads() -> None:
    """How many times faster the converted model is; with one thread it is told only."""
    taken = {"mxnet": [30.0, 33.0], "onnxruntime": [20.0, 22.0]}
    two, one = figures.engines({"2": taken, "1": taken})
    assert (two.value, two.must) == (1.5, 1.3)
    assert one.must is None


def test_copies_are_the_most_of_any_kind() -> None:
    """One copy too many of either kind is a miss."""
    counted = {"containers": 1, "scripts": 2, "loads_by_containers": 1, "loads_by_scripts": 2}
    (found,) = figures.copies(counted)
    assert found.is_missed
    assert not figures.copies({**counted, "scripts": 1})[0].is_missed


@pytest.mark.parametrize(
    ("least", "most", "missed"), [(0.02, 0.2, [False, False]), (-0.01, 0.4, [True, True])], ids=["kept", "missed"]
)
def test_estimates(least: float, most: float, missed: list[bool]) -> None:
    """Never under, and not far over; rows that it was fitted to do not count."""
    rows = [{"fitted": True}, {"fitted": False}, {"fitted": False}]
    found = figures.estimate({"rows": rows, "least": least, "most": most})
    assert [one.is_missed for one in found] == missed
    assert found[0].note.startswith("2 rows")


def test_killed_is_the_worst_round() -> None:
    """The longest time counts, and a call that failed though it was not under way then."""

    def one(seconds: float, failed: int = 0, outside: int = 0) -> dict[str, float]:
        return {"seconds": seconds, "failed": failed, "failed_outside": outside, "calls": 100}

    seconds, lost = figures.killed({"tiny": [one(0.5), one(2.5)]})
    assert seconds.value == 2.5
    assert seconds.is_missed
    assert lost.verdict == "aim"
    inside = figures.killed({"tiny": [one(0.5, 3)]})[1]
    assert inside.verdict == "must"
    assert figures.killed({"tiny": [one(0.5, 3, 1)]})[1].is_missed


def test_fairness_is_in_passes() -> None:
    """The 95th percentile over the pass, in the middle of the rounds."""
    latencies = [float(number) for number in range(1, 101)]
    assert figures.p95(latencies) == 95.0
    (found,) = figures.fairness([{"latency_ms": latencies, "pass_ms": 10.0}])
    assert found.value == 9.5
    assert found.is_missed


def test_the_table_has_every_row() -> None:
    """A row for each figure, under the machine, and a failure's reason in one cell."""
    lost = figures.failed("resnet", "two\nlines | here")
    text = figures.table([Figure("what", 0.5, 1.0, 0.4, note="5 ms"), lost], {"cores": 2, "processor": "P"})
    assert text.startswith("2 cores of P")
    assert "| what | 0.50 | 1 | 0.4 | must | 5 ms |" in text
    assert "| resnet | - | 0 |  | MISSED | lines / here |" in text
