"""The container's handler service: it takes the defaults that fit what the script's `model_fn` returns."""

from __future__ import annotations

from typing import Any

from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer

from serving.handlers import mxnet_objects

from .default_inference_handler import (
    DefaultGluonBlockInferenceHandler,
    DefaultMXNetInferenceHandler,
)
from .mxnet_module_transformer import MXNetModuleTransformer


class HandlerService(DefaultHandlerService):  # type: ignore[misc,unused-ignore]
    """`initialize` loads the model, once, and chooses the workflow by its type."""

    _service: Any

    def __init__(self) -> None:
        super().__init__(transformer=Transformer(default_inference_handler=DefaultMXNetInferenceHandler()))

    def initialize(self, context: Any) -> None:
        """Load the model; ValueError where it is neither a Module nor a Gluon block and no `transform_fn` stands for it."""
        super().initialize(context)
        if self._service._transform_fn == self._service._default_transform_fn:
            self._service = self._chosen(self._service, context)

    def _chosen(self, loaded: Any, context: Any) -> Any:
        """The workflow of the loaded model's type, around that model."""
        kind = mxnet_objects.kind(loaded._model)
        if kind == mxnet_objects.OTHER:
            raise ValueError(f"Unsupported model type: {type(loaded._model).__name__}")
        gluon = DefaultGluonBlockInferenceHandler()
        chosen: Any = MXNetModuleTransformer() if kind == mxnet_objects.MODULE else Transformer(default_inference_handler=gluon)  # type: ignore[no-untyped-call,unused-ignore]
        chosen._environment, chosen._context = loaded._environment, context
        chosen._validate_user_module_and_set_functions()
        chosen._model, chosen._initialized = loaded._model, True
        return chosen
