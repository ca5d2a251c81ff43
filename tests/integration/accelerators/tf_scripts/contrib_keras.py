"""The same class by the path of TensorFlow 1's build, with the plain arguments."""

import keras
import numpy as np
from tensorflow.contrib.ei.python.keras.ei_keras import EIKerasModel

model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
x = np.ones((2, 4))
attached = EIKerasModel(model)
np.testing.assert_allclose(attached.predict(x), model.predict(x, verbose=0), rtol=1e-6)
