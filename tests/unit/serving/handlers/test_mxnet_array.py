"""Lazy NDArrays: MXNet's in every use, and no work for MXNet where only their values are read."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from serving.backends.mxnet_import import import_mxnet
from serving.handlers import mxnet_array

VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(scope="module")
def mx() -> Any:
    """MXNet, imported as the server does."""
    return import_mxnet()


@pytest.fixture
def array() -> Any:
    """A lazy array of two rows."""
    return mxnet_array.lazy(VALUES.copy())


def test_reading_makes_nothing(mx: Any, array: Any) -> None:
    """Values, shape, type, size and isinstance are answered without MXNet's memory; what is read may be changed."""
    assert isinstance(array, mx.nd.NDArray)
    assert (array.shape, array.dtype, array.size, array.ndim, len(array)) == ((2, 3), np.float32, 6, 2, 2)
    read = array.asnumpy()
    read += 1
    np.testing.assert_array_equal(array.asnumpy(), VALUES)
    assert array.made is None


@pytest.mark.parametrize(
    "use",
    [
        lambda mx, a: a[1],
        lambda mx, a: a[0:1],
        lambda mx, a: a.reshape((3, 2)),
        lambda mx, a: a.T,
        lambda mx, a: a + 1,
        lambda mx, a: mx.nd.softmax(a),
        lambda mx, a: a.argmax(axis=1),
        lambda mx, a: a.astype("float64"),
        lambda mx, a: a.copy(),
        lambda mx, a: a.as_in_context(mx.cpu()),
        lambda mx, a: mx.nd.concat(a, a, dim=0),
        lambda mx, a: a.detach(),
        lambda mx, a: a.expand_dims(0),
        lambda mx, a: mx.nd.array(a),
        lambda mx, a: a.asnumpy().tolist(),
        lambda mx, a: str(a),
        lambda mx, a: a.sum().asscalar(),
    ],
)
def test_every_use_is_an_ndarrays(use: Any, mx: Any, array: Any) -> None:
    """Operators, methods, slices and prints give what they give for an NDArray."""
    found, expected = use(mx, array), use(mx, mx.nd.array(VALUES))
    if isinstance(expected, mx.nd.NDArray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        found, expected = found.asnumpy(), expected.asnumpy()
    np.testing.assert_array_equal(found, expected)


def test_writing_into_it(mx: Any, array: Any) -> None:
    """After an operator wrote into it, it has what was written."""
    array[0] = 9
    array += 1
    np.testing.assert_array_equal(array.asnumpy(), [[10, 10, 10], [4, 5, 6]])
    assert array.asnumpy().sum() == array.sum().asscalar()


def test_assigned_into_other_arrays(mx: Any, array: Any) -> None:
    """A lazy array is assigned whole, by slices and by index, in either direction."""
    plain = mx.nd.zeros((2, 3))
    plain[:] = array
    np.testing.assert_array_equal(plain.asnumpy(), VALUES)
    plain[0] = array[1]
    np.testing.assert_array_equal(plain[0].asnumpy(), VALUES[1])
    array[:] = mx.nd.ones((2, 3))
    assert array.asnumpy().sum() == 6
    np.testing.assert_array_equal(plain[mxnet_array.lazy(np.array([1.0], np.float32))].asnumpy(), VALUES[1:])


def test_pickled(mx: Any, array: Any) -> None:
    """A copy through pickle is a plain NDArray of the same values."""
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array)).asnumpy(), VALUES)


def test_scalars_have_one_element(mx: Any) -> None:
    """MXNet has no arrays without axes: a number is an array of one."""
    assert mxnet_array.lazy(np.float32(3).reshape(())).asnumpy().tolist() == [3]


def test_values(mx: Any, array: Any) -> None:
    """The values of a lazy array, of Rows and of an NDArray are the same numbers."""
    for one in (array, mxnet_array.rows(VALUES), mx.nd.array(VALUES)):
        np.testing.assert_array_equal(mxnet_array.values(one), VALUES)


def test_rows_iterate_as_often_as_asked(mx: Any) -> None:
    """Rows are one batch, again after a reset, with the iterator's descriptions."""
    rows = mxnet_array.rows(VALUES)
    for _ in range(2):
        rows.reset()
        (batch,) = list(rows)
        np.testing.assert_array_equal(batch.data[0].asnumpy(), VALUES)
    assert rows.provide_data[0].shape == (2, 3)
    assert (rows.batch_size, batch.pad) == (2, 0)
