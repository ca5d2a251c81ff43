"""SavedModels of TF1 and TF2 written and frozen by TensorFlow, in a process of its own: `python freezing.py FOLDER`.

FOLDER/NAME/1 is a model and FOLDER/NAME/2 the frozen one; where it cannot be frozen the reason is in FOLDER/NAME/refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from serving.backends import tensorflow_freeze, tf_freezing
from serving.errors import ModelError

v1 = tf.compat.v1


def main(root: Path) -> None:
    """Write each model and freeze it."""
    keras.utils.set_random_seed(7)
    for make in (convolutions, recurrent, words, states, counts, mutable, first_generation, static_shape):
        folder = root / make.__name__
        make(folder / "1")
        try:
            with tensorflow_freeze.written(folder / "1", folder / "2") as hidden:
                tf_freezing.freeze(folder / "1", hidden)
                hidden.rename(folder / "2")
        except ModelError as error:
            (folder / "refused").write_text(str(error))


def convolutions(folder: Path) -> None:
    """Convolutions with batch norms that change something, in Keras."""
    image = keras.Input((8, 8, 3))
    inner = keras.layers.BatchNormalization(gamma_initializer="random_normal", beta_initializer="random_normal")
    hidden = keras.layers.ReLU()(inner(keras.layers.Conv2D(8, 3)(image)))
    keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(hidden))).export(folder, verbose=False)


def recurrent(folder: Path) -> None:
    """A layer whose loop is a function."""
    model = keras.Sequential([keras.Input((None, 4)), keras.layers.LSTM(3)])
    model.export(folder, verbose=False)


class Words(tf.Module):  # type: ignore[misc, unused-ignore]
    """A vocabulary file, a gather and a loop that read one variable."""

    def __init__(self, file: Path) -> None:
        self.file = tf.saved_model.Asset(str(file))
        lookup = tf.lookup
        line = lookup.TextFileInitializer(
            self.file, tf.string, lookup.TextFileIndex.WHOLE_LINE, tf.int64, lookup.TextFileIndex.LINE_NUMBER
        )
        self.table = lookup.StaticHashTable(line, 0)
        self.weight = tf.Variable(tf.reshape(tf.range(12.0), (3, 4)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="words")])
    def __call__(self, words: Any) -> dict[str, Any]:
        """Rows of the weight, plus a sum that a loop makes."""
        _, total = tf.while_loop(lambda n, _: n < 3, lambda n, total: (n + 1, total + tf.reduce_sum(self.weight)), [0, 0.0])
        return {"rows": tf.gather(self.weight, self.table.lookup(words)) + total}


def words(folder: Path) -> None:
    """A table filled from a vocabulary file, which is gone from where it was."""
    file = folder.parent / "vocabulary"
    file.parent.mkdir()
    file.write_text("zero\none\ntwo\n")
    module = Words(file)
    tf.saved_model.save(module, str(folder), signatures=module.__call__)
    file.unlink()


def counter(change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A model that does something with a variable in every pass."""

    def make(folder: Path) -> None:
        module = tf.Module()
        module.count = tf.Variable(0.0)
        spec = tf.TensorSpec([None], tf.float32, name="x")
        module.serve = tf.function(lambda x: {"y": x + change(module.count)}, input_signature=[spec])
        tf.saved_model.save(module, str(folder), signatures=module.serve)

    return make


def states(folder: Path) -> None:
    """A model that reads a variable, and no more."""
    counter(lambda count: count.read_value())(folder)


def counts(folder: Path) -> None:
    """A model that counts its passes."""
    counter(lambda count: count.assign_add(1.0))(folder)


def mutable(folder: Path) -> None:
    """A table that is restored from the checkpoint."""
    module = tf.Module()
    module.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
    spec = tf.TensorSpec([None], tf.string, name="words")
    module.serve = tf.function(lambda words: {"ids": module.table.lookup(words)}, input_signature=[spec])
    tf.saved_model.save(module, str(folder), signatures=module.serve)


def first_generation(folder: Path) -> None:
    """TF1: reference variables, a partitioned and a local one, a table, and a signature that takes Examples."""
    with v1.Session(graph=tf.Graph()) as session:
        x, serialized = v1.placeholder(tf.float32, [None, 4], "x"), v1.placeholder(tf.string, [None], "examples")
        weight = v1.get_variable("w", [4, 6], partitioner=v1.fixed_size_partitioner(2, axis=1), use_resource=False)
        local = [v1.GraphKeys.LOCAL_VARIABLES]
        bias = v1.get_variable("b", [6], collections=local, initializer=v1.ones_initializer(), use_resource=False)
        names = tf.lookup.KeyValueTensorInitializer(tf.range(6, dtype=tf.int64), tf.constant(list("abcdef")))
        table = tf.lookup.StaticHashTable(names, "?")
        parsed = v1.io.parse_example(serialized, {"x": v1.io.FixedLenFeature([4], tf.float32)})["x"]
        scores, of_examples = (tf.identity(rows @ tf.convert_to_tensor(weight) + bias) for rows in (x, parsed))
        label = table.lookup(tf.argmax(scores, 1))
        first = v1.group(v1.local_variables_initializer(), v1.tables_initializer())
        session.run([v1.global_variables_initializer(), first])
        info, build = v1.saved_model.utils.build_tensor_info, v1.saved_model.signature_def_utils.build_signature_def
        signatures = {
            "serving_default": build({"x": info(x)}, {"y": info(scores), "label": info(label)}, "tensorflow/serving/predict"),
            "classify": build({"inputs": info(serialized)}, {"scores": info(of_examples)}, "tensorflow/serving/classify"),
        }
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures, main_op=first)
        builder.save()


def static_shape(folder: Path) -> None:
    """TF1: a placeholder that states two rows, whose number counts, and an input that nothing needs."""
    with v1.Session(graph=tf.Graph()) as session:
        x, unused = v1.placeholder(tf.float32, [2, 3], "x"), v1.placeholder(tf.float32, [None], "unused")
        weight = v1.get_variable("w", [3], initializer=v1.ones_initializer())
        y = tf.identity(x * weight * tf.cast(tf.raw_ops.Shape(input=x)[0], tf.float32))  # tf.shape would take the stated one
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"x": x, "unused": unused}, {"y": y})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
