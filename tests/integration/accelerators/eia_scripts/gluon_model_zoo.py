"""A network of the model zoo whose parameters are loaded onto the accelerator; not hybridized at first."""

import json

import mxnet as mx
import numpy as np

ctx = mx.eia()
net = mx.gluon.model_zoo.vision.get_model("mobilenet0.25", classes=7, ctx=ctx)
net.load_parameters("zoo.params", ctx=ctx)
x = mx.nd.array(np.random.RandomState(0).rand(1, 3, 32, 32), ctx=ctx)
print(json.dumps(net(x).asnumpy().tolist()))
print(json.dumps(net(x * 2).asnumpy().tolist()))
net.hybridize(static_alloc=True)
print(json.dumps(net(x).asnumpy().tolist()))
net.output = mx.gluon.nn.Dense(3)
net.output.initialize(mx.init.Constant(0.01), ctx=ctx)
print(json.dumps(net(x).asnumpy().tolist()))
mx.nd.waitall()
