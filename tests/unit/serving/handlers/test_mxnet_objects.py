"""MXNet's own objects for scripts that expect them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.mxnet_import import import_mxnet
from serving.errors import BadRequest, ModelError
from serving.handlers import mxnet_objects
from serving.handlers.mxnet_objects import BLOCK, MODULE, OTHER
from serving.models import layout
from serving.models.layout import Layout

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)
ROWS = np.arange(12, dtype=np.float64).reshape(4, 3)


@pytest.fixture(scope="module")
def mx() -> Any:
    """MXNet, imported as the server does."""
    return import_mxnet()


@pytest.fixture(scope="module")
def dense_dir(mx: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of one dense layer without a bias, and without shapes."""
    folder = tmp_path_factory.mktemp("dense")
    mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, no_bias=True, flatten=False, name="fc").save(
        f"{folder}/model-symbol.json"
    )
    mx.nd.save(f"{folder}/model-0000.params", {"arg:fc_weight": mx.nd.array(WEIGHT)})
    (folder / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 3]}]')
    return folder


def test_kinds(mx: Any) -> None:
    """Blocks, Modules and other objects are told apart."""
    assert mxnet_objects.kind(mx.gluon.nn.Dense(1)) == BLOCK
    assert mxnet_objects.kind(mx.mod.Module(mx.sym.var("data") * 2, label_names=None)) == MODULE
    assert mxnet_objects.kind({}) == OTHER


def test_default_module_predicts_any_number_of_rows(dense_dir: Path) -> None:
    """The model directory's Module, bound with one row, answers the iterator that the default input makes: every row."""
    module = mxnet_objects.default_module(layout.detect(dense_dir))
    assert [entry[0] for entry in module.data_shapes] == ["data"]
    for rows in (ROWS, ROWS[:1], ROWS[:3]):
        answer = module.predict(mxnet_objects.to_data(rows, MODULE))
        np.testing.assert_allclose(answer.asnumpy(), rows @ WEIGHT.T)


def test_default_module_without_files(tmp_path: Path) -> None:
    """Without symbol and parameters the error says that the script has no model_fn."""
    with pytest.raises(ModelError, match="no model_fn"):
        mxnet_objects.default_module(Layout(tmp_path, "script"))


def test_data_of_a_module_is_an_iterator_and_an_array(mx: Any) -> None:
    """It iterates in one batch of all rows, and has an array's shape, slices and asnumpy."""
    data = mxnet_objects.to_data(ROWS, MODULE)
    assert isinstance(data, mx.io.NDArrayIter)
    (batch,) = list(data)
    assert (batch.data[0].shape, batch.pad) == ((4, 3), 0)
    assert (data.shape, len(data), data.dtype) == ((4, 3), 4, np.float32)
    np.testing.assert_array_equal(data.asnumpy(), ROWS)
    np.testing.assert_array_equal(np.asarray(data), ROWS)
    np.testing.assert_array_equal(data[1].asnumpy(), ROWS[1])
    assert not hasattr(data, "no_such_attribute")


def test_data_of_a_block_is_a_float32_array(mx: Any) -> None:
    """An NDArray on the CPU, a dict of them for several names, text as it came."""
    data = mxnet_objects.to_data(ROWS, BLOCK)
    assert isinstance(data, mx.nd.NDArray)
    assert (data.dtype, data.context) == (np.float32, mx.cpu())
    named = mxnet_objects.to_data({"a": ROWS, "b": ROWS}, BLOCK)
    assert set(named) == {"a", "b"}
    assert mxnet_objects.to_data(np.array(["text"]), BLOCK).tolist() == ["text"]
    assert mxnet_objects.to_data(ROWS, OTHER) is ROWS


def test_data_without_rows() -> None:
    """An input of no rows is the client's fault, before MXNet sees it."""
    with pytest.raises(BadRequest, match="no rows"):
        mxnet_objects.to_data(np.zeros((0, 3)), BLOCK)


def test_predictions_are_ndarrays(mx: Any) -> None:
    """One output is an NDArray of its dtype, several are a list."""
    one = mxnet_objects.to_prediction({"a": ROWS})
    several = mxnet_objects.to_prediction({"a": ROWS, "b": WEIGHT})
    assert isinstance(one, mx.nd.NDArray)
    assert one.dtype == np.float64
    assert [array.shape for array in several] == [(4, 3), (2, 3)]


def test_predict_on_the_object_itself(mx: Any, dense_dir: Path) -> None:
    """Iterators and batches go to a Module as they are, anything to a block."""
    module = mxnet_objects.default_module(layout.detect(dense_dir))
    rows = mx.nd.array(ROWS)
    by_iterator = mxnet_objects.predict(module, MODULE, mx.io.NDArrayIter(rows, batch_size=2))
    by_batch = mxnet_objects.predict(module, MODULE, mx.io.DataBatch([rows]))
    np.testing.assert_allclose(by_iterator.asnumpy(), ROWS @ WEIGHT.T)
    np.testing.assert_allclose(by_batch.asnumpy(), ROWS @ WEIGHT.T)
    block = mx.gluon.nn.HybridLambda("relu")
    assert mxnet_objects.predict(block, BLOCK, -rows).asnumpy().max() == 0
