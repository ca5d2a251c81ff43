"""Which type is recommended, and what is said of attaching."""

from __future__ import annotations

import pytest

from serving.accelerators.sizing import advice
from serving.accelerators.sizing.advice import Call

GIB = 1 << 30


@pytest.mark.parametrize(
    ("need", "two", "one"),
    [
        (0.5, "ml.eia2.medium", "ml.eia1.medium"),
        (0.81, "ml.eia2.medium", "ml.eia1.large"),
        (1.59, "ml.eia2.medium", "ml.eia1.large"),
        (1.61, "ml.eia2.large", "ml.eia1.xlarge"),
        (3.3, "ml.eia2.xlarge", None),
        (6.5, None, None),
    ],
)
def test_the_smallest_type_with_a_fifth_to_spare(need: float, two: str | None, one: str | None) -> None:
    """Of both generations; none where the largest would be fuller than four fifths."""
    found = advice.advise(0, int(need * GIB)).as_object()
    assert found["types"] == {"eia2": two, "eia1": one}
    assert found["type"] == two


def test_a_model_that_fits_nowhere_is_told_what_to_do() -> None:
    """The message names the remedy, and recommends nothing."""
    lines = advice.advise(0, 100 * GIB).lines()
    assert any("smaller batches" in line for line in lines)
    assert not any("recommended" in line for line in lines)


def test_a_call_that_adds_more_than_the_pass_never_pays() -> None:
    """A pass of 50 µs is not worth a call, however fast the accelerator is."""
    call = Call(50e-6, 300e-6)
    assert call.speedup is None
    assert call.verdict.startswith("attaching does not pay: a pass takes 50 µs here, and a call adds 300 µs")


def test_a_long_pass_says_from_which_speed_on_it_pays() -> None:
    """40 ms with 8 ms added break even at 1.25 times the speed; 3 ms with 2 ms added only at 3 times."""
    assert Call(40e-3, 8e-3).speedup == pytest.approx(1.25)
    assert "from 1.25 times" in Call(40e-3, 8e-3).verdict
    assert Call(3e-3, 2e-3).verdict.startswith("attaching hardly pays")


def test_the_advice_is_an_object_with_its_call() -> None:
    """What a program reads has bytes, seconds and the verdict."""
    found = advice.advise(12, 34, Call(1.0, 0.25)).as_object()
    assert (found["estimate"], found["need"], found["call"]["local"], found["call"]["added"]) == (12, 34, 1.0, 0.25)
    assert found["call"]["speedup"] == pytest.approx(4 / 3)


def test_a_model_without_an_estimate_is_advised_by_its_measurement() -> None:
    """As SavedModels are: no number is made up."""
    found = advice.advise(None, GIB)
    assert found.as_object()["estimate"] is None
    assert found.lines()[0] == "measured 1,074 MB"
    assert found.best is not None
