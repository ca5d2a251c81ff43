"""The module API as the guides show it: parameters set after the bind, a batch that has nothing but data."""

import json
from collections import namedtuple

import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])

ctx = mx.eia()
sym, arg_params, aux_params = mx.model.load_checkpoint("net", 0)
mod = mx.mod.Module(symbol=sym, context=ctx, label_names=None)
mod.bind(for_training=False, data_shapes=[("data", (1, 3, 16, 16))], label_shapes=mod._label_shapes)
mod.set_params(arg_params, aux_params, allow_missing=True, allow_extra=True)
for seed in range(4):
    img = mx.nd.array(np.random.RandomState(seed).rand(1, 3, 16, 16))
    mod.forward(Batch([img]))
    prob = np.squeeze(mod.get_outputs()[0].asnumpy())
    print(json.dumps(prob.tolist()))
print(json.dumps(mod.predict(mx.nd.array(np.random.RandomState(9).rand(1, 3, 16, 16))).asnumpy().tolist()))
