from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer


class UpperTransformer(Transformer):
    def validate_and_initialize(self, model_dir=None, context=None):
        self._model_dir = model_dir

    def transform(self, data, context):
        context.set_response_content_type(0, "text/plain")
        return [entry["body"].decode().upper() for entry in data]


class HandlerService(DefaultHandlerService):
    def __init__(self):
        super().__init__(transformer=UpperTransformer())
