import mxnet as mx


def model_fn(model_dir):
    net = mx.gluon.nn.Dense(3, in_units=4)
    net.load_parameters(model_dir + "/net.params")
    return net


def predict_fn(data, model):
    assert isinstance(data, mx.nd.NDArray), type(data)
    return model(data.as_in_context(mx.cpu()))
