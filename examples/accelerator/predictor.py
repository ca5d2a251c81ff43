"""A script for Elastic Inference's TensorFlow, as AWS's guide wrote them: EIPredictor runs a SavedModel's signature.

python predictor.py SAVED_MODEL IMAGES.npz
"""

import sys

import numpy as np
from ei_for_tf.python.predictor.ei_predictor import EIPredictor

model, digits = sys.argv[1], np.load(sys.argv[2])
predictor = EIPredictor(model_dir=model, accelerator_id=0)
given, answered = next(iter(predictor.feed_tensors)), next(iter(predictor.fetch_tensors))

guesses = []
for image in digits["held_out_images"][:100]:
    prediction = predictor({given: image.transpose(1, 2, 0)[np.newaxis]})
    guesses.append(int(np.argmax(prediction[answered])))
right = int((np.array(guesses) == digits["held_out_labels"][:100]).sum())
print(f"{right} of 100 right, the first: {guesses[:10]}")
