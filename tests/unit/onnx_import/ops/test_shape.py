"""Promises of the operators that ask for sizes and give the same elements another shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.onnx_import.checking import check, check_refused

DTYPES = ("float16", "float32", "float64", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool")


def _array(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    if dtype == "string":
        return random.integers(0, 99, shape).astype(str).astype(object)
    return (random.standard_normal(shape) * 50).astype(np.int64 if dtype[0] in "uib" else dtype).astype(dtype)


def _ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)], ids=str)
def test_sizes_are_constants(shape: tuple[int, ...]) -> None:
    """Shape and Size answer for every rank, and for tensors of nothing."""
    x = _array(shape)
    check("Shape", [x])
    check("Shape", [x], opset=1)
    check("Shape", [x], {"start": 1, "end": -1})
    check("Size", [x])


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((2, 3, 4), (4, -1)),
        ((2, 3), (0, 3, 1)),
        ((6,), (3, 2)),
        ((), (1, 1)),
        ((0, 3), (0, -1)),
        ((2, 3), (2, 0, -1)),
        ((2, 3), (1, 1, 1, 1, 1, 1, 1, 1, 2, -1)),
    ],
    ids=str,
)
def test_reshape_keeps_the_elements_in_order(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """0 copies a size, -1 fills up."""
    x = _array(shape)
    if 0 not in shape:
        check("Reshape", [x, _ints(*wanted)], known=[1])
        check(
            "Reshape",
            [x],
            {"shape": list(wanted)},
            opset=1,
            want=[x.reshape([x.shape[i] if s == 0 else s for i, s in enumerate(wanted)])],
        )
    check("Reshape", [np.zeros((0, 4), np.float32), _ints(4, 0)], {"allowzero": 1})


@pytest.mark.parametrize("wanted", [(7,), (-1, 5), (2, 3, 0)], ids=str)
def test_reshape_refuses_what_does_not_fit(wanted: tuple[int, ...]) -> None:
    """A shape of other many elements is an error."""
    check_refused("Reshape", [_array((2, 3)), _ints(*wanted)])


def test_the_same_node_serves_any_batch() -> None:
    """A model traced for one batch size gives MXNet a shape that holds for others."""
    prepared = check("Reshape", [_array((2, 3, 4)), _ints(0, 12)], known=[1])
    assert '"shape": "(0, -1)"' in prepared.program.last[0].stages[0].text


@pytest.mark.parametrize("axis", [0, 1, 2, 3, -1, -3], ids=str)
def test_flatten_makes_a_matrix(axis: int) -> None:
    """The axes before `axis` are rows, the others columns."""
    check("Flatten", [_array((2, 3, 4))], {"axis": axis})


@pytest.mark.parametrize(
    ("shape", "axes"), [((1, 3, 1), [0]), ((1, 3, 1), [0, -1]), ((1, 3, 1), None), ((1, 1), None)], ids=str
)
def test_squeeze_takes_axes_of_size_one_out(shape: tuple[int, ...], axes: list[int] | None) -> None:
    """Those named, by attribute or input, or all."""
    x = _array(shape)
    attributes = {} if axes is None else {"axes": axes}
    want = np.squeeze(x, None if axes is None else tuple(axes))
    check("Squeeze", [x], attributes, opset=11, want=[want])
    check("Squeeze", [x] if axes is None else [x, _ints(*axes)], want=[want])


@pytest.mark.parametrize("axes", [[0], [-1], [0, 2], [1, -1], [3, 0]], ids=str)
def test_unsqueeze_puts_axes_in(axes: list[int]) -> None:
    """Axes count in the result."""
    x = _array((3, 4))
    want = np.expand_dims(x, tuple(axes))
    check("Unsqueeze", [x], {"axes": axes}, opset=11, want=[want])
    check("Unsqueeze", [x, _ints(*axes)], known=[1])


@pytest.mark.parametrize("op", ["Squeeze", "Unsqueeze"])
def test_axes_that_there_are_not_are_refused(op: str) -> None:
    """An axis beyond the rank, twice the same, or of another size than 1."""
    check_refused(op, [_array((2, 1)), _ints(5)])
    check_refused(op, [_array((1, 1)), _ints(0, 0)])
    check_refused("Squeeze", [_array((2, 1)), _ints(0)])


@pytest.mark.parametrize("dtype", [*DTYPES, "string"])
@pytest.mark.parametrize("perm", [None, [1, 2, 0], [0, 2, 1]], ids=str)
def test_transpose_orders_axes_of_every_type(dtype: str, perm: list[int] | None) -> None:
    """Numbers, truth values and texts."""
    check("Transpose", [_array((2, 3, 4), dtype)], {} if perm is None else {"perm": perm})


@pytest.mark.parametrize("perm", [[6, 0, 1, 2, 3, 4, 5], [7, 0, 1, 5, 3, 4, 6, 2], [2, 1, 0, 3, 4, 5, 7, 6]], ids=str)
def test_transpose_orders_more_axes_than_mxnet_has(perm: list[int]) -> None:
    """MXNet has six."""
    check("Transpose", [_array((2, 3, 1, 2, 2, 3, 2, 2)[: len(perm)])], {"perm": perm})


@pytest.mark.parametrize("dtype", ["float32", "bool", "uint64", "string"])
@pytest.mark.parametrize(
    ("shape", "wanted"), [((3, 1), (2, 1, 4)), ((), (2, 3)), ((1,), (0,)), ((2, 3), (1,)), ((2, 1), (2, 1))], ids=str
)
def test_expand_broadcasts_both_ways(dtype: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """A size of 1 on either side gives way."""
    if dtype == "string" and 0 in wanted:
        pytest.skip("no text of no elements")
    x = _array(shape, dtype)
    check("Expand", [x, _ints(*wanted)], known=[1], want=[np.broadcast_to(x, np.broadcast_shapes(shape, wanted))])


@pytest.mark.parametrize("dtype", ["float32", "bool", "string"])
@pytest.mark.parametrize("repeats", [(2, 1, 3), (1, 1, 1), (1, 4, 1), (0, 2, 1)], ids=str)
def test_tile_repeats_along_axes(dtype: str, repeats: tuple[int, ...]) -> None:
    """Also no times."""
    x = _array((2, 3, 4), dtype)
    check("Tile", [x, _ints(*repeats)], known=[1], want=[np.tile(x, repeats)])


def test_tile_repeats_along_one_axis_at_first() -> None:
    """Opset 1 has a count and an axis."""
    x = _array((2, 3))
    check("Tile", [x, np.float32([3]), np.float32([1])], opset=1, want=[np.tile(x, (1, 3))])


@pytest.mark.parametrize("dtype", [*DTYPES, "string"])
def test_concat_joins_every_type(dtype: str) -> None:
    """Numbers, truth values and texts, along axes from both ends."""
    parts = [_array((2, size, 3), dtype, size) for size in (1, 2, 4)]
    check("Concat", parts, {"axis": 1})
    check("Concat", parts, {"axis": -2}, known=[1])


def test_concat_passes_over_what_is_empty() -> None:
    """Nothing adds nothing."""
    check("Concat", [_array((2, 3)), _array((0, 3)), _array((1, 3))], {"axis": 0})
    check("Concat", [_array((2, 0)), _array((2, 0))], {"axis": 1})
    check_refused("Concat", [_array((2, 3)), _array((2, 4))], {"axis": 0})


def test_concat_goes_along_axis_one_at_first() -> None:
    """Opset 1 has a default."""
    x = _array((2, 3))
    check("Concat", [x, x], opset=1, want=[np.concatenate([x, x], 1)])


def test_concat_joins_more_axes_than_mxnet_has() -> None:
    """oneDNN has six."""
    x = _array((2, 1, 2, 1, 3, 2, 2, 1))
    check("Concat", [x, x + 1], {"axis": 4})


@pytest.mark.parametrize("axis", [0, 1, -1], ids=str)
def test_split_cuts_along_an_axis(axis: int) -> None:
    """Into equal pieces, into given ones, and with a smaller last one."""
    x = _array((4, 6, 8))
    length = x.shape[axis]
    check("Split", [x], {"axis": axis}, opset=13, outputs=2)
    check("Split", [x, _ints(1, 0, length - 1)], {"axis": axis}, outputs=3)
    check("Split", [x], {"axis": axis, "num_outputs": 3}, outputs=3)
    pieces = np.split(x, [1], axis)
    check("Split", [x], {"axis": axis, "split": [1, length - 1]}, opset=2, outputs=2, want=pieces)
    check("Split", [x], {"axis": axis, "split": [1, length - 1]}, opset=1, outputs=2, want=pieces)


def test_split_refuses_pieces_that_do_not_make_up_the_whole() -> None:
    """Equal pieces that do not divide, and sizes whose sum is another."""
    check_refused("Split", [_array((5, 2))], {}, opset=13, outputs=2)
    check_refused("Split", [_array((5, 2)), _ints(2, 2)], outputs=2)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_and_space_are_exchanged(mode: str) -> None:
    """Either order of block and channel; one undoes the other."""
    x = _array((2, 12, 3, 2))
    prepared = check("DepthToSpace", [x], {"blocksize": 2, "mode": mode}, opset=13)
    check("SpaceToDepth", [prepared.run([x])[0]], {"blocksize": 2, "mode": mode}, want=[x])


def test_blocks_must_fit() -> None:
    """Channels that make no blocks are refused."""
    check_refused("DepthToSpace", [_array((1, 6, 2, 2))], {"blocksize": 2})
    check_refused("SpaceToDepth", [_array((1, 1, 3, 2))], {"blocksize": 2})


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_concat_interleaves(dtype: str) -> None:
    """Many tensors of size 1 along the last axis go another way, as does one long last axis."""
    check("Concat", [_array((2, 40, 30, 1), dtype, seed) for seed in range(3)], {"axis": -1})
    check("Concat", [_array((2, 40, 30), dtype), _array((2, 40, 7), dtype, 1)], {"axis": 2})
