import mxnet as mx


def model_fn(model_dir):
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(3, in_units=4))
    net[0].load_parameters(model_dir + "/net.params")
    net.hybridize()
    return net
