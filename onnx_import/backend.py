"""ONNX's standard backend interface: `prepare`, `run_model`, `run_node` and `supports_device`, as `onnx.backend.base.Backend` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx.backend.base import Backend, BackendRep

from onnx_import import passes
from onnx_import.graph import Graph
from onnx_import.loader import load
from onnx_import.program import Program
from onnx_import.reader import read


class Prepared(BackendRep):
    """A model ready to run."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = Program(graph)

    def run(self, inputs: Any, **_: Any) -> tuple[Any, ...]:
        """The outputs in order, of a dict by input name or of a sequence in the order of the graph's fed inputs."""
        if not isinstance(inputs, dict):
            values = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            inputs = dict(zip([info.name for info in self.graph.feeds], values, strict=False))
        return tuple(self.program.run(inputs))


class MXNetBackend(Backend):
    """Runs ONNX models as MXNet graphs, on the CPU."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Prepared:
        """A model that `run` runs; UnsupportedModel lists every node that cannot be converted."""
        super().prepare(model, device, **kwargs)
        return Prepared(passes.run(read(load(model)))[0])

    @classmethod
    def run_node(
        cls, node: onnx.NodeProto, inputs: Any, device: str = "CPU", outputs_info: Sequence[Any] | None = None, **kwargs: Any
    ) -> tuple[Any, ...]:
        """The outputs of one node of the newest opset (or of `opset_version`) for the given arrays."""
        super().run_node(node, inputs, device, outputs_info, **kwargs)
        names = [name for name in node.input if name]
        arrays = [inputs[name] for name in names] if isinstance(inputs, dict) else list(inputs)
        kinds = [onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for array in arrays]
        made = [onnx.helper.make_tensor_value_info(n, k, a.shape) for n, k, a in zip(names, kinds, arrays, strict=True)]
        ends = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output if name]
        version = kwargs.get("opset_version", onnx.defs.onnx_opset_version())
        graph = onnx.helper.make_graph([node], "node", made, ends)
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid(node.domain, version)])
        # An output must have a type: that which ONNX infers.
        return cls.prepare(onnx.shape_inference.infer_shapes(model), device).run(dict(zip(names, arrays, strict=True)))

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether a device is the CPU."""
        return bool(device.split(":")[0] == "CPU")


prepare = MXNetBackend.prepare
run_node = MXNetBackend.run_node
run_model = MXNetBackend.run_model
supports_device = MXNetBackend.supports_device
is_compatible = MXNetBackend.is_compatible


def open_file(path: str) -> Any:
    """A function of {input name: array} that gives the outputs of a model file in order."""
    return Prepared(passes.run(read(load(path)))[0]).run
