from collections import namedtuple

Batch = namedtuple("Batch", ["data"])


def predict_fn(data, model):
    outputs = []
    for batch in data:
        model.forward(batch)
        outputs.append(model.get_outputs()[0])
    return outputs[0]
