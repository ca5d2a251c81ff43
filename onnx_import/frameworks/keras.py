"""Keras models, by tf2onnx: .keras and .h5 files, and models at hand.

tf2onnx's own entry for Keras fails on Keras 3, so the model is exported as the function that it computes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx_import.frameworks.errors import ExportError, UntrustedSource
from onnx_import.frameworks.options import Options


def from_file(path: Path, options: Options) -> Any:
    """A whole model's file; one with Python code in it only where the caller trusts it."""
    import keras

    _require_tensorflow()
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=not options.is_trusted)
    except (TypeError, ValueError) as error:
        if "safe_mode" in str(error) or "unsafe" in str(error):
            raise UntrustedSource(path.name, "has Lambda layers: Python code that runs when it is loaded") from error
        raise
    return from_object(model, options)


def from_object(model: Any, options: Options) -> Any:
    """A built model; outputs keep their order, and are named for the layers that give them."""
    import tensorflow as tf
    from tf2onnx.convert import from_function

    from onnx_import.frameworks.tensorflow_ops import inlined

    _require_tensorflow()
    if not getattr(model, "inputs", None):
        raise ExportError(f"the Keras model {model.name} has not been built: call it once, or give it an Input layer")
    names = list(getattr(model, "output_names", None) or [model.layers[-1].name])  # a Sequential has but one

    def call(*inputs: Any) -> dict[str, Any]:
        given = tf.nest.pack_sequence_as(model.input, inputs) if len(inputs) > 1 else inputs[0]
        return dict(zip(names, tf.nest.flatten(model(given, training=False)), strict=True))

    specs = [tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name) for tensor in model.inputs]
    with inlined():
        exported, _ = from_function(tf.function(call), specs, opset=options.opset)
    order = {name: place for place, name in enumerate(names)}
    outputs = sorted(exported.graph.output, key=lambda info: order.get(info.name, len(order)))
    del exported.graph.output[:]
    exported.graph.output.extend(outputs)
    return exported


def _require_tensorflow() -> None:
    import keras

    if keras.config.backend() != "tensorflow":
        raise ExportError(f"Keras runs on {keras.config.backend()} here; export runs on TensorFlow: KERAS_BACKEND=tensorflow")
