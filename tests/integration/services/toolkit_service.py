from sagemaker_inference import content_types, decoder, encoder
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer


class ScalingHandler(DefaultInferenceHandler):
    def default_model_fn(self, model_dir, context=None):
        return {"scale": 3}

    def default_predict_fn(self, data, model, context=None):
        return data * model["scale"]


class HandlerService(DefaultHandlerService):
    def __init__(self):
        transformer = Transformer(default_inference_handler=ScalingHandler())
        super(HandlerService, self).__init__(transformer=transformer)
