"""A detector of the user's own: hybridized, several outputs, boxes suppressed inside of it."""

import json

import mxnet as mx
import numpy as np
from mxnet import gluon


class Detector(gluon.HybridBlock):
    """Classes and boxes from a few features."""

    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = gluon.nn.Conv2D(4, 3)
            self.class_predictor = gluon.nn.Dense(classes * 5)
            self.box_predictor = gluon.nn.Dense(20)

    def reset_class(self, classes):
        """Other classes over the same features."""
        with self.name_scope():
            self.class_predictor = gluon.nn.Dense(classes * 5)
            self.class_predictor.initialize(mx.init.Constant(0.02), ctx=self.features.weight.list_ctx())

    def hybrid_forward(self, F, x):
        """Ids, scores and boxes."""
        features = F.relu(self.features(x))
        scores = F.reshape(F.sigmoid(self.class_predictor(features)), (0, 5, -1))
        boxes = F.reshape(F.abs(self.box_predictor(features)), (0, 5, 4))
        found = F.concat(F.argmax(scores, axis=-1, keepdims=True), F.max(scores, axis=-1, keepdims=True), boxes, dim=2)
        found = F.contrib.box_nms(found, overlap_thresh=0.5, topk=3, id_index=0, score_index=1, coord_start=2)
        return [F.slice_axis(found, axis=2, begin=a, end=b) for a, b in ((0, 1), (1, 2), (2, 6))]


ctx = mx.eia()
net = Detector(3)
net.initialize(mx.init.Constant(0.05), ctx=ctx)
net.hybridize(static_alloc=True)
x = mx.nd.array(np.random.RandomState(0).rand(1, 3, 8, 8))
for _ in range(2):
    ids, scores, boxes = net(x)
    mx.nd.waitall()
    print(json.dumps([ids.asnumpy().tolist(), scores.asnumpy().tolist(), boxes.asnumpy().tolist()]))
net.reset_class(2)
print(json.dumps([output.asnumpy().tolist() for output in net(x)]))
for name, param in net.collect_params().items():
    if name.endswith("bias"):
        param.set_data(mx.nd.ones(param.shape))
print(json.dumps([output.asnumpy().tolist() for output in net(x)]))
