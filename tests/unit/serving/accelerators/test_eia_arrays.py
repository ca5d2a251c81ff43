"""Views, counts of writes and params bytes of NDArrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serving.accelerators import eia_arrays
from serving.accelerators.errors import AcceleratorError
from serving.backends.mxnet_import import import_mxnet

mx: Any = import_mxnet()

WRITES: dict[str, Callable[[Any], Any]] = {
    "a slice": lambda a: a.__setitem__(slice(0, 1), 7),
    "an item": lambda a: a[1].__setitem__(2, 7),
    "numpy": lambda a: a.__setitem__(slice(None), np.full((2, 3), 7)),
    "host memory": lambda a: a._sync_copyfrom(np.full((2, 3), 7, "float32")),
    "a copy": lambda a: (mx.nd.ones((2, 3)) * 7).copyto(a),
    "in place": lambda a: a.__iadd__(7),
    "an operator's output": lambda a: mx.nd.elemwise_add(a, mx.nd.ones((2, 3)), out=a),
    "an optimizer": lambda a: mx.nd.sgd_update(a, mx.nd.ones((2, 3)), lr=0.1, out=a),
    "a view": lambda a: a.reshape((6,)).__setitem__(5, 7),
}


def test_a_view_is_the_memory_itself() -> None:
    """What MXNet writes shows in the view without a copy, in every dtype."""
    for dtype in ("float32", "float16", "float64", "int32", "int64", "int8", "uint8", "bool"):
        array = mx.nd.ones((2, 3), dtype=dtype)
        seen = eia_arrays.view(array)
        array[:] = 0
        eia_arrays.settle()
        assert (seen.dtype, seen.shape, seen.any()) == (np.dtype(dtype), (2, 3), False)


def test_a_sparse_array_has_no_view() -> None:
    """Sparse arrays are refused: there is no dense memory to send."""
    with pytest.raises(AcceleratorError, match="row_sparse arrays are not sent"):
        eia_arrays.view(mx.nd.sparse.zeros("row_sparse", (2, 3)))


def test_the_counter_is_found() -> None:
    """With this MXNet writes are counted, and nothing need be compared."""
    assert eia_arrays._offset() is not None


@pytest.fixture(params=["counted", "compared"])
def watching(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to notice a write."""
    if request.param == "compared":
        monkeypatch.setattr(eia_arrays, "_offset", lambda: None)


@pytest.mark.usefixtures("watching")
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_every_write_is_noticed(write: Callable[[Any], Any]) -> None:
    """However a parameter is changed in place, the counts are others afterwards, and only those of its array."""
    array, other = mx.nd.ones((2, 3)), mx.nd.ones((2, 3))
    writes = eia_arrays.Writes([array, other])
    before = writes.counts()
    write(array)
    eia_arrays.settle()
    after = writes.counts()
    assert (after[0] != before[0], after[1] == before[1]) == (True, True)


@pytest.mark.usefixtures("watching")
def test_reading_is_not_writing() -> None:
    """A parameter that is read, computed with and copied is not sent again."""
    array = mx.nd.ones((2, 3))
    writes = eia_arrays.Writes([array])
    before = writes.counts()
    (array + array).asnumpy()
    array.copy().asnumpy()
    mx.sym.var("a").bind(mx.cpu(), {"a": array}).forward()[0].asnumpy()
    eia_arrays.settle()
    assert writes.counts() == before


def test_params_bytes_are_what_mxnet_writes(tmp_path: Any) -> None:
    """The bytes are those of `mx.nd.save`, whatever the dtypes and ranks, and MXNet reads them back."""
    arrays = {
        "arg:w": mx.nd.array(np.random.RandomState(0).rand(3, 4)),
        "aux:mean": mx.nd.array([1, 2], dtype="float16"),
        "arg:ids": mx.nd.array([[[5]]], dtype="int64"),
        "arg:ü": mx.nd.array([True, False], dtype="bool"),
    }
    found = eia_arrays.params_bytes(arrays)
    mx.nd.save(str(tmp_path / "p"), arrays)
    assert found == (tmp_path / "p").read_bytes()
    read = mx.nd.load_frombuffer(found)
    assert {name: array.asnumpy().tolist() for name, array in read.items()} == {
        name: array.asnumpy().tolist() for name, array in arrays.items()
    }
