"""Suppression of boxes; `ops/test_selection.py` compares with ONNX's evaluator."""

from __future__ import annotations

import time

import numpy as np

from onnx_import.host.boxes import non_max_suppression

BOXES = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, 2, 1, 3]]], dtype=np.float32)
SCORES = np.array([[[0.5, 0.9, -np.inf]]], dtype=np.float32)


def kept(limit: int | None, *thresholds: float) -> list[int]:
    """Indices of the boxes that stay."""
    given = [None if limit is None else np.array([limit]), *[np.array([t], dtype=np.float32) for t in thresholds]]
    return non_max_suppression(BOXES, SCORES, *given, center_point_box=0)[0][:, 2].tolist()


def test_defaults() -> None:
    """No limit means no box; without a score threshold any score will do."""
    assert kept(None) == []
    assert kept(5) == [1, 2]
    assert kept(1) == [1]
    assert kept(5, 0.9) == [1, 0, 2]
    assert kept(5, 0.9, 0.5) == [1]


def test_empty() -> None:
    """No boxes give no rows, of three columns still."""
    rows = non_max_suppression(
        np.zeros((1, 0, 4), np.float32), np.zeros((1, 2, 0), np.float32), np.array([3]), center_point_box=0
    )[0]
    assert (rows.shape, rows.dtype) == ((0, 3), np.int64)


def test_many_boxes_are_quick() -> None:
    """A detector's 8,400 boxes of 20 classes take well under a second."""
    chance = np.random.RandomState(1)
    boxes = chance.rand(1, 8400, 4).astype(np.float32) * 600
    boxes[..., 2:] = boxes[..., 2:] / 10 + 5
    start = time.process_time()
    given = [np.array([100]), np.array([0.5], np.float32), np.array([0.2], np.float32)]
    rows = non_max_suppression(boxes, chance.rand(1, 20, 8400).astype(np.float32), *given, center_point_box=1)[0]
    assert len(rows) == 2000
    assert time.process_time() - start < 3
