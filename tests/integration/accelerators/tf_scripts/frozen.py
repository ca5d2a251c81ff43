"""A frozen graph, on the accelerator and on this host, as the AMI's guide compared them."""

import sys

import numpy as np
from ei_for_tf.python.predictor.ei_predictor import EIPredictor

names = {"input_names": {"image": "image:0"}, "output_names": {"prediction": "prediction:0"}}
x = np.random.RandomState(0).rand(4, 7)
predictors = [EIPredictor(sys.argv[1], use_ei=use_ei, **names) for use_ei in (True, False)]
answers = [predictor({"image": x}) for predictor in predictors]
assert answers[0]["prediction"].dtype == np.float32
assert (answers[0]["prediction"] == answers[1]["prediction"]).all()
print(answers[0]["prediction"].sum())
