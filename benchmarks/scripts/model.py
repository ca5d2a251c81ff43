"""A user script that loads the model as a Gluon block and does all four steps itself."""

import json

import mxnet as mx


def model_fn(model_dir):
    """The network of the exported files."""
    net = mx.gluon.SymbolBlock.imports(f"{model_dir}/model-symbol.json", ["data"], f"{model_dir}/model-0000.params")
    net.hybridize()
    return net


def input_fn(input_data, content_type):
    """Lists of numbers as an array."""
    return mx.nd.array(json.loads(input_data))


def predict_fn(data, model):
    """One pass."""
    return model(data)


def output_fn(prediction, accept):
    """The array as lists of numbers."""
    return json.dumps(prediction.asnumpy().tolist()), accept
