"""`ei_host`: the custom operator by which stock MXNet runs what no MXNet graph expresses.

    import onnx_import.custom
    symbol = mx.sym.load("model-symbol.json")

Its parameters name a numpy function of this package (`calls`); sizes and dtypes of what it gives were fixed when the model
was converted. Our server does not go this way: MXNet calls Python back on threads of its own, which do not survive a fork.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from onnx_import import calls
from serving.backends.mxnet_import import import_mxnet

NAME = "ei_host"

_mx = import_mxnet()


class HostOperator(_mx.operator.CustomOp):  # type: ignore[misc, name-defined]
    """One call, whenever MXNet's pass comes to it."""

    def __init__(self, call: calls.Call) -> None:
        super().__init__()
        self._call = call

    def forward(self, is_train: bool, req: Sequence[str], in_data: Sequence[Any], out_data: Sequence[Any], aux: Any) -> None:  # noqa: ARG002
        """Compute the outputs, as MXNet asks."""
        results = self._call([array.asnumpy() for array in in_data])
        for result, wanted, output in zip(results, req, out_data, strict=True):
            if wanted == "add":
                result = output.asnumpy() + result  # noqa: PLW2901
            if wanted != "null":
                output._sync_copyfrom(result)


@_mx.operator.register(NAME)
class HostProperty(_mx.operator.CustomOpProp):  # type: ignore[misc, name-defined]
    """What MXNet asks of the operator while it binds a symbol."""

    def __init__(self, **parameters: str) -> None:
        super().__init__(need_top_grad=False)
        self._call = calls.read(parameters)

    def list_arguments(self) -> list[str]:
        """Names of the inputs."""
        return [f"input{number}" for number in range(self._call.inputs)]

    def list_outputs(self) -> list[str]:
        """Names of the outputs."""
        return [f"output{number}" for number in range(len(self._call.outputs))]

    def infer_shape(self, in_shape: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """The outputs' shapes are the converted ones."""
        return in_shape, [shape for shape, _ in self._call.outputs], []

    def infer_type(self, in_type: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """So are their dtypes."""
        return in_type, [np.dtype(dtype).type for _, dtype in self._call.outputs], []

    def create_operator(self, ctx: Any, in_shapes: Any, in_dtypes: Any) -> HostOperator:  # noqa: ARG002
        """The operator itself."""
        return HostOperator(self._call)
