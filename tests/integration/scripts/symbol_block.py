import mxnet as mx


def model_fn(model_dir):
    return mx.gluon.nn.SymbolBlock.imports(model_dir + "/model-symbol.json", ["data"], model_dir + "/model-0000.params", ctx=mx.cpu())
