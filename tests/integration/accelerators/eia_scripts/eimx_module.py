"""A user script for Elastic Inference with MXNet 1.7: the backend is imported where the model is loaded."""

import json
import os

import mxnet as mx
import numpy as np


def model_fn(model_dir):
    """A Module over the optimized symbol; the context is the CPU."""
    import eimx  # noqa: F401

    sym, arg_params, aux_params = mx.model.load_checkpoint(os.path.join(model_dir, "net"), 0)
    sym = sym.optimize_for("EIA")
    mod = mx.mod.Module(symbol=sym, context=mx.cpu(), data_names=["data"], label_names=None)
    mod.bind(for_training=False, data_shapes=[("data", (1, 3, 16, 16))])
    mod.set_params(arg_params, aux_params, allow_missing=True)
    return mod


def transform_fn(mod, data, content_type, accept):
    """One request, as the container hands it over."""
    rows = np.array(json.loads(data), dtype="float32")
    mod.forward(mx.io.DataBatch([mx.nd.array(rows)]))
    return json.dumps(mod.get_outputs()[0].asnumpy().tolist()), accept


model = model_fn(".")
for seed in range(3):
    body = json.dumps(np.random.RandomState(seed).rand(1, 3, 16, 16).tolist())
    print(transform_fn(model, body, "application/json", "application/json")[0])
