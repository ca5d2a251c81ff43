"""What Elastic Inference refused, with the words that its users know; local runs have no such limits."""

import json

import mxnet as mx
import numpy as np

net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, name="fc")
shapes = [("data", (2, 4))]


def message(attempt):
    """What the attempt fails with."""
    try:
        attempt()
    except mx.MXNetError as error:
        return str(error)
    return ""


def several():
    """A batch divided between accelerators."""
    mx.mod.Module(net, label_names=None, context=[mx.eia(), mx.eia()]).bind(shapes, for_training=False)


def grouped():
    """A graph divided between devices."""
    mod = mx.mod.Module(net, label_names=None, context=mx.eia(), group2ctxs={"a": mx.eia(), "b": mx.cpu()})
    mod.bind(shapes, for_training=False)


def trained():
    """A step of a training."""
    exe = net.simple_bind(mx.eia(), data=(2, 4))
    exe.forward(is_train=True)


def recorded():
    """A step of a training with Gluon."""
    block = mx.gluon.SymbolBlock(net, mx.sym.var("data"))
    block.initialize(ctx=mx.eia())
    with mx.autograd.record():
        block(mx.nd.ones((2, 4)))


def gluon_several():
    """Parameters on two accelerators."""
    block = mx.gluon.SymbolBlock(net, mx.sym.var("data"))
    block.initialize(ctx=[mx.eia(0), mx.eia(0)])
    block(mx.nd.ones((2, 4)))


for attempt in (
    several,
    grouped,
    lambda: mx.mod.Module(net, label_names=None, context=mx.eia()).bind(shapes),
    trained,
    recorded,
    gluon_several,
    lambda: mx.eia(3),
    lambda: net.bind(
        mx.eia(), {"data": mx.nd.ones((2, 4)), "fc_weight": mx.nd.ones((2, 4)), "fc_bias": mx.nd.ones(2)}
    ).backward(),
):
    print(json.dumps(message(attempt)))
print(json.dumps(np.ones(1).tolist()))
