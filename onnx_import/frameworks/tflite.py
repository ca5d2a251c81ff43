"""TensorFlow Lite's files, by tf2onnx. Inputs and outputs are named and ordered as the file's signature has them, where it has one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx_import.frameworks.options import Options


def from_file(path: Path, options: Options) -> Any:
    """A .tflite file; quantised tensors stay quantised."""
    from tf2onnx.convert import from_tflite

    exported, _ = from_tflite(str(path), opset=options.opset)
    taken = {name for node in exported.graph.node for name in node.output}
    inputs, outputs = ({old: new for old, new in names.items() if new not in taken} for names in _signature(path))
    _arrange(exported.graph.input, inputs)
    _arrange(exported.graph.output, outputs)
    for node in exported.graph.node:
        node.input[:] = [inputs.get(name, outputs.get(name, name)) for name in node.input]
        node.output[:] = [outputs.get(name, name) for name in node.output]
    return exported


def _signature(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Tensor names to the signature's, for the inputs and for the outputs; empty where there is no signature, or more than one."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(model_path=str(path))
    if len(interpreter.get_signature_list()) != 1:
        return {}, {}
    runner = interpreter.get_signature_runner()
    inputs, outputs = (
        {details["name"]: name for name, details in tensors.items()}
        for tensors in (runner.get_input_details(), runner.get_output_details())
    )
    # An output that is an input, too, can have but one name.
    return inputs, {tensor: name for tensor, name in outputs.items() if tensor not in inputs}


def _arrange(infos: Any, names: dict[str, str]) -> None:
    """Rename a graph's ends, in the order of `names`."""
    order = {tensor: place for place, tensor in enumerate(names)}
    arranged = sorted(infos, key=lambda info: order.get(info.name, len(order)))
    for info in arranged:
        info.name = names.get(info.name, info.name)
    del infos[:]
    infos.extend(arranged)
