"""Train a small convolutional network on the digits with Keras, and export it as a SavedModel.

python examples/digits_tf/digits.py build/digits_tf/digits.npz build/digits_tf/models/digits/1
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

EPOCHS = 12
BATCH = 64


def network() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def report(epoch: int, logs: dict[str, float]) -> None:
    print(f"  epoch {epoch + 1:2} of {EPOCHS}: loss {logs['loss']:.4f}", flush=True)


def main(source: Path, target: Path) -> None:
    keras.utils.set_random_seed(7)
    digits = np.load(source)
    images = digits["images"].transpose(0, 2, 3, 1)
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    progress = keras.callbacks.LambdaCallback(on_epoch_end=report)
    model.fit(images, digits["labels"], BATCH, EPOCHS, verbose=0, callbacks=[progress])
    model.export(target, verbose=False)
    print(f"  {target}: {sum(path.stat().st_size for path in target.rglob('*') if path.is_file()) / 1024:.0f} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
