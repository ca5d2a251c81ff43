"""A checkpoint bound as a whole: data and a random label among its arguments, a forward without any."""

import json

import mxnet as mx
import numpy as np

sym, args, aux = mx.model.load_checkpoint("net", 0)
rng = np.random.RandomState(3)
args["data"] = mx.nd.array(rng.rand(1, 3, 16, 16))
args["softmax_label"] = mx.nd.random.uniform(shape=(1,))
exe = sym.bind(ctx=mx.eia(), args=args, aux_states=aux, grad_req="null")
for _ in range(3):
    exe.forward()
    print(json.dumps(exe.outputs[0].asnumpy().tolist()))
held = exe.outputs[0]
args["data"][:] = rng.rand(1, 3, 16, 16)
exe.forward()
print(json.dumps(held.asnumpy().tolist()))
exe.forward(data=mx.nd.array(rng.rand(1, 3, 16, 16)))
prob = exe.outputs[0].asnumpy()
print(json.dumps(np.squeeze(prob).tolist()))
