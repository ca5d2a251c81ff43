"""The workflow for Modules, whose `input_fn` may take the model as its third argument."""

from __future__ import annotations

import inspect
from typing import Any

from sagemaker_inference.transformer import Transformer

from .default_inference_handler import DefaultModuleInferenceHandler


class MXNetModuleTransformer(Transformer):  # type: ignore[misc,unused-ignore]
    """A Transformer with a Module's defaults."""

    def __init__(self) -> None:
        super().__init__(DefaultModuleInferenceHandler())

    def _default_transform_fn(self, model: Any, input_data: Any, content_type: str, accept: str, context: Any = None) -> Any:
        """The three steps; the model goes to an `input_fn` that asks for it by name."""
        if "model" in inspect.signature(self._input_fn).parameters:
            data = self._input_fn(input_data, content_type, model)
        else:
            data = self._run_handler_function(self._input_fn, input_data, content_type)
        prediction = self._run_handler_function(self._predict_fn, data, model)
        return self._run_handler_function(self._output_fn, prediction, accept)
