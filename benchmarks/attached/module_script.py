"""A script of Elastic Inference's days, its Module form, that times its passes: `module_script.py PREFIX eia|cpu`.

Each line of its input is a number of passes; the answer is their median in milliseconds, and the sum of the last output.
"""

import json
import statistics
import sys
import time
from collections import namedtuple

import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])
ctx = mx.eia() if sys.argv[2] == "eia" else mx.cpu()
sym, arg_params, aux_params = mx.model.load_checkpoint(sys.argv[1], 0)
mod = mx.mod.Module(symbol=sym, context=ctx, label_names=None)
mod.bind(for_training=False, data_shapes=[("data", (1, 3, 224, 224))], label_shapes=mod._label_shapes)
mod.set_params(arg_params, aux_params, allow_missing=True)
image = mx.nd.array(np.random.RandomState(0).rand(1, 3, 224, 224))

for line in sys.stdin:
    taken = []
    for _ in range(int(line)):
        begin = time.perf_counter()
        mod.forward(Batch([image]))
        output = mod.get_outputs()[0].asnumpy()
        taken.append(1e3 * (time.perf_counter() - begin))
    print(json.dumps([statistics.median(taken), output.tobytes().hex()[:64]]), flush=True)
