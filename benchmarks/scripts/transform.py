"""A user script with `transform_fn`, which stands for all three steps of a request, in the MXNet container's style."""

import json

import mxnet as mx


def model_fn(model_dir):
    """The network of the exported files."""
    net = mx.gluon.SymbolBlock.imports(f"{model_dir}/model-symbol.json", ["data"], f"{model_dir}/model-0000.params")
    net.hybridize()
    return net


def transform_fn(net, data, input_content_type, output_content_type):
    """Lists of numbers in, lists of numbers out."""
    output = net(mx.nd.array(json.loads(data)))
    return json.dumps(output.asnumpy().tolist()), output_content_type
