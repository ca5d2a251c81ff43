"""`EIKerasModel`, where scripts import it from."""

from serving.accelerators.tensorflow.keras import EIKerasModel as EIKerasModel
