"""A script for Elastic Inference's MXNet 1.7, as AWS's guide wrote them: the accelerator is a backend of the graph.

python mxnet_17.py PREFIX IMAGES.npz
"""

import sys
from collections import namedtuple

import eimx  # noqa: F401 - importing it brings the backend
import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])
prefix, digits = sys.argv[1], np.load(sys.argv[2])

sym, arg_params, aux_params = mx.model.load_checkpoint(prefix, 0)
sym = sym.optimize_for("EIA")
mod = mx.mod.Module(symbol=sym, context=mx.cpu(), label_names=None)
mod.bind(for_training=False, data_shapes=[("data", (1, 1, 8, 8))], label_shapes=mod._label_shapes)
mod.set_params(arg_params, aux_params, allow_missing=True)

guesses = []
for image in digits["held_out_images"][:100]:
    mod.forward(Batch([mx.nd.array(image[np.newaxis])]))
    guesses.append(int(np.argmax(mod.get_outputs()[0].asnumpy())))
right = int((np.array(guesses) == digits["held_out_labels"][:100]).sum())
print(f"{right} of 100 right, the first: {guesses[:10]}")
