"""Gluon blocks hybridized for the backend, as the SageMaker SDK's page on MXNet has it, and optimized for it by an example."""

import json

import mxnet as mx
import numpy as np


def model_fn(model_dir):
    """The exported block, with its parameters on the CPU."""
    net = mx.gluon.SymbolBlock.imports(f"{model_dir}/block-symbol.json", ["data"])
    net.load_parameters(f"{model_dir}/block-0000.params", ctx=mx.cpu())
    net.hybridize(backend="EIA", static_alloc=True, static_shape=True)
    return net


net = model_fn(".")
for seed in range(3):
    print(json.dumps(net(mx.nd.array(np.random.RandomState(seed).rand(1, 3, 16, 16))).asnumpy().tolist()))

zoo = mx.gluon.model_zoo.vision.get_model("mobilenet0.25", classes=7)
zoo.load_parameters("zoo.params")
x = mx.nd.array(np.random.RandomState(0).rand(1, 3, 32, 32))
zoo.optimize_for(x, backend="EIA")
print(json.dumps(zoo(x).asnumpy().tolist()))
print(json.dumps(zoo(x * 3).asnumpy().tolist()))
try:
    zoo.optimize_for("EIA")
except ValueError as error:
    print(json.dumps(type(error).__name__))
