"""Resize and Upsample on ramps, whose right answers can be read off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.oracle.asking import ask

RAMP = np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4)


def resized(x: Any, *, scales: Any = None, sizes: Any = None, roi: Any = None, opset: int = 19, **given: Any) -> list[float]:
    """The elements of a resized input."""
    scales = None if scales is None else np.array(scales, np.float32)
    sizes = None if sizes is None else np.array(sizes, np.int64)
    return list(ask("Resize", [x, roi, scales, sizes], opset, **given).ravel().tolist())


@pytest.mark.parametrize(
    ("how", "want"),
    [
        ("half_pixel", [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]),
        ("asymmetric", [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]),
        ("align_corners", [at * 3 / 7 for at in range(8)]),
    ],
)
def test_linear_samples_where_the_transformation_says(how: str, want: list[float]) -> None:
    """A ramp's values are its coordinates, held at the edges."""
    assert resized(RAMP, scales=[1, 1, 1, 2], mode="linear", coordinate_transformation_mode=how) == pytest.approx(want)


@pytest.mark.parametrize(
    ("how", "want"), [("floor", [0, 2]), ("ceil", [1, 3]), ("round_prefer_floor", [0, 2]), ("round_prefer_ceil", [1, 3])]
)
def test_nearest_rounds_halves_as_asked(how: str, want: list[float]) -> None:
    """Half the size samples at 0.5 and 2.5."""
    assert resized(RAMP, scales=[1, 1, 1, 0.5], nearest_mode=how) == want


def test_cubic_keeps_a_ramp_inside() -> None:
    """Keys' kernel gives a straight line back, away from its ends."""
    line = np.arange(8, dtype=np.float32).reshape(1, 1, 1, 8)
    got = resized(line, scales=[1, 1, 1, 2], mode="cubic", cubic_coeff_a=-0.5)
    assert got[4:12] == pytest.approx([1.75, 2.25, 2.75, 3.25, 3.75, 4.25, 4.75, 5.25], abs=1e-5)


def test_crops_hold_their_value_outside() -> None:
    """tf_crop_and_resize fills what lies beyond the input."""
    roi = np.array([0, 0, 0, 0, 1, 1, 1, 2], np.float32)
    got = resized(
        RAMP,
        roi=roi,
        sizes=[1, 1, 1, 3],
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
        extrapolation_value=9.0,
    )
    assert got == pytest.approx([0, 3, 9])


def test_aspect_ratio_is_kept_where_asked() -> None:
    """Two axes by the smaller of their scales."""
    x = np.zeros((4, 4), np.float32)
    sizes = np.array([8, 6])
    assert ask("Resize", [x, None, None, sizes], 18, keep_aspect_ratio_policy="not_larger").shape == (6, 6)


def test_antialias_averages_while_shrinking() -> None:
    """All inputs count where half the elements are asked for."""
    x = np.array([[[[0, 0, 8, 0]]]], np.float32)
    got = resized(x, scales=[1, 1, 1, 0.5], mode="linear", antialias=1)
    assert got == pytest.approx([1, 3])


def test_opset_10_divides_coordinates_by_the_scale() -> None:
    """Nearest means the element below."""
    got = ask("Resize", [RAMP, np.array([1, 1, 1, 2], np.float32)], 10)
    assert got.ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_upsample_interpolates_from_attribute_or_input() -> None:
    """Opset 7 lists scales in an attribute, opset 9 takes an input."""
    want = [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]
    assert ask("Upsample", [RAMP], 7, scales=[1.0, 1.0, 1.0, 2.0], mode="linear").ravel().tolist() == want
    assert ask("Upsample", [RAMP, np.array([1, 1, 1, 2], np.float32)], 9, mode="linear").ravel().tolist() == want
