"""Operators whose output sizes follow from values, against ONNX's evaluator."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import OnnxImportError
from tests.unit.onnx_import.checking import check

DTYPES = ["float32", "int64", "bool", "uint8"]


def numbers(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Few different numbers, many of them 0."""
    return np.random.RandomState(seed).randint(0, 3, shape).astype(dtype)


@pytest.mark.parametrize("dtype", [*DTYPES, "float16"])
@pytest.mark.parametrize("shape", [(), (0,), (4,), (3, 4), (2, 1, 3)], ids=str)
def test_non_zero(shape: tuple[int, ...], dtype: str) -> None:
    """Indices of what is not 0."""
    check("NonZero", [numbers(shape, dtype)])


@pytest.mark.parametrize("dtype", [*DTYPES, "object"])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("condition", [[True, False, True], [False], [False, False, False], []], ids=str)
def test_compress(condition: list[bool], axis: int | None, dtype: str) -> None:
    """Slices where the condition holds; beyond its end nothing does."""
    x = numbers((3, 2, 4), "int64")
    x = np.array(list("abc"), dtype=object)[x] if dtype == "object" else x.astype(dtype)
    check("Compress", [x, np.array(condition, dtype=bool)], {} if axis is None else {"axis": axis})


@pytest.mark.parametrize("dtype", ["float32", "int64", "int8", "uint64", "object"])
@pytest.mark.parametrize("attributes", [{}, {"axis": 0}, {"axis": -1, "sorted": 1}, {"axis": 0, "sorted": 0}], ids=str)
def test_unique(attributes: dict[str, int], dtype: str) -> None:
    """Values or slices, first places, inverse and counts."""
    x = numbers((4, 3), "int64", 1)
    x = np.array(list("abc"), dtype=object)[x] if dtype == "object" else x.astype(dtype)
    axis = attributes.get("axis")
    if dtype == "object" and axis is not None:
        rows = np.unique(numbers((4, 3), "int64", 1), axis=axis)  # numpy orders numbers alone by slices
        got = check("Unique", [x], {**attributes, "sorted": 1}, outputs=4, want=_unique(x, axis))
        assert rows.shape == got.run({"x0": x})[0].shape
        return
    check("Unique", [x], attributes, outputs=4)


def _unique(x: np.ndarray, axis: int) -> list[Any]:
    """numpy's answer for letters, through their codes."""
    codes = np.vectorize(ord)(x)
    rows, first, inverse, counts = np.unique(codes, True, True, True, axis=axis)
    return [np.vectorize(chr, otypes=[object])(rows), first, inverse.reshape(-1), counts]


@pytest.mark.parametrize("center", [0, 1])
@pytest.mark.parametrize("seed", range(3))
def test_non_max_suppression(seed: int, center: int) -> None:
    """Random boxes with equal scores among them, two batches, two classes."""
    chance = np.random.RandomState(seed)
    boxes = chance.rand(2, 30, 4).astype(np.float32)
    scores = (chance.randint(0, 8, (2, 2, 30)) / 8).astype(np.float32)
    limits = [np.array([8]), np.array([0.3], np.float32), np.array([0.25], np.float32)]
    check("NonMaxSuppression", [boxes, scores, *limits], {"center_point_box": center})


def test_boxes_must_go_with_scores() -> None:
    """Boxes and scores of different counts are refused."""
    with pytest.raises(OnnxImportError, match="do not go with"):
        check("NonMaxSuppression", [np.zeros((1, 3, 4), np.float32), np.zeros((1, 1, 2), np.float32)], want=[])


def test_image_decoder() -> None:
    """A PNG gives its pixels."""
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.RandomState(0).randint(0, 255, (5, 4, 3)).astype(np.uint8)
    file = io.BytesIO()
    image.fromarray(pixels).save(file, "PNG")
    data = np.frombuffer(file.getvalue(), dtype=np.uint8)
    for pixel_format in ("RGB", "BGR", "Grayscale"):
        check("ImageDecoder", [data], {"pixel_format": pixel_format})


def test_other_counts_on_a_remembered_trace() -> None:
    """The same shapes with other values, and so other sizes of output, are traced anew and answered right."""
    prepared = check("NonZero", [np.array([1.0, 0, 2], np.float32)])
    for values in ([0, 0, 0], [1, 1, 1], [0, 5, 0]):
        x = np.array(values, np.float32)
        assert np.array_equal(prepared.run({"x0": x})[0], np.array(np.nonzero(x)))
