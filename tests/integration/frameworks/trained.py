"""Keras models of real data and what they answer, made by TensorFlow itself: `python trained.py FOLDER`, in a process of its own.

digits.keras, .h5, .tflite    a small convolutional net on the digits
versions/2    the same as a SavedModel, where TF Serving would look for its versions
small.tflite  the same, quantised to int8
rows.keras    an LSTM that reads a digit row by row
block.keras   a block of ConvNeXt as it begins: a convolution by groups, and the exact GELU
answers.npz   the inputs: images, held out; and the answers: digits, lite, small, rows, block
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits

HELD_OUT = 60
EPOCHS = 4


def main(folder: Path) -> None:
    """Train, save and answer."""
    keras.utils.set_random_seed(1)
    data = load_digits()
    images = (data.images[..., None] / 16).astype(np.float32)
    train, held_out = (images[HELD_OUT:], data.target[HELD_OUT:]), images[:HELD_OUT]
    digits, rows = fit(net(), *train), fit(reader(), *train)
    digits.save(folder / "digits.keras")
    digits.save(folder / "digits.h5")
    digits.export(folder / "versions" / "2", verbose=False)
    rows.save(folder / "rows.keras")
    block = groups()
    block.save(folder / "block.keras")
    lite, small = quantised(folder / "versions" / "2", train[0])
    (folder / "digits.tflite").write_bytes(lite)
    (folder / "small.tflite").write_bytes(small)
    said = {"digits": digits(held_out), "rows": rows(held_out), "lite": run(lite, held_out), "small": run(small, held_out)}
    said["block"] = block(held_out)
    np.savez(folder / "answers.npz", images=held_out, labels=data.target[:HELD_OUT], **said)


def net() -> Any:
    """A convolutional classifier."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.MaxPooling2D()(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax", name="digit")(x))


def reader() -> Any:
    """A recurrent classifier."""
    layers = [keras.layers.Reshape((8, 8)), keras.layers.LSTM(16), keras.layers.Dense(10, activation="softmax", name="digit")]
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), *layers])


def groups() -> Any:
    """What Keras has XLA compile, and what TensorFlow has an operator of its own for."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", groups=4)(keras.layers.Conv2D(8, 1)(image))
    x = keras.layers.Dense(16, activation="gelu")(keras.layers.LayerNormalization()(x))
    return keras.Model(image, keras.layers.Dense(10, name="digit")(keras.layers.GlobalAveragePooling2D()(x)))


def fit(model: Any, images: Any, labels: Any) -> Any:
    """The model, trained for a moment."""
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(images, labels, epochs=EPOCHS, batch_size=64, verbose=0)
    return model


def quantised(saved: Path, images: Any) -> tuple[bytes, bytes]:
    """TensorFlow Lite's file of a SavedModel, and one with int8 weights and activations."""
    plain = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    small = tf.lite.TFLiteConverter.from_saved_model(str(saved))
    small.optimizations = [tf.lite.Optimize.DEFAULT]
    small.representative_dataset = lambda: ([image[None]] for image in images[:100])
    return plain.convert(), small.convert()


def run(model: bytes, images: Any) -> Any:
    """TensorFlow Lite's own answers, image by image."""
    interpreter = tf.lite.Interpreter(model_content=model)
    runner = interpreter.get_signature_runner()
    return np.concatenate([next(iter(runner(image=image[None]).values())) for image in images])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
