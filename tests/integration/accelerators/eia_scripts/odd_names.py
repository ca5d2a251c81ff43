"""A graph from another framework, whose weights are named like nothing of MXNet's, bound with all of its arrays."""

import json

import mxnet as mx
import numpy as np

data = mx.sym.var("data_0")
weight = mx.sym.var("gpu_0/pred_w_0")
scale = mx.sym.var("17")
net = mx.sym.broadcast_mul(mx.sym.dot(data, weight), scale)
rng = np.random.RandomState(8)
args = {
    "data_0": mx.nd.array(rng.rand(1, 300)),
    "gpu_0/pred_w_0": mx.nd.array(rng.rand(300, 5)),
    "17": mx.nd.array(rng.rand(1, 5)),
}
exe = net.bind(mx.eia(), args, grad_req="null")
for _ in range(4):
    exe.forward()
    print(json.dumps(exe.outputs[0].asnumpy().tolist()))
    args["data_0"][:] = rng.rand(1, 300)
args["17"][:] = 2
exe.forward(data_0=mx.nd.ones((1, 300)))
print(json.dumps(exe.outputs[0].asnumpy().tolist()))
