import mxnet as mx


def predict_fn(data, model):
    model.forward(mx.io.DataBatch([mx.nd.array(data.asnumpy().reshape(data.shape))]), is_train=False)
    return model.get_outputs()
