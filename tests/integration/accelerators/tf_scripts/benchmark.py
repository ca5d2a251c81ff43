"""A benchmark as notebooks had it: the types from boto3, the second of two accelerators, the first input by its place."""

import sys

import boto3
import numpy as np
from ei_for_tf.python.predictor.ei_predictor import EIPredictor

client = boto3.client("elastic-inference")
response = client.describe_accelerators()
types = [one["acceleratorType"] for one in response["acceleratorSet"]]
ids = [one["acceleratorId"] for one in response["acceleratorSet"]]
health = {one["acceleratorHealth"]["status"] for one in response["acceleratorSet"]}

predictor = EIPredictor(sys.argv[1] + "/", tags="serve", accelerator_id=len(ids) - 1)
key = list(predictor.feed_tensors)[0]
shape = [1 if size is None else size for size in predictor.feed_tensors[key].shape]
results = [predictor({key: np.random.rand(*shape)}) for _ in range(5)]
try:
    EIPredictor(sys.argv[1], accelerator_id=7)
except Exception as error:
    print(error)
print(types, health, list(predictor.fetch_tensors), [sorted(one) for one in results[:1]])
