"""A BucketingModule: one graph for each length, all over the parameters of the first."""

import json

import mxnet as mx
import numpy as np


def sym_gen(length):
    """Embedded words, averaged and classified."""
    words = mx.sym.var("words")
    vectors = mx.sym.Embedding(words, input_dim=20, output_dim=6, name="embed")
    hidden = mx.sym.FullyConnected(mx.sym.sum(vectors, axis=1) / length, num_hidden=4, name="fc")
    return mx.sym.softmax(hidden, name="prob"), ("words",), None


mod = mx.mod.BucketingModule(sym_gen, default_bucket_key=8, context=mx.eia())
mod.bind(data_shapes=[("words", (1, 8))], for_training=False)
rng = np.random.RandomState(0)
args = {"embed_weight": rng.rand(20, 6), "fc_weight": rng.rand(4, 6), "fc_bias": rng.rand(4)}
mod.set_params({name: mx.nd.array(value) for name, value in args.items()}, {})
for length in (8, 3, 5, 3, 8):
    batch = mx.io.DataBatch(
        [mx.nd.array(rng.randint(0, 20, (1, length)))],
        bucket_key=length,
        provide_data=[("words", (1, length))],
        provide_label=None,
    )
    mod.forward(batch, is_train=False)
    print(json.dumps(mod.get_outputs()[0].asnumpy().tolist()))
