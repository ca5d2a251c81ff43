import mxnet as mx


def model_fn(model_dir):
    symbol, args, aux = mx.model.load_checkpoint(model_dir + "/model", 0)
    module = mx.mod.Module(symbol=symbol, context=mx.cpu(), data_names=["data"], label_names=None)
    module.bind(for_training=False, data_shapes=[("data", (1, 4))])
    module.set_params(args, aux, allow_missing=True)
    return module
