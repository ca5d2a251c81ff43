"""Parameters that are changed after passes were made with them: in place, by set_params, by arrays of the caller's own."""

import json
from collections import namedtuple

import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])
rng = np.random.RandomState(4)
x = mx.nd.array(rng.rand(1, 4))
net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, name="fc")
args = {"data": x, "fc_weight": mx.nd.array(rng.rand(2, 4)), "fc_bias": mx.nd.zeros((2,))}
exe = net.bind(mx.eia(), args)
exe.forward(data=x)
print(json.dumps(exe.outputs[0].asnumpy().tolist()))
args["fc_weight"][:] = rng.rand(2, 4)
exe.forward(data=x)
print(json.dumps(exe.outputs[0].asnumpy().tolist()))
exe.arg_dict["fc_bias"][1] = 5
exe.forward()
print(json.dumps(exe.outputs[0].asnumpy().tolist()))
exe.copy_params_from({"fc_weight": mx.nd.ones((2, 4))})
exe.forward()
print(json.dumps(exe.outputs[0].asnumpy().tolist()))
for value in (3, 4):
    exe.forward(fc_weight=mx.nd.ones((2, 4)) * value)
    print(json.dumps(exe.outputs[0].asnumpy().tolist()))

mod = mx.mod.Module(net, label_names=None, context=mx.eia())
mod.bind([("data", (1, 4))], for_training=False)
for seed in range(3):
    values = np.random.RandomState(seed)
    params = {"fc_weight": mx.nd.array(values.rand(2, 4)), "fc_bias": mx.nd.array(values.rand(2))}
    mod.set_params(params, {})
    for _ in range(2):
        mod.forward(Batch([x]))
        print(json.dumps(mod.get_outputs()[0].asnumpy().tolist()))
