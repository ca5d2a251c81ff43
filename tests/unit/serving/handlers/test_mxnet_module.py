"""The Module of scripts without a model_fn: MXNet's answers, by the short way or by MXNet's own."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from serving.backends.mxnet_import import import_mxnet
from serving.handlers import mxnet_array, mxnet_module
from serving.models.signature import Signature, Tensor

Batch = namedtuple("Batch", ["data"])
WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
EXPECTED = ROWS @ WEIGHT.T


@pytest.fixture(scope="module")
def mx() -> Any:
    """MXNet, imported as the server does."""
    return import_mxnet()


@pytest.fixture
def module(mx: Any) -> Any:
    """A bound module of one dense layer."""
    symbol = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, no_bias=True, name="fc")
    signature = Signature((Tensor("data", (None, 3), np.dtype("float32")),))
    return mxnet_module.bound(symbol, {"fc_weight": mx.nd.array(WEIGHT)}, {}, signature)


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_predict(rows: int, mx: Any, module: Any) -> None:
    """Rows, NDArrays, numpy arrays and iterators of any number of rows get every row's answer."""
    given = ROWS[:rows]
    for data in (
        mxnet_array.rows(given),
        mxnet_array.lazy(given),
        mx.nd.array(given),
        given,
        mx.io.NDArrayIter(given, batch_size=1),
    ):
        np.testing.assert_allclose(module.predict(data).asnumpy(), EXPECTED[:rows])


def test_forward_and_outputs(mx: Any, module: Any) -> None:
    """A batch of any shape of tuple is run, and its outputs stay until the next one."""
    for batch in (Batch([mx.nd.array(ROWS)]), mx.io.DataBatch([mx.nd.array(ROWS)])):
        module.forward(batch, is_train=False)
        for _ in range(2):
            (output,) = module.get_outputs()
            np.testing.assert_allclose(output.asnumpy(), EXPECTED)
    module.forward(mx.io.DataBatch([mx.nd.array(ROWS[:1])]), is_train=True)
    np.testing.assert_allclose(module.get_outputs()[0].asnumpy(), EXPECTED[:1])


def test_options_of_predict(mx: Any, module: Any) -> None:
    """MXNet's options of predict are MXNet's to answer."""
    (output,) = module.predict(mx.io.NDArrayIter(ROWS, batch_size=2), always_output_list=True)
    np.testing.assert_allclose(output.asnumpy(), EXPECTED)


def test_new_parameters_count(mx: Any, module: Any) -> None:
    """After set_params both ways answer with the new parameters."""
    module.set_params({"fc_weight": mx.nd.array(WEIGHT * 2)}, {})
    np.testing.assert_allclose(module.predict(mxnet_array.rows(ROWS)).asnumpy(), EXPECTED * 2)
    np.testing.assert_allclose(module.predict(mx.io.NDArrayIter(ROWS, batch_size=2)).asnumpy(), EXPECTED * 2)


def test_wrong_shape_is_mxnets_to_refuse(mx: Any, module: Any) -> None:
    """Rows of another size are no short way: MXNet says what it makes of them."""
    with pytest.raises(mx.MXNetError):
        module.predict(mx.nd.zeros((1, 5))).asnumpy()
