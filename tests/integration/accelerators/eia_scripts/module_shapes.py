"""Batches of other sizes than the Module was bound for: implicit reshapes, explicit ones, and the first size again."""

import json
from collections import namedtuple

import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])
mod = mx.mod.Module.load("headless", 0, context=mx.eia(), label_names=None)
mod.bind(data_shapes=[("data", (2, 3, 16, 16))], for_training=False)
rng = np.random.RandomState(1)
for size in (2, 5, 1, 2):
    mod.forward(Batch([mx.nd.array(rng.rand(size, 3, 16, 16))]), is_train=False)
    print(json.dumps([mod._exec_group.batch_size, mod.get_outputs()[0].asnumpy().tolist()]))
mod.reshape([("data", (3, 3, 16, 16))])
mod.forward(mx.io.DataBatch([mx.nd.array(rng.rand(3, 3, 16, 16))]))
print(json.dumps(mod.get_outputs()[0].asnumpy().tolist()))
