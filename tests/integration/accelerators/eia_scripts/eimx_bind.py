"""Symbols optimized for the backend, bound by hand, built on, and saved and loaded again."""

import json

import eimx  # noqa: F401
import mxnet as mx
import numpy as np

x = np.random.RandomState(0).rand(1, 3, 16, 16).astype("float32")
sym, args, aux = mx.model.load_checkpoint("headless", 0)
optimized = sym.optimize_for("EIA", args, aux)
args["data"] = mx.nd.array(x)
exe = optimized.bind(mx.cpu(), args, aux_states=aux, grad_req="null")
print(json.dumps(exe.forward()[0].asnumpy().tolist()))
above = mx.sym.softmax(optimized).bind(mx.cpu(), args, aux_states=aux, grad_req="null")
print(json.dumps(above.forward()[0].asnumpy().tolist()))
again = mx.sym.load_json(optimized.tojson()).bind(mx.cpu(), args, aux_states=aux, grad_req="null")
print(json.dumps(again.forward(data=mx.nd.array(x * 2))[0].asnumpy().tolist()))
