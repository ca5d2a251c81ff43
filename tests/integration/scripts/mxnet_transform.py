import json

import mxnet as mx
import numpy as np
from collections import namedtuple

Batch = namedtuple("Batch", ["data"])


def transform_fn(net, data, input_content_type, output_content_type):
    rows = np.array(json.loads(data))
    net.forward(Batch([mx.nd.array(rows)]), is_train=False)
    return json.dumps(net.get_outputs()[0].asnumpy().tolist()), output_content_type
