"""The backend EIA on a hybrid block, and the default handlers around it."""

import mxnet as mx


def model_fn(model_dir):
    net = mx.gluon.SymbolBlock.imports(f"{model_dir}/model-symbol.json", ["data"], f"{model_dir}/model-0000.params")
    net.hybridize(backend="EIA", static_alloc=True, static_shape=True)
    return net
