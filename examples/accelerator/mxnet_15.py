"""A script for Elastic Inference's MXNet 1.5 and older, as AWS's guide wrote them: the accelerator is a context.

python mxnet_15.py PREFIX IMAGES.npz
"""

import sys
from collections import namedtuple

import mxnet as mx
import numpy as np

Batch = namedtuple("Batch", ["data"])
prefix, digits = sys.argv[1], np.load(sys.argv[2])

sym, arg_params, aux_params = mx.model.load_checkpoint(prefix, 0)
mod = mx.mod.Module(symbol=sym, context=mx.eia(), label_names=None)
mod.bind(for_training=False, data_shapes=[("data", (1, 1, 8, 8))], label_shapes=mod._label_shapes)
mod.set_params(arg_params, aux_params, allow_missing=True)

guesses = []
for image in digits["held_out_images"][:100]:
    mod.forward(Batch([mx.nd.array(image[np.newaxis])]))
    guesses.append(int(np.argmax(mod.get_outputs()[0].asnumpy())))
right = int((np.array(guesses) == digits["held_out_labels"][:100]).sum())
print(f"{right} of 100 right, the first: {guesses[:10]}")
