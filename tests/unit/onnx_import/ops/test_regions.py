"""Promises of RoiAlign and MaxRoiPool: regions inside pictures and beyond them, pooled to one size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import import backend
from onnx_import.errors import InvalidInput
from tests.unit.onnx_import.checking import check, check_refused, node_model

BOXES = np.array(
    [[0.5, 1, 6.5, 5], [2, 2, 3, 3.5], [-3, -2, 4, 9], [5, 0, 12, 12], [1, 1, 1, 1], [5, 1, 2, 3], [1, 6, 5, 2]], np.float32
)
ITEMS = np.array([0, 1, 1, 0, 1, 0, 1])


def _images(dtype: str = "float32") -> Any:
    return np.random.default_rng(4).standard_normal((2, 3, 8, 7)).astype(dtype)


@pytest.mark.parametrize("mode", ["avg", "max"])
@pytest.mark.parametrize("ratio", [0, 1, 3], ids=["adaptive", "1", "3"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
def test_roi_align_pools_points(coordinates: str, ratio: int, mode: str) -> None:
    """A fixed number of points a bin, or as many as a bin is wide."""
    attributes: dict[str, Any] = {
        "output_height": 2,
        "output_width": 3,
        "sampling_ratio": ratio,
        "spatial_scale": 0.75,
        "mode": mode,
    }
    check("RoiAlign", [_images(), BOXES, ITEMS], {**attributes, "coordinate_transformation_mode": coordinates}, atol=1e-5)
    if coordinates == "output_half_pixel":
        want = check(
            "RoiAlign", [_images(), BOXES[:3], ITEMS[:3]], {**attributes, "coordinate_transformation_mode": coordinates}
        )
        check(
            "RoiAlign",
            [_images(), BOXES[:3], ITEMS[:3]],
            attributes,
            opset=10,
            want=want.run([_images(), BOXES[:3], ITEMS[:3]]),
        )


def test_roi_align_of_no_regions_is_empty() -> None:
    """And of other types it keeps the type."""
    check("RoiAlign", [_images(), BOXES[:0], ITEMS[:0]], want=[np.zeros((0, 3, 1, 1), np.float32)])
    check("RoiAlign", [_images("float64"), BOXES.astype(np.float64), ITEMS], {"sampling_ratio": 2}, atol=1e-5)
    check_refused("RoiAlign", [_images(), BOXES, ITEMS[:2]])
    check_refused("RoiAlign", [_images(), BOXES, ITEMS], {"mode": "min"})


def _max_pooled(x: Any, rois: Any, bins: tuple[int, int], scale: float) -> Any:
    """By the definition: corners rounded, bins from floor to ceil, 0 for nothing."""
    out = np.zeros((len(rois), x.shape[1], *bins), x.dtype)
    for n, roi in enumerate(rois):
        left, top, right, bottom = np.floor(roi[1:] * scale + 0.5).astype(int)
        height, width = max(bottom - top + 1, 1), max(right - left + 1, 1)
        for i in range(bins[0]):
            for j in range(bins[1]):
                rows = np.clip([top + i * height // bins[0], top - (-(i + 1) * height // bins[0])], 0, x.shape[2])
                columns = np.clip([left + j * width // bins[1], left - (-(j + 1) * width // bins[1])], 0, x.shape[3])
                part = x[int(roi[0]), :, rows[0] : rows[1], columns[0] : columns[1]]
                if part.size:
                    out[n, :, i, j] = part.max((1, 2))
    return out


@pytest.mark.parametrize("bins", [(1, 1), (2, 3), (4, 2)], ids=str)
def test_max_roi_pool_takes_the_largest(bins: tuple[int, int]) -> None:
    """Of whole pixels."""
    rois = np.array([[0, 0, 0, 6, 7], [1, 2, 1, 5, 4], [1, 3, 3, 3, 3], [0, 4, 5, 14, 15]], np.float32)
    for scale in (1.0, 0.5):
        attributes = {"pooled_shape": list(bins), "spatial_scale": scale}
        check("MaxRoiPool", [_images(), rois], attributes, want=[_max_pooled(_images(), rois, bins, scale)])


@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
def test_roi_align_survives_any_box(coordinates: str) -> None:
    """MXNet's operator ends the process where a corner is no number, and never ends where a box is huge."""
    attributes = {"coordinate_transformation_mode": coordinates, "output_height": 2, "output_width": 2}
    inputs = [_images(), np.array([[np.nan, 0, 1, 1], [0, 0, np.inf, 2], [0, 0, 4, 4]], np.float32), np.array([0, 1, 1])]
    answer = backend.prepare(node_model("RoiAlign", inputs, attributes, opset=None, domain="", outputs=1)).run(inputs)[0]
    assert np.isnan(answer[:2]).all()
    assert np.isfinite(answer[2]).all()
    for box, item in (([0, 0, 1e9, 1], 0), ([0, 0, 1, 1], 5)):
        inputs = [_images(), np.array([box], np.float32), np.array([item])]
        with pytest.raises(InvalidInput):
            backend.prepare(node_model("RoiAlign", inputs, attributes, opset=None, domain="", outputs=1)).run(inputs)


def test_roi_align_of_boxes_that_are_nowhere() -> None:
    """Corners that are no numbers give some answer of the right shape and end nothing."""
    inputs = [np.ones((1, 1, 3, 3), np.float32), np.array([[np.nan, 0, 2, np.inf]], np.float32), np.array([0])]
    for mode in ("avg", "max"):
        model = node_model("RoiAlign", inputs, {"mode": mode}, opset=None, domain="", outputs=1)
        assert backend.prepare(model).run(inputs)[0].shape == (1, 1, 1, 1)


@pytest.mark.parametrize("ratio", [0, 2])
def test_roi_align_of_boxes_without_extent(ratio: int) -> None:
    """Wherever they are: MXNet's operator ends the process for a box that rounding leaves none. One turned around is as harmless."""
    places = [0, 3, 40, 3e4, 1e9, -1e30]
    boxes = np.array([*[[place, 0, place, 2] for place in places], [1e30, 0, 2, 2]], np.float32)
    inputs = [np.ones((1, 1, 4, 4), np.float32), boxes, np.zeros(len(boxes), np.int64)]
    model = node_model("RoiAlign", inputs, {"sampling_ratio": ratio}, opset=None, domain="", outputs=1)
    answers = backend.prepare(model).run(inputs)[0].ravel()
    assert answers[:-1] == pytest.approx([bool(ratio) * (place in (0, 3)) for place in places], abs=1e-4)


def test_roi_align_of_too_many_points_is_refused() -> None:
    """Boxes say how many points are read, so that one could ask for more memory than there is."""
    inputs = [np.ones((1, 1, 4, 4), np.float32), np.array([[0, 0, 16000, 16000]], np.float32), np.array([0])]
    check_refused("RoiAlign", inputs, {"mode": "max"})
