import sys

from sagemaker_inference.errors import BaseInferenceToolkitError, UnsupportedFormatError


class TeapotError(BaseInferenceToolkitError):
    pass


def model_fn(model_dir):
    return {}


def input_fn(input_data, content_type):
    if content_type != "application/json":
        raise UnsupportedFormatError(content_type)
    return input_data.strip('"')


def predict_fn(data, model):
    if data == "raise":
        raise ValueError("something is wrong")
    if data == "exit":
        sys.exit(3)
    if data == "interrupt":
        raise KeyboardInterrupt
    if data == "teapot":
        raise TeapotError(418, "I am a teapot", "teapot")
    return data


def output_fn(prediction, accept):
    return {"none": None, "object": object(), "triple": ("a", "b", "c"), "number": 5}.get(prediction, prediction)
