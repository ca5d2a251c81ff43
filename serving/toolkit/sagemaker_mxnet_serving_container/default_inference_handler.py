"""The default functions for MXNet models: Modules and Gluon blocks, arrays on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sagemaker_inference import content_types, decoder, encoder, errors
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler

from serving.handlers import defaults, mxnet_objects
from serving.models import layout

PREFERRED_BATCH_SIZE_PARAM = "SAGEMAKER_DEFAULT_MODEL_FIRST_DIMENSION_SIZE"
INFERENCE_ACCELERATOR_PRESENT_ENV = "SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT"
DEFAULT_MODEL_NAME = "model"
DEFAULT_MODEL_FILENAMES = {"symbol": "model-symbol.json", "params": "model-0000.params", "shapes": "model-shapes.json"}


class DefaultMXNetInferenceHandler(DefaultInferenceHandler):  # type: ignore[misc,unused-ignore]
    """Defaults for a script with a `transform_fn`, and what the two others share."""

    VALID_CONTENT_TYPES: tuple[str, ...] = (content_types.JSON, content_types.NPY)

    def default_model_fn(self, model_dir: str, preferred_batch_size: int = 1) -> Any:
        """The model directory's symbol and parameters as a Module; ModelError where they are not there."""
        return mxnet_objects.default_module(layout.detect(Path(model_dir)))

    def default_input_fn(self, input_data: Any, content_type: str) -> Any:
        """The request's array as an NDArray; UnsupportedFormatError for a type that is not read."""
        self._check(content_type)
        return mxnet_objects.to_ndarray(decoder.decode(input_data, content_type))

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        """The prediction as nested lists in an accepted type; UnsupportedFormatError where none is written."""
        self._check(accept)
        outputs = defaults.to_outputs(prediction)
        lists = [array.tolist() for array in outputs.values()]
        return encoder.encode(lists[0] if len(lists) == 1 else lists, accept)

    def _check(self, content_type: str) -> None:
        if content_type not in self.VALID_CONTENT_TYPES:
            raise errors.UnsupportedFormatError(content_type)


class DefaultModuleInferenceHandler(DefaultMXNetInferenceHandler):
    """Defaults for a Module."""

    VALID_CONTENT_TYPES = (content_types.JSON, content_types.CSV, content_types.NPY)

    def default_input_fn(self, input_data: Any, content_type: str, model: Any = None) -> Any:  # type: ignore[override,unused-ignore]
        """The request's rows, all of them, as one batch of a data iterator; CSV in the shape that the model was bound with."""
        self._check(content_type)
        array = decoder.decode(input_data, content_type)
        [(_, shape)] = [(entry[0], tuple(entry[1])) for entry in model.data_shapes]
        if content_type == content_types.CSV:
            array = array.reshape(-1, *shape[1:])
        return mxnet_objects.to_data(array, mxnet_objects.MODULE)

    def default_predict_fn(self, data: Any, model: Any) -> Any:  # type: ignore[override,unused-ignore]
        """The Module's prediction for all rows."""
        return model.predict(data)


class DefaultGluonBlockInferenceHandler(DefaultMXNetInferenceHandler):
    """Defaults for a Gluon block."""

    def default_predict_fn(self, data: Any, block: Any) -> Any:  # type: ignore[override,unused-ignore]
        """The block's answer for the array."""
        return block(data)
