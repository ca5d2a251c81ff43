"""Convolution and pooling: against sums written out, and within bounded memory."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from onnx_import.oracle import windows
from tests.unit.onnx_import.oracle.asking import ask

DRAW = np.random.default_rng(0)


def plain_conv(x: Any, w: Any, strides: tuple[int, int], pads: tuple[int, int, int, int], group: int, dilations: Any) -> Any:
    """A convolution as its definition reads."""
    x = np.pad(x, [(0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])]).astype(np.float64)
    sizes = [(n - (k - 1) * d - 1) // s + 1 for n, k, d, s in zip(x.shape[2:], w.shape[2:], dilations, strides, strict=True)]
    y = np.zeros((len(x), len(w), *sizes))
    depth, each = w.shape[1], len(w) // group
    for m, i, j in itertools.product(range(len(w)), *map(range, sizes)):
        for c, p, q in itertools.product(*map(range, w.shape[1:])):
            at = (i * strides[0] + p * dilations[0], j * strides[1] + q * dilations[1])
            y[:, m, i, j] += w[m, c, p, q] * x[:, m // each * depth + c, at[0], at[1]]
    return y


@pytest.mark.parametrize(
    ("channels", "group", "kernel", "strides", "pads", "dilations"),
    [
        (4, 1, (3, 2), (1, 1), (0, 0, 0, 0), (1, 1)),
        (4, 2, (3, 3), (2, 1), (1, 0, 2, 1), (1, 1)),
        (4, 4, (3, 3), (2, 2), (1, 1, 1, 1), (1, 2)),
        (4, 1, (1, 1), (1, 2), (0, 0, 0, 0), (1, 1)),
    ],
    ids=["plain", "groups", "depthwise", "one-by-one"],
)
def test_conv_is_the_sum_of_its_definition(
    channels: int, group: int, kernel: Any, strides: Any, pads: Any, dilations: Any
) -> None:
    """Groups, strides, padding and dilations, and a bias on top."""
    x = DRAW.standard_normal((2, channels, 9, 8)).astype(np.float32)
    w = DRAW.standard_normal((8, channels // group, *kernel)).astype(np.float32)
    b = DRAW.standard_normal(8).astype(np.float32)
    got = ask("Conv", [x, w, b], 11, group=group, strides=strides, pads=pads, dilations=dilations)
    np.testing.assert_allclose(got, plain_conv(x, w, strides, pads, group, dilations) + b[:, None, None], rtol=1e-4, atol=1e-5)


def test_conv_in_slabs_gives_what_it_gives_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture is convolved slab by slab, without a seam."""
    x, w = DRAW.standard_normal((1, 3, 20, 20)), DRAW.standard_normal((2, 3, 3, 3))
    whole = ask("Conv", [x, w], 11, strides=[2, 2])
    monkeypatch.setattr(windows, "SLAB", 600)
    np.testing.assert_allclose(ask("Conv", [x, w], 11, strides=[2, 2]), whole, rtol=1e-12)


@pytest.mark.parametrize(
    ("auto_pad", "want"), [("SAME_UPPER", [3, 5, 7, 4]), ("SAME_LOWER", [1, 3, 5, 7]), ("VALID", [3, 5, 7])]
)
def test_auto_pad_puts_the_odd_one_where_it_says(auto_pad: str, want: list[float]) -> None:
    """An even kernel over four elements needs one more: after, before, or none."""
    x, w = np.array([[[1, 2, 3, 4]]], np.float32), np.ones((1, 1, 2), np.float32)
    assert ask("Conv", [x, w], 11, auto_pad=auto_pad).ravel().tolist() == want


def test_max_pool_says_where_the_largest_lies() -> None:
    """Indices count through all samples and channels; of equals the first counts."""
    x = np.zeros((1, 2, 4, 4), np.float32)
    x[0, 0, 1, 2] = x[0, 1, 3, 3] = 1
    y, index = ask("MaxPool", [x], 12, outputs=2, kernel_shape=[2, 2], strides=[2, 2])
    assert y.ravel().tolist() == [0, 1, 0, 0, 0, 0, 0, 1]
    assert index.ravel().tolist() == [0, 6, 8, 10, 16, 18, 24, 31]


def test_max_pool_counts_by_columns_where_asked() -> None:
    """storage_order=1 counts down the columns."""
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    assert ask("MaxPool", [x], 12, outputs=2, kernel_shape=[4, 4], storage_order=1)[1].item() == 15
    x[0, 0, 0, 3] = 99
    assert ask("MaxPool", [x], 12, outputs=2, kernel_shape=[4, 4], storage_order=1)[1].item() == 12


def test_ceil_mode_adds_a_window_that_starts_inside_only() -> None:
    """Seven elements by stride three: the third window is cut short; a fourth would start beyond."""
    x = np.arange(7, dtype=np.float32).reshape(1, 1, 7)
    assert ask("MaxPool", [x], 12, kernel_shape=[2], strides=[3], ceil_mode=1).ravel().tolist() == [1, 4, 6]
    assert ask("AveragePool", [x], 19, kernel_shape=[2], strides=[3], ceil_mode=1).ravel().tolist() == [0.5, 3.5, 6]


@pytest.mark.parametrize(("include", "want"), [(0, [1.5, 2, 2.5]), (1, [1, 2, 5 / 3])], ids=["input", "padding-too"])
def test_average_pool_divides_by_what_counts(include: int, want: list[float]) -> None:
    """Padding counts as zeros, or not at all."""
    x = np.array([[[1, 2, 3]]], np.float32)
    got = ask("AveragePool", [x], 11, kernel_shape=[3], pads=[1, 1], count_include_pad=include)
    assert got.ravel() == pytest.approx(want)


def test_max_pool_takes_bytes() -> None:
    """Padding is below every byte."""
    x = np.array([[[-7, -9]]], np.int8)
    assert ask("MaxPool", [x], 12, kernel_shape=[3], pads=[1, 1]).ravel().tolist() == [-7, -7]


def test_lp_pool_and_its_global_form_are_norms() -> None:
    """The 2-norm of 3 and 4 is 5."""
    x = np.array([[[3, 4]]], np.float32)
    assert ask("LpPool", [x], 18, kernel_shape=[2], p=2).ravel() == pytest.approx([5])
    assert ask("GlobalLpPool", [x], 2, p=2).ravel() == pytest.approx([5])


@pytest.mark.parametrize("op", ["GlobalMaxPool", "GlobalAveragePool"])
def test_global_pools_keep_the_rank(op: str) -> None:
    """One element a channel, at any number of axes."""
    assert ask(op, [np.ones((2, 3, 4), np.float32)], 1).shape == (2, 3, 1)
