"""SymbolBlocks on the accelerator that are never hybridized, and arrays that are put there in every way."""

import json

import mxnet as mx
import numpy as np

ctx = mx.eia()
image = np.random.RandomState(0).rand(1, 3, 16, 16)
net = mx.gluon.SymbolBlock.imports("block-symbol.json", ["data"], "block-0000.params", ctx=ctx)
arrays = [mx.nd.array(image, ctx=ctx), mx.nd.array(image, ctx), mx.nd.array(image).as_in_context(ctx)]
arrays += [mx.nd.array(image).copyto(ctx)]
for x in arrays:
    print(json.dumps(net(x).asnumpy().tolist()))
listed = mx.gluon.SymbolBlock.imports("block-symbol.json", ["data"], "block-0000.params", ctx=[ctx])
with ctx:
    x = mx.nd.array(image) * mx.nd.ones((1,)) + mx.nd.zeros((1,), ctx=ctx)
out = listed(x)
mx.nd.waitall()
print(json.dumps(out.asnumpy().tolist()))

sym = mx.sym.load("block-symbol.json")
block = mx.gluon.SymbolBlock(sym, mx.sym.var("data"))
params = block.collect_params()
for name, value in mx.nd.load("block-0000.params").items():
    params[name.partition(":")[2]]._load_init(value, ctx=ctx)
block.hybridize(static_alloc=True, static_shape=True)
for seed in range(3):
    print(json.dumps(block(mx.nd.array(np.random.RandomState(seed).rand(2, 3, 16, 16))).asnumpy().tolist()))
