import json

import mxnet as mx


def input_fn(input_data, content_type, model):
    [(name, shape)] = [(entry[0], entry[1]) for entry in model.data_shapes]
    rows = mx.nd.array(json.loads(input_data)["rows"]).reshape((-1,) + shape[1:])
    return mx.io.NDArrayIter(rows, batch_size=len(rows))


def output_fn(prediction, accept):
    return {"classes": prediction.argmax(axis=1).asnumpy()}
