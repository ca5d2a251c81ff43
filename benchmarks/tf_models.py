"""The SavedModels that are served, made once below build/bench, with bodies and answers as `models.py` has them.

    half: x / 2 + 2 over 64 floats      resnet: ResNet-50 of Keras, random weights      frozen: the same after `ei freeze`

The answers are those of the signature's function. A body is TensorFlow Serving's: {"instances": [row]}.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks import harness, models
from benchmarks.models import Model

SHAPES: dict[str, tuple[int, ...]] = {"half": (64,), "resnet": (224, 224, 3), "frozen": (224, 224, 3)}


def make(name: str) -> None:
    """Write the model, its bodies and the answers; the answers last, since they say that all is there."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    model = Model(name, harness.BUILD / "models" / name)
    version = model.directory / "1"
    shutil.rmtree(version, ignore_errors=True)
    model.directory.mkdir(parents=True, exist_ok=True)
    model.body_path("json", 0).parent.mkdir(exist_ok=True)
    if name == "frozen":
        frozen(models.prepare("resnet", "tf_models").directory / "1", version)
    else:
        {"half": half, "resnet": resnet}[name](version)
    rows = models.made_up(SHAPES[name])
    for number, row in enumerate(rows):
        body = json.dumps({"instances": row.tolist()}, separators=(",", ":"))
        model.body_path("json", number).write_text(body)
    models.finish(model, answers(version, rows))


def half(version: Path) -> None:
    """Write the smallest model there is, with variables."""
    import tensorflow as tf

    module = tf.Module()
    module.scale, module.shift = tf.Variable(0.5), tf.Variable(2.0)
    spec = tf.TensorSpec([None, 64], tf.float32, name="x")
    module.serve = tf.function(lambda x: {"y": module.scale * x + module.shift}, input_signature=[spec])
    tf.saved_model.save(module, str(version), signatures=module.serve)


def resnet(version: Path) -> None:
    """Write ResNet-50 as Keras exports it; scores, since random weights make all probabilities alike."""
    import keras

    keras.utils.set_random_seed(7)
    keras.applications.ResNet50(weights=None, classifier_activation=None).export(version, verbose=False)


def frozen(source: Path, version: Path) -> None:
    """Write what `ei freeze` makes of a version."""
    from serving.backends import tensorflow_freeze

    if tensorflow_freeze.main(source, version):
        raise SystemExit("the frozen model gives other numbers")


def answers(version: Path, rows: list[Any]) -> list[Any]:
    """What the signature's function gives for each row."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(version))
    function = loaded.signatures["serving_default"]
    (key,) = function.structured_input_signature[1]
    return [next(iter(function(**{key: tf.constant(row)}).values())).numpy() for row in rows]


if __name__ == "__main__":
    make(sys.argv[1])
    print(json.dumps(sys.argv[1]))
