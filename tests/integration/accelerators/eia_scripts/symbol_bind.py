"""The symbol API as the guides for Elastic Inference show it: simple_bind by the variables' shapes, bind, bound arrays."""

import json

import mxnet as mx
import numpy as np

data = mx.sym.var("data", shape=(1,))
sym = mx.sym.exp(data)
executor = sym.simple_bind(ctx=mx.eia(), grad_req="null")
for i in range(10):
    executor.forward(data=mx.nd.ones((1,)) * i)
    print(json.dumps(executor.outputs[0].asnumpy().tolist()))

a = mx.sym.Variable("a")
b = mx.sym.Variable("b")
c = 2 * a + b
e = c.bind(mx.eia(), {"a": mx.nd.array([1, 2]), "b": mx.nd.array([2, 3])})
print(json.dumps(list(e.outputs[0].shape)))
e.forward()
print(json.dumps(e.outputs[0].asnumpy().tolist()))
e.forward(a=mx.nd.ones((2,)), b=np.ones((2,), "float32"))
print(json.dumps(e.outputs[0].asnumpy().tolist()))
e.forward()
print(json.dumps(e.outputs[0].asnumpy().tolist()))
