"""NonMaxSuppression: the best boxes of each class that do not overlap a better one."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx_import.dtypes import Array


def non_max_suppression(
    boxes: Array,
    scores: Array,
    limit: Array | None = None,
    iou_threshold: Array | None = None,
    score_threshold: Array | None = None,
    *,
    center_point_box: int,
) -> tuple[Array]:
    """Rows of batch, class and box index, best first within a class; of equal scores the lower index is the better."""
    most = int(_first(limit, 0))
    overlap = boxes.dtype.type(_first(iou_threshold, 0))
    least = _first(score_threshold, None)
    rows = [np.empty((0, 3), dtype=np.int64)]
    for batch in range(len(boxes) if most > 0 else 0):
        corners = _corners(boxes[batch], center_point_box)
        for kind in range(scores.shape[1]):
            points = scores[batch, kind]
            candidates = np.arange(len(points)) if least is None else np.flatnonzero(points > least)
            order = candidates[np.argsort(-points[candidates], kind="stable")]
            kept = _suppress(corners[:, order], most, overlap)
            rows.append(np.array([(batch, kind, order[place]) for place in kept], dtype=np.int64).reshape(-1, 3))
    return (np.concatenate(rows),)


def _suppress(corners: Array, most: int, overlap: Any) -> list[int]:
    """Places of the boxes to keep, among boxes ordered from the best to the worst."""
    y1, x1, y2, x2 = corners
    areas = (x2 - x1) * (y2 - y1)
    left = np.arange(corners.shape[1])
    kept: list[int] = []
    while left.size and len(kept) < most:
        best, left = left[0], left[1:]
        kept.append(int(best))
        width = np.minimum(x2[best], x2[left]) - np.maximum(x1[best], x1[left])
        height = np.minimum(y2[best], y2[left]) - np.maximum(y1[best], y1[left])
        common = np.where((width > 0) & (height > 0), width * height, 0)
        union = areas[best] + areas[left] - common
        solid = (common > 0) & (areas[best] > 0) & (areas[left] > 0) & (union > 0)
        ratio = np.divide(common, union, out=np.zeros_like(common), where=solid)
        left = left[~(solid & (ratio > overlap))]
    return kept


def _corners(boxes: Array, center_point_box: int) -> Array:
    """Rows of smallest y and x, and largest y and x."""
    if center_point_box:
        x, y, half_width, half_height = boxes[:, 0], boxes[:, 1], boxes[:, 2] / 2, boxes[:, 3] / 2
        return np.stack([y - half_height, x - half_width, y + half_height, x + half_width])
    y1, x1, y2, x2 = boxes.T
    return np.stack([np.minimum(y1, y2), np.minimum(x1, x2), np.maximum(y1, y2), np.maximum(x1, x2)])


def _first(array: Array | None, default: float | None) -> Any:
    return default if array is None or not array.size else array.reshape(-1)[0]
