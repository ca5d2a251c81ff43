"""Dtypes other than float32, several outputs, outputs of whose shape only the values decide, an operator of detectors."""

import json

import mxnet as mx
import numpy as np

ctx = mx.eia()
rng = np.random.RandomState(2)
half = mx.sym.exp(mx.sym.var("data") * 2)
exe = half.simple_bind(ctx, data=(2, 3), type_dict={"data": "float16"})
exe.forward(data=mx.nd.array(rng.rand(2, 3), dtype="float16"))
print(json.dumps([str(np.dtype(exe.outputs[0].dtype)), exe.outputs[0].asnumpy().tolist()]))

words = mx.sym.Embedding(mx.sym.var("words"), input_dim=9, output_dim=2, name="table")
exe = words.simple_bind(ctx, words=(1, 4), type_dict={"words": "int32"}, grad_req="null")
exe.copy_params_from({"table_weight": mx.nd.array(rng.rand(9, 2))})
exe.forward(words=np.array([[1, 8, 0, 3]], "int32"))
print(json.dumps(exe.outputs[0].asnumpy().tolist()))

boxes = mx.sym.var("boxes")
kept = mx.sym.contrib.box_nms(boxes, overlap_thresh=0.5, id_index=0, score_index=1, coord_start=2)
both = mx.sym.Group([kept, mx.sym.sum(kept, axis=2), boxes])
found = rng.rand(1, 6, 6)
exe = both.bind(ctx, {"boxes": mx.nd.array(found)}, grad_req="null")
exe.forward()
print(json.dumps([output.asnumpy().tolist() for output in exe.outputs]))

mask = mx.sym.contrib.boolean_mask(mx.sym.var("data"), mx.sym.var("index"))
exe = mask.bind(ctx, {"data": mx.nd.array(rng.rand(3, 2)), "index": mx.nd.array([0, 1, 1])}, grad_req="null")
exe.forward()
print(json.dumps(exe.outputs[0].asnumpy().tolist()))
