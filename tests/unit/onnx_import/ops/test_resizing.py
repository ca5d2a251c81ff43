"""Promises of Resize and Upsample: every mode answers as ONNX's evaluator does, whole factors in one operator too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check, check_refused

COORDINATES = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
SCALES = {"double": (2.0, 2.0), "up": (2.5, 1.5), "down": (0.5, 0.61), "both": (3.0, 0.5), "whole": (2.0, 3.0)}


def _image(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    return (np.random.default_rng(seed).standard_normal(shape) * 90).astype(dtype)


def _floats(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


@pytest.mark.parametrize("scales", SCALES.values(), ids=SCALES)
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_by_scales(mode: str, coordinates: str, scales: tuple[float, float]) -> None:
    """Each mode with each way of placing elements."""
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    check("Resize", [_image((2, 3, 6, 8)), None, _floats(1, 1, *scales)], attributes, known=[2], atol=1e-3)


@pytest.mark.parametrize("sizes", [(12, 16), (18, 8), (7, 9), (3, 5), (6, 1)], ids=str)
@pytest.mark.parametrize("nearest", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_resize_to_sizes_takes_the_nearest(nearest: str, sizes: tuple[int, int]) -> None:
    """Each way of rounding, of integers and truth values too."""
    for coordinates in ("half_pixel", "asymmetric", "align_corners"):
        attributes = {"nearest_mode": nearest, "coordinate_transformation_mode": coordinates}
        for dtype in ("float32", "int64"):
            check("Resize", [_image((1, 2, 6, 8), dtype), None, None, np.array([1, 2, *sizes])], attributes, known=[3])


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 4, 5), (1, 2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_takes_tensors_of_any_rank(mode: str, shape: tuple[int, ...]) -> None:
    """Every axis can be resized."""
    scales = _floats(*np.linspace(0.75, 2, len(shape)))
    check("Resize", [_image(shape), None, scales], {"mode": mode}, known=[2], atol=1e-3)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("option", ["antialias", "exclude_outside"])
def test_resize_weighs_what_it_is_told_to(option: str, mode: str) -> None:
    """The stretched filter of a smaller picture, and only what is inside."""
    for scales in ((0.4, 0.7), (2.0, 0.5), (2.0, 2.0)):
        attributes = {"mode": mode, option: 1}
        check("Resize", [_image((1, 2, 10, 12)), None, _floats(1, 1, *scales)], attributes, known=[2], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float64", "uint8", "int8", "int32"])
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_rounds_to_its_type(mode: str, dtype: str) -> None:
    """Whole numbers to the nearest, within bounds; small floats once."""
    x = np.abs(_image((1, 2, 5, 6), dtype)) if dtype == "uint8" else _image((1, 2, 5, 6), dtype)
    check("Resize", [x, None, _floats(1, 1, 2, 1.5)], {"mode": mode}, known=[2], rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller", "stretch"])
def test_resize_keeps_the_aspect_ratio(policy: str) -> None:
    """One scale for both axes, within the sizes or over them; of some axes only."""
    sizes = np.array([7, 20])
    attributes = {"keep_aspect_ratio_policy": policy, "axes": [2, 3], "mode": "linear"}
    check("Resize", [_image((1, 2, 6, 8)), None, None, sizes], attributes, known=[3], atol=1e-3)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("region", [(0.2, 0.3, 0.8, 0.9), (-0.2, 0.1, 0.7, 1.3)], ids=["inside", "beyond"])
def test_resize_crops(region: tuple[float, ...], mode: str) -> None:
    """A region of interest; beyond the picture one number."""
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "extrapolation_value": 10.0,
        "axes": [2, 3],
    }
    inputs = [_image((1, 2, 6, 8)), _floats(*region), None, np.array([5, 7])]
    check("Resize", inputs, attributes, known=[1, 3], atol=1e-3)
    check("Resize", inputs, attributes, atol=1e-3)  # small inputs become static


def test_whole_factors_are_one_operator() -> None:
    """Nearest and linear by 2, which segmentation and detection nets do, go to oneDNN."""
    for mode, coordinates in (("nearest", "asymmetric"), ("linear", "half_pixel"), ("nearest", "half_pixel")):
        attributes = {"mode": mode, "coordinate_transformation_mode": coordinates, "nearest_mode": "floor"}
        prepared = check("Resize", [_image((2, 3, 4, 5)), None, _floats(1, 1, 2, 2)], attributes, known=[2], atol=1e-3)
        assert prepared.program.last[0].stages[0].text.count('"Deconvolution"') == 1


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_infinities_stay_where_they_are(mode: str) -> None:
    """What is infinite or no number spoils its neighbours alone."""
    plain = np.zeros((1, 1, 8, 8), np.float32)
    plain[0, 0, 1, 2] = plain[0, 0, 6, 6] = 1
    for scales in ((2.0, 2.0), (1.5, 0.5)):
        prepared = check("Resize", [plain, None, _floats(1, 1, *scales)], {"mode": mode}, known=[2])
        touched = prepared.run([plain])[0] > 0
        for number in (np.inf, np.nan):
            answer = prepared.run([np.where(plain > 0, np.float32(number), plain)])[0]
            assert np.array_equal(~np.isfinite(answer), touched)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample_divides_places_by_the_scale(mode: str) -> None:
    """In each of its versions, and Resize of opset 10."""
    x = _image((1, 2, 4, 5))
    attributes = {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    want = check("Resize", [x, None, _floats(1, 1, 2, 3)], attributes, known=[2], atol=1e-3).run([x])
    check("Upsample", [x, _floats(1, 1, 2, 3)], {"mode": mode}, opset=9, known=[1], want=want, atol=1e-4)
    check("Resize", [x, _floats(1, 1, 2, 3)], {"mode": mode}, opset=10, known=[1], want=want, atol=1e-4)
    check("Upsample", [x], {"mode": mode, "scales": [1.0, 1.0, 2.0, 3.0]}, opset=7, want=want, atol=1e-4)
    name = "nearest" if mode == "nearest" else "bilinear"
    check("Upsample", [x], {"mode": name, "height_scale": 2.0, "width_scale": 3.0}, opset=1, want=want, atol=1e-4)


def test_resize_of_nothing_is_nothing() -> None:
    """An empty batch, and a scale that leaves nothing."""
    check(
        "Resize",
        [np.zeros((0, 2, 3, 4), np.float32), None, _floats(1, 1, 2, 2)],
        known=[2],
        want=[np.zeros((0, 2, 6, 8), np.float32)],
    )
    x = _image((1, 1, 2, 2))
    check("Resize", [x, None, _floats(1, 1, 0.4, 1)], known=[2], want=[np.zeros((1, 1, 0, 2), np.float32)])


def test_resize_refuses_what_is_no_scale() -> None:
    """Scales that are 0, or too few."""
    check_refused("Resize", [_image((1, 1, 2, 2)), None, _floats(1, 1, 0, 2)])
    check_refused("Resize", [_image((1, 1, 2, 2)), None, _floats(1, 2)])
    check_refused("Resize", [_image((1, 1, 2, 2)), None, _floats(1, 1, 2, 2)], {"mode": "lanczos"})
