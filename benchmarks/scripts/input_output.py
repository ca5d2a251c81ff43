"""A user script that only repeats the defaults, as a user of the MXNet container writes it: JSON in, JSON out."""

import json

import mxnet as mx


def input_fn(input_data, content_type):
    """Lists of numbers as an array."""
    return mx.nd.array(json.loads(input_data))


def output_fn(prediction, accept):
    """The array as lists of numbers."""
    return json.dumps(prediction.asnumpy().tolist()), accept
