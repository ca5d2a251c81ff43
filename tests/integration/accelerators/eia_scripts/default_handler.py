"""A user script in the manner of the MXNet container's own handler, which chose its context by the platform's variable."""

import json
import os

import mxnet as mx
import numpy as np

PREFERRED_BATCH_SIZE = 2


def get_context():
    """The accelerator, where the platform says that there is one."""
    if os.environ.get("SAGEMAKER_INFERENCE_ACCELERATOR_PRESENT") == "true":
        return mx.eia()
    return mx.cpu()


def model_fn(model_dir):
    """A Module of the checkpoint that lies there."""
    sym, args, aux = mx.model.load_checkpoint(os.path.join(model_dir, "net"), 0)
    mod = mx.mod.Module(symbol=sym, context=get_context(), data_names=["data"], label_names=None)
    mod.bind(for_training=False, data_shapes=[mx.io.DataDesc("data", (PREFERRED_BATCH_SIZE, 3, 16, 16))])
    mod.set_params(args, aux, allow_missing=True)
    return mod


def input_fn(rows):
    """An iterator that pads the rows to whole batches."""
    return mx.io.NDArrayIter(mx.nd.array(rows), batch_size=PREFERRED_BATCH_SIZE, last_batch_handle="pad")


def predict_fn(data, mod):
    """What the Module makes of it."""
    return mod.predict(data)


model = model_fn(".")
rows = np.random.RandomState(5).rand(5, 3, 16, 16)
print(json.dumps(predict_fn(input_fn(rows), model).asnumpy().tolist()))
print(json.dumps(model.predict(mx.nd.array(rows[:2])).asnumpy().tolist()))
