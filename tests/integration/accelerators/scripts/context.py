"""Elastic Inference's first generation: a Module whose context is the accelerator."""

import mxnet as mx


def model_fn(model_dir):
    symbol, args, aux = mx.model.load_checkpoint(f"{model_dir}/model", 0)
    module = mx.mod.Module(symbol, context=mx.eia(), label_names=None)
    module.bind(data_shapes=[("data", (1, 4))], for_training=False)
    module.set_params(args, aux, allow_missing=True)
    return module


def predict_fn(data, model):
    return model.predict(data)
