"""Its second generation: the backend EIA, and a Module on the CPU."""

import eimx  # noqa: F401
import mxnet as mx


def model_fn(model_dir):
    symbol, args, aux = mx.model.load_checkpoint(f"{model_dir}/model", 0)
    module = mx.mod.Module(symbol.optimize_for("EIA"), context=mx.cpu(), label_names=None)
    module.bind(data_shapes=[("data", (1, 4))], for_training=False)
    module.set_params(args, aux, allow_missing=True)
    return module
