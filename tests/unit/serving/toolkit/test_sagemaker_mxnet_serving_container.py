"""The names of sagemaker_mxnet_serving_container: default handlers for Modules and blocks."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError

ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def named(module: str) -> Any:
    """A module of the package, imported by its public name."""
    return importlib.import_module(f"sagemaker_mxnet_serving_container.{module}")


@pytest.fixture
def dense_dir(tmp_path: Path) -> Path:
    """A model directory whose output is the sum of each row."""
    mx = import_mxnet()
    mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=1, no_bias=True, name="fc").save(f"{tmp_path}/model-symbol.json")
    mx.nd.save(f"{tmp_path}/model-0000.params", {"arg:fc_weight": mx.nd.ones((1, 3))})
    (tmp_path / "model-shapes.json").write_text('[{"name": "data", "shape": [1, 3]}]')
    return tmp_path


@pytest.mark.parametrize(
    ("body", "content_type"), [(json.dumps(ROWS), "application/json"), ("1,2,3\n4,5,6", "text/csv")]
)  # fmt: skip
def test_module_defaults(dense_dir: Path, body: str, content_type: str) -> None:
    """Load, decode, predict and encode, one after the other, give every row's answer."""
    handler = named("default_inference_handler").DefaultModuleInferenceHandler()
    model = handler.default_model_fn(str(dense_dir))
    data = handler.default_input_fn(body, content_type, model)
    prediction = handler.default_predict_fn(data, model)
    assert json.loads(handler.default_output_fn(prediction, "application/json")) == [[6.0], [15.0]]


def test_gluon_defaults() -> None:
    """A block gets an NDArray and its answer goes out as nested lists."""
    handler = named("default_inference_handler").DefaultGluonBlockInferenceHandler()
    block = import_mxnet().gluon.nn.HybridLambda("relu")
    data = handler.default_input_fn("[[-1, 2]]", "application/json")
    assert handler.default_output_fn(handler.default_predict_fn(data, block), "application/json") == "[[0.0,2.0]]"


def test_types_that_are_not_read() -> None:
    """CSV is a Module's, not a block's."""
    handlers = named("default_inference_handler")
    errors = importlib.import_module("sagemaker_inference.errors")
    for handler in (handlers.DefaultMXNetInferenceHandler(), handlers.DefaultGluonBlockInferenceHandler()):
        with pytest.raises(errors.UnsupportedFormatError):
            handler.default_input_fn("1,2", "text/csv")
        with pytest.raises(errors.UnsupportedFormatError):
            handler.default_output_fn(np.zeros(1), "text/csv")


def test_missing_model(tmp_path: Path) -> None:
    """An empty directory is an error that says what was expected."""
    with pytest.raises(ModelError, match="model-symbol.json"):
        named("default_inference_handler").DefaultMXNetInferenceHandler().default_model_fn(str(tmp_path))


def test_shapes_and_context(dense_dir: Path) -> None:
    """The shapes file is read with the preferred number of rows; models run on the CPU."""
    container = named("utils")
    assert container.read_data_shapes(str(dense_dir / "model-shapes.json"), 5) == (["data"], [("data", [5, 3])])
    assert str(container.get_default_context()) == "cpu(0)"


def test_module_transformer_passes_the_model() -> None:
    """An input_fn that names the model gets it; one that does not is called without."""
    transformer = named("mxnet_module_transformer").MXNetModuleTransformer()
    transformer._predict_fn = lambda data, model: (data, model)
    transformer._output_fn = lambda prediction, accept: prediction
    transformer._input_fn = lambda data, content_type, model: f"{data} for {model}"
    assert transformer._default_transform_fn("m", "d", "t", "a") == ("d for m", "m")
    transformer._input_fn = lambda data, content_type: data
    assert transformer._default_transform_fn("m", "d", "t", "a") == ("d", "m")


def test_entry_point_names() -> None:
    """The container's main and handler service are there under their names."""
    serving = named("serving")
    assert callable(serving.main)
    assert serving.HANDLER_SERVICE == "sagemaker_mxnet_serving_container.handler_service"
    assert named("handler_service").HandlerService
