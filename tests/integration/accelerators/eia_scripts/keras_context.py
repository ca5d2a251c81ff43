"""How keras-mxnet finds its device: a probe, the registered name, contexts compared, strings."""

import json

import mxnet as mx
import numpy as np


def has_accelerator():
    """Whether `mx.eia()` can be had."""
    try:
        mx.eia()
    except Exception:
        return False
    return True


def get_context(context):
    """Contexts of strings and contexts."""
    found = []
    for one in context if isinstance(context, list) else [context]:
        if isinstance(one, mx.Context):
            found.append(one)
        elif "(" in one:
            name, _, rest = one.lower().partition("(")
            found.append(mx.Context(name, int(rest.rstrip(")"))))
        else:
            found.append(mx.Context(one.lower().rstrip("0123456789")))
    return found


contexts = get_context(["eia0"]) + get_context("eia(0)") + get_context("EIA") if has_accelerator() else [mx.cpu()] * 3
kinds = {context.device_type for context in contexts}
data = mx.sym.var("data_0")
net = mx.sym.FullyConnected(data, num_hidden=3, name="dense_1/kernel")
for context in contexts:
    if kinds == {"eia"} and context == mx.eia():
        mod = mx.mod.Module(net, data_names=["data_0"], label_names=None, context=[context])
    else:
        mod = mx.mod.BucketingModule(lambda _: (net, ["data_0"], None), default_bucket_key="test", context=[context])
    mod.bind([("data_0", (2, 4))], for_training=False)
    mod.init_params(mx.init.Constant(0.25))
    mod.forward(mx.io.DataBatch([mx.nd.array(np.arange(8).reshape(2, 4))], bucket_key="test"), is_train=False)
    print(json.dumps(mod.get_outputs()[0].asnumpy().tolist()))
