"""Open dimensions: their keys, the sizes to try, their names in the model."""

from __future__ import annotations

from onnx_import.exporting.sizes import Sizes, label


def test_without_names_the_first_dimension_counts_rows() -> None:
    """Whatever number stands there, which is the first to be tried."""
    sizes = Sizes({"x": (4, 3), "y": (4, None)})
    trial = next(sizes.trials())
    assert sizes.at(trial)["x"] == (4, 3)
    assert sizes.at(sizes.grown(trial, "batch")) == {"x": (8, 3), "y": (8, trial["y:1"])}


def test_a_first_dimension_of_another_size_is_no_row() -> None:
    """A table beside a batch keeps its size."""
    sizes = Sizes({"x": (4, 3), "table": (7, 3)})
    assert sizes.at(sizes.grown(next(sizes.trials()), "sizes")) == {"x": (8, 3), "table": (7, 3)}


def test_with_names_numbers_are_numbers() -> None:
    """A recurrent state has its rows in the second axis."""
    sizes = Sizes({"x": ("n", "t"), "state": (2, "n", 5)})
    grown = sizes.at(sizes.grown(next(sizes.trials()), "batch"))
    assert grown["x"][0] == grown["state"][1] == 2
    assert grown["state"][0] == 2


def test_nothing_grows_where_nothing_shall_be_open() -> None:
    """The sizes stay."""
    sizes = Sizes({"x": (None, None)})
    trial = next(sizes.trials())
    assert sizes.grown(trial, "nothing") == trial


def test_a_dimension_is_called_after_the_key_that_it_follows() -> None:
    """A number where it stays, a name where one key alone explains it, nothing else."""
    here, there = {"batch": 1, "x:1": 8, "t": 9}, {"batch": 2, "x:1": 40, "t": 41}
    assert label(5, 5, here, there) == 5
    assert label(1, 2, here, there) == "batch"
    assert label(9, 41, here, there) == "t"
    assert label(8, 40, here, there) is None
    assert label(3, 6, here, there) is None
