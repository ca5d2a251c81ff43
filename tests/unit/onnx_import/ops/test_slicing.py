"""Promises of Slice, Pad and CenterCropPad: numpy's slices and pads, of every type and rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from onnx_import import backend
from tests.unit.onnx_import.checking import check, check_refused

LAST = np.iinfo(np.int64).max
FIRST = np.iinfo(np.int64).min


def _array(shape: tuple[int, ...], dtype: str = "float32") -> Any:
    random = np.random.default_rng(3)
    if dtype == "string":
        return random.integers(0, 99, shape).astype(str).astype(object)
    return (random.standard_normal(shape) * 50).astype(np.int64 if dtype[0] in "uib" else dtype).astype(dtype)


def _ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


CUTS = {
    "middle": ([1, 0], [3, 2], [0, 1], [1, 1]),
    "from the end": ([-3, -2], [-1, LAST], [0, 2], [1, 1]),
    "steps": ([0, 1], [LAST, LAST], [1, 2], [2, 3]),
    "backwards": ([LAST, 3], [FIRST, 0], [-1, 0], [-2, -1]),
    "all backwards": ([-1], [-99], [1], [-1]),
    "nothing": ([2], [2], [1], [1]),
    "beyond": ([-99], [99], [0], [1]),
}


@pytest.mark.parametrize("dtype", ["float32", "bool", "int64", "uint8", "float16", "string"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_slice_takes_ranges(cut: tuple[list[int], ...], dtype: str) -> None:
    """Starts and ends are clamped, steps may go back."""
    x = _array((4, 5, 6), dtype)
    starts, ends, axes, steps = cut
    index = [slice(None)] * 3
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    want = x[tuple(index)]
    if not want.size and dtype == "string":
        pytest.skip("no text of no elements")
    check("Slice", [x, *(_ints(*numbers) for numbers in cut)], known=[1, 2, 3, 4], want=[want])


@pytest.mark.parametrize("channels", [8, 24, 40])
@pytest.mark.parametrize("cut", [(0, 1), (1, 8), (0, 4), (4, 8)], ids=str)
def test_slice_cuts_channels_of_a_convolution_anywhere(channels: int, cut: tuple[int, int]) -> None:
    """oneDNN lays 8 or 16 channels side by side: a part of one block is cut out of the plain layout."""
    nodes = "c = Conv (x, w) r = Relu (c) y = Slice (r, s, e, a)"
    proto = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[1, 3, 6, 6] x) => (float[1, n, h, w] y) {{ {nodes} }}'
    )
    weights = _array((channels, 3, 3, 3)) / 50
    given = {"w": weights, "s": _ints(cut[0], 1), "e": _ints(cut[1], 4), "a": _ints(1, 3)}
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in given.items())
    x = _array((1, 3, 6, 6)) / 50
    (want,) = ReferenceEvaluator(proto).run(None, {"x": x})
    (got,) = backend.prepare(proto).run({"x": x})
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_slice_takes_bounds_from_attributes_or_inputs() -> None:
    """Attributes at first; inputs, of either width of integer, that the trace makes static later."""
    x = _array((4, 5, 6))
    check("Slice", [x], {"starts": [1, -2], "ends": [3, 99], "axes": [0, 2]}, opset=1, want=[x[1:3, :, -2:]])
    check("Slice", [x], {"starts": [1, 2], "ends": [3, 4]}, opset=1, want=[x[1:3, 2:4]])
    for kind in (np.int32, np.int64):
        check("Slice", [x, np.array([1], kind), np.array([4], kind)])
        check("Slice", [x, np.array([4], kind), np.array([0], kind), np.array([1], kind), np.array([-1], kind)])


def test_slice_cuts_more_axes_than_mxnet_has() -> None:
    """MXNet has five."""
    x = _array((2, 3, 2, 3, 2, 3, 2))
    check("Slice", [x, _ints(1, 0, 2), _ints(9, 1, -9), _ints(1, 2, 5), _ints(1, 1, -1)], known=[1, 2, 3, 4])


def test_slice_refuses_what_is_no_slice() -> None:
    """A step of 0, and axes that there are not."""
    check_refused("Slice", [_array((3,)), _ints(0), _ints(2), _ints(0), _ints(0)])
    check_refused("Slice", [_array((3,)), _ints(0), _ints(2), _ints(1)])


PADS = {
    "all sides": (1, 2, 0, 0, 1, 3),
    "front": (0, 0, 2, 0, 0, 0),
    "first axis": (3, 0, 0, 1, 0, 0),
    "none": (0, 0, 0, 0, 0, 0),
}


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "wrap"])
@pytest.mark.parametrize("pads", PADS.values(), ids=PADS)
@pytest.mark.parametrize("shape", [(4, 5, 6), (2, 3, 4, 5, 6)], ids=str)
def test_pad_puts_more_around(shape: tuple[int, ...], pads: tuple[int, ...], mode: str) -> None:
    """As numpy.pad does, of three axes and of five."""
    rank = len(shape)
    before, after = [*pads[:3], *[1] * (rank - 3)], [*pads[3:], *[0] * (rank - 3)]
    x = _array(shape)
    want = np.pad(x, list(zip(before, after, strict=True)), mode=mode)  # type: ignore[call-overload]
    check("Pad", [x, _ints(*before, *after)], {"mode": mode}, known=[1], want=[want])
    if mode != "wrap":
        check("Pad", [x], {"mode": mode, "pads": before + after}, opset=2, want=[want])


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect"])
@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "uint8", "uint64", "bool", "string", "int16"])
def test_pad_takes_every_type(dtype: str, mode: str) -> None:
    """Numbers, truth values and texts."""
    x = _array((3, 4), dtype)
    number = np.array({"b": True, "s": "x"}.get(dtype[0], 7), object if dtype == "string" else dtype)
    options = {"constant_values": number.tolist()} if mode == "constant" else {}
    want = np.pad(x, [(1, 0), (2, 3)], mode=mode, **options)  # type: ignore[call-overload]
    check("Pad", [x, _ints(1, 2, 0, 3), number], {"mode": mode}, known=[1], want=[want])


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, -2.5], ids=str)
def test_pad_takes_every_number(number: float) -> None:
    """The ones that are none among them."""
    for shape in ((1, 2, 3, 3), (2, 3)):
        widths = [(0, 0)] * (len(shape) - 1) + [(1, 2)]
        pads = [a for a, _ in widths] + [b for _, b in widths]
        x = _array(shape)
        want = np.pad(x, widths, constant_values=number)
        check("Pad", [x, _ints(*pads), np.float32(number)], known=[1], want=[want])


def test_pad_keeps_numbers_that_are_no_doubles() -> None:
    """64 bits are 64 bits."""
    x = np.array([[1, 2]], np.int64)
    check("Pad", [x, _ints(1, 0, 0, 0), np.array(2**62 + 1)], known=[1, 2])


def test_pad_takes_axes_and_negative_widths() -> None:
    """Less where a width is negative; other axes stay."""
    x = _array((4, 5, 6))
    check(
        "Pad",
        [x, _ints(-1, 2, 1, -2), None, _ints(0, -1)],
        known=[1, 3],
        want=[np.pad(x[1:], [(0, 1), (0, 0), (2, 0)])[..., :-2]],
    )
    check(
        "Pad",
        [x, _ints(-2, 1), None, _ints(1)],
        {"mode": "edge"},
        known=[1, 3],
        want=[np.pad(x[:, 2:], [(0, 0), (0, 1), (0, 0)], "edge")],
    )
    check("Pad", [np.zeros((0, 2), np.float32), _ints(1, 0, 1, 1), np.float32(3)], known=[1])
    check("Pad", [x, _ints(0, 0, 1, 0, 0, 1)])


def test_pad_refuses_what_does_not_fit() -> None:
    """Copies of nothing, and widths for other many axes."""
    check_refused("Pad", [np.zeros((0, 2), np.float32), _ints(1, 0, 0, 0)], {"mode": "edge"})
    check_refused("Pad", [_array((2, 2)), _ints(1, 0, 0)])
    check_refused("Pad", [_array((2, 2)), _ints(1, 0, 0, 0)], {"mode": "mirror"})
    check_refused("Pad", [np.zeros((0, 2), np.float32), _ints(1 << 60, 0, 0, 1 << 60)])
    check_refused("Pad", [np.zeros((0, 2), np.float32), _ints(0, 0, 0, 1 << 60)])
    check_refused("Pad", [_array((2, 2)), _ints(-3, 0, 1, 0)], {"mode": "edge"})


@pytest.mark.parametrize("sizes", [(2, 3), (3, 2), (9, 8), (8, 9), (2, 9), (5, 6)], ids=str)
def test_center_crop_pad_keeps_the_middle(sizes: tuple[int, int]) -> None:
    """Odd differences leave the larger half behind."""
    x = _array((5, 6))
    check("CenterCropPad", [x, _ints(*sizes)], known=[1])
    check("CenterCropPad", [_array((2, 5, 6)), _ints(*sizes)], {"axes": [-2, -1]})
