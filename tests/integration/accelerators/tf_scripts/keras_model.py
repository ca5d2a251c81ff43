"""A Keras model of three inputs, and an .h5 file of one with a layer of the user's own."""

import sys

import keras
import numpy as np
from ei_for_tf.python.keras.ei_keras import EIKerasModel


class Doubling(keras.layers.Layer):
    """A custom layer."""

    def call(self, x):
        """Twice the input."""
        return x * 2


inputs = [keras.Input((4,), name="third"), keras.Input((3,), name="a_second"), keras.Input((2,), dtype="int32")]
joined = keras.layers.Concatenate()([inputs[0], inputs[1], keras.ops.cast(inputs[2], "float32")])
model = keras.Model(inputs, [keras.layers.Dense(2)(joined), keras.layers.Dense(5)(joined)])
random = np.random.RandomState(0)
x = [random.rand(70, 4), random.rand(70, 3), np.arange(140).reshape(70, 2)]
attached = EIKerasModel(model)
there, here = attached.predict(x, batch_size=16), model.predict(x, verbose=0)
assert [one.shape for one in there] == [(70, 2), (70, 5)]
for one, other in zip(there, here, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)

single = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), Doubling(), keras.layers.Flatten()])
single.save(sys.argv[1])
images = random.rand(3, 8, 8, 3)
loaded = EIKerasModel(sys.argv[1], custom_objects={"Doubling": Doubling})
there = loaded.predict(images)
np.testing.assert_allclose(there, single.predict(images, verbose=0), rtol=1e-5, atol=1e-5)
print(there.shape)
