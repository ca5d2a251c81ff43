"""Promises of the operators that choose and replace elements by index tensors, known ones and ones that the run brings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onnx_import import backend
from onnx_import.errors import InvalidInput
from tests.unit.onnx_import.checking import check, check_refused, node_model

DTYPES = (
    "float16",
    "float32",
    "float64",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "bool",
    "string",
)
REDUCTIONS = ("add", "mul", "min", "max")


def _array(shape: tuple[int, ...], dtype: str = "float32", seed: int = 0) -> Any:
    random = np.random.default_rng(seed)
    if dtype == "string":
        return random.integers(0, 99, shape).astype(str).astype(object)
    return (random.standard_normal(shape) * 4).astype(np.int64 if dtype[0] in "uib" else dtype).astype(dtype)


def _indices(shape: tuple[int, ...], size: int, kind: str = "int64") -> Any:
    return np.random.default_rng(5).integers(-size, size, shape).astype(kind)


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_takes_slices_of_every_type(dtype: str, known: tuple[int, ...]) -> None:
    """Indices of any rank, counted from either end."""
    x = _array((3, 4, 5), dtype)
    check("Gather", [x, _indices((2, 6), 4)], {"axis": 1}, known=known)
    check("Gather", [x, _indices((9,), 5, "int32")], {"axis": -1}, known=known)


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("places", [2, [0, 1, 2], [3, 2, 1], [1, 1, 1], [0, 2, 1, 3, 0, 2], [-1], []], ids=str)
def test_gather_takes_places_in_any_order(places: Any, known: tuple[int, ...]) -> None:
    """Ranges, repetitions, one, none."""
    check("Gather", [_array((3, 4, 5)), np.array(places, np.int64)], {"axis": 1}, known=known)


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("dtype", ["float32", "bool", "uint8"])
@pytest.mark.parametrize("axis", [1, 2, 3], ids=str)
def test_gather_takes_much_by_rows(axis: int, dtype: str, known: tuple[int, ...]) -> None:
    """Along any axis but the first MXNet is slow, so that large tensors are gathered another way."""
    x = _array((3, 10, 12, 14), dtype)
    check("Gather", [x, _indices((4, 9), 10)], {"axis": axis}, known=known)


@pytest.mark.parametrize("known", [(0,), (0, 1)], ids=["pending", "known"])
def test_gather_takes_from_constants(known: tuple[int, ...]) -> None:
    """A table of embeddings."""
    check("Gather", [_array((7, 3)), _indices((2, 5), 7)], known=known)


def test_indices_out_of_bounds_are_told() -> None:
    """At once where they are known, else when the graph runs: nothing else is taken in their place."""
    x = _array((3, 4))
    for op, index in (("Gather", [7]), ("GatherElements", [[-4, 0, 0, 0]]), ("GatherND", [[1, 9]])):
        model = node_model(op, [x, np.array(index)], {}, opset=None, domain="", outputs=1)
        with pytest.raises(InvalidInput):
            backend.prepare(model).run([x, np.array(index)])
    model = node_model("ScatterND", [x, np.array([[9]]), x[:1]], {}, opset=None, domain="", outputs=1)
    with pytest.raises(InvalidInput):
        backend.prepare(model).run([x, np.array([[9]]), x[:1]])


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gather_elements_takes_one_for_each_index(dtype: str, known: tuple[int, ...]) -> None:
    """Along each axis, of fewer places than the tensor has too."""
    x = _array((3, 4, 5), dtype)
    for axis in (0, 1, -1):
        places = _indices((2, 3, 4), x.shape[axis])
        part = x[tuple(slice(None) if i == axis % 3 else slice(size) for i, size in enumerate(places.shape))]
        check("GatherElements", [x, places], {"axis": axis}, known=known, want=[np.take_along_axis(part, places, axis)])


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize(
    ("shape", "indices", "batch"),
    [
        ((3, 4, 5), (2, 3, 2), 0),
        ((3, 4, 5), (6, 3), 0),
        ((2, 3, 4, 5), (2, 3, 1), 1),
        ((2, 3, 4), (2, 3, 1), 2),
        ((4, 4), (2,), 0),
    ],
    ids=str,
)
def test_gather_nd_takes_tuples(shape: tuple[int, ...], indices: tuple[int, ...], batch: int, known: tuple[int, ...]) -> None:
    """Elements and slices, for each batch item its own."""
    check("GatherND", [_array(shape), _indices(indices, 3)], {"batch_dims": batch}, known=known)


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_scatter_replaces_elements_of_every_type(dtype: str, known: tuple[int, ...]) -> None:
    """Each place once, as ONNX wants it."""
    x, updates = _array((3, 4, 5), dtype), _array((3, 2, 5), dtype, 1)
    places = np.argsort(np.random.default_rng(0).random((3, 4, 5)), axis=1)[:, :2] - 4
    want = x.copy()
    np.put_along_axis(want, places, updates, 1)
    check("ScatterElements", [x, places, updates], {"axis": 1}, known=known, want=[want])
    if dtype == "float32":
        check("Scatter", [x, places, updates], {"axis": 1}, opset=9, known=known, want=[want])


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_scatter_combines_what_comes_to_one_place(dtype: str, reduction: str, known: tuple[int, ...]) -> None:
    """Many updates of one element, in one tensor with places that get none."""
    x, updates = _array((3, 4), dtype), _array((9, 4), dtype, 1)
    check("ScatterElements", [x, _indices((9, 4), 3), updates], {"reduction": reduction}, known=known)
    rows = _array((6, 2, 4), dtype, 2)
    check("ScatterND", [_array((5, 2, 4), dtype), _indices((6, 1), 5), rows], {"reduction": reduction}, known=known, rtol=1e-4)


@pytest.mark.parametrize("known", [(), (1,)], ids=["pending", "known"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_scatter_nd_replaces_slices(dtype: str, known: tuple[int, ...]) -> None:
    """Rows, and elements."""
    x = _array((5, 3, 2), dtype)
    check("ScatterND", [x, np.array([[3], [-5]]), _array((2, 3, 2), dtype, 1)], known=known)
    check("ScatterND", [x, np.array([[[4, 0, 1]], [[0, -1, -2]]]), _array((2, 1), dtype, 1)], known=known)


def test_scatter_of_nothing_changes_nothing() -> None:
    """No updates at all."""
    x = _array((3, 4))
    check("ScatterElements", [x, np.zeros((0, 4), np.int64), _array((0, 4))])
    check("ScatterND", [x, np.zeros((0, 1), np.int64), _array((0, 4))], {"reduction": "add"})


def test_scatter_refuses_what_does_not_fit() -> None:
    """Updates of another shape than their indices, and unknown reductions."""
    x = _array((3, 4))
    check_refused("ScatterElements", [x, np.zeros((1, 4), np.int64), _array((2, 4))])
    check_refused("ScatterND", [x, np.zeros((2, 1), np.int64), _array((2, 3))])
    check_refused("ScatterND", [x, np.zeros((1, 1), np.int64), _array((1, 4))], {"reduction": "median"})
    check_refused("GatherND", [x, np.zeros((1, 3), np.int64)])


@pytest.mark.parametrize("known", [(), (2,)], ids=["pending", "known"])
@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [1, -2], ids=str)
def test_tensor_scatter_writes_into_a_cache(axis: int, mode: str, known: tuple[int, ...]) -> None:
    """From each item's own place on."""
    cache, shape = _array((3, 6, 6, 2)), [3, 6, 6, 2]
    shape[axis] = 3
    start = np.array([0, 3, 2] if mode == "linear" else [5, 0, 4])
    check("TensorScatter", [cache, _array(tuple(shape), seed=1), start], {"axis": axis, "mode": mode}, known=known)
    check("TensorScatter", [cache, _array(tuple(shape), seed=1)], {"axis": axis, "mode": mode})
