"""`EIPredictor`, where scripts import it from."""

from serving.accelerators.tensorflow.predictor import EIPredictor as EIPredictor
