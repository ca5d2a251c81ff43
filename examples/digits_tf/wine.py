"""Fit a logistic regression on scikit-learn's wines as in TF1's days, and save it as TF1 did: placeholders, a session, a builder.

The held-out wines go to an .npz file: features (n, 13) and labels.

    python examples/digits_tf/wine.py build/digits_tf/wine.npz build/digits_tf/models/wine/00000001
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow.compat.v1 as tf
from sklearn.datasets import load_wine

HELD_OUT = 45
"""Of 178; drawn by chance from a fixed seed, because the set runs through the classes in order."""

STEPS = 300


def main(held_out_file: Path, target: Path) -> None:
    wine = load_wine()
    order = np.random.default_rng(7).permutation(len(wine.data))
    held_out, others = order[:HELD_OUT], order[HELD_OUT:]
    np.savez(held_out_file, held_out_features=wine.data[held_out], held_out_labels=wine.target[held_out])
    features, labels = wine.data[others], wine.target[others]
    with tf.Graph().as_default(), tf.Session() as session:
        given = tf.placeholder(tf.float32, [None, features.shape[1]], "features")
        due = tf.placeholder(tf.int64, [None], "labels")
        scaled = (given - features.mean(0)) / features.std(0)
        weights = tf.get_variable("weights", [features.shape[1], 3], initializer=tf.zeros_initializer())
        bias = tf.get_variable("bias", [3], initializer=tf.zeros_initializer())
        scores = tf.matmul(scaled, weights) + bias
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=due, logits=scores))
        step = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
        outputs = {"probabilities": tf.nn.softmax(scores), "classes": tf.argmax(scores, 1)}
        session.run(tf.global_variables_initializer())
        for number in range(1, STEPS + 1):
            _, reached = session.run([step, loss], {given: features, due: labels})
            if number % 100 == 0:
                print(f"  step {number} of {STEPS}: loss {reached:.4f}", flush=True)
        save(session, {"features": given}, outputs, target)


def save(session: tf.Session, inputs: dict[str, tf.Tensor], outputs: dict[str, tf.Tensor], target: Path) -> None:
    builder = tf.saved_model.Builder(str(target))
    signature = tf.saved_model.predict_signature_def(inputs, outputs)
    builder.add_meta_graph_and_variables(session, [tf.saved_model.SERVING], {"serving_default": signature})
    builder.save()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
