"""What a user's `model_fn` returns, as a loaded model: Modules and Gluon blocks.

A Module and a hybrid block are turned into their symbol and parameters, which the backend runs best. A block that cannot
be traced is called as it is, and so is everything where an accelerator is attached: the script has chosen what runs there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from serving import settings
from serving.backends.base import LoadedModel
from serving.backends.mxnet import SymbolModel, first_line
from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError, ServingError
from serving.invocation import Inputs, Outputs
from serving.models.signature import Signature, Tensor

_UNKNOWN = Signature((Tensor("data", None, np.dtype("float32")),))


def adapt(made: Any, signature: Signature | None) -> LoadedModel:
    """A loaded model around a Module or a Gluon block; ModelError for anything else, or where it is not initialized."""
    mx = import_mxnet()
    if isinstance(made, mx.module.Module):
        if not made.params_initialized:
            raise ModelError("model_fn returned a Module without parameters: call set_params or init_params")
        if settings.read().accelerators:
            return ModuleModel(made, signature or _of_module(made))
        args, aux = made.get_params()
        return SymbolModel(made.symbol, args, aux, signature or _of_module(made))
    if isinstance(made, mx.gluon.Block):
        _check_initialized(made)
        return _of_block(made, signature or _UNKNOWN)
    raise ModelError(f"model_fn returned a value of type {type(made).__name__}: expected a Gluon block or a Module")


def _of_module(module: Any) -> Signature:
    """The signature that a module was bound with, or an open one by its data names."""
    bound = {desc.name: desc for desc in module.data_shapes} if module.binded else {}
    tensors = [
        Tensor(name, (None, *bound[name].shape[1:]), np.dtype(bound[name].dtype))
        if name in bound
        else Tensor(name, None, np.dtype("float32"))
        for name in module.data_names
    ]
    return Signature(tuple(tensors))


def _check_initialized(block: Any) -> None:
    """ModelError for parameters that no first pass will make; those whose shapes wait for one are fine."""
    mx = import_mxnet()
    for name, parameter in block.collect_params().items():
        try:
            parameter.data()
        except mx.gluon.parameter.DeferredInitializationError:
            continue
        except RuntimeError:
            raise ModelError(
                f"model_fn returned a Gluon block whose parameter {name} is not initialized: load_parameters or initialize"
            ) from None


def _of_block(block: Any, signature: Signature) -> LoadedModel:
    mx = import_mxnet()
    if isinstance(block, mx.gluon.HybridBlock) and not settings.read().accelerators:
        try:
            return _trace(block, signature)
        except (
            mx.MXNetError,
            mx.gluon.parameter.DeferredInitializationError,
            TypeError,
            ValueError,
            AttributeError,
            AssertionError,
        ):
            pass  # its hybrid_forward looks at values or shapes, or its parameters wait for a first pass
    return BlockModel(block, signature)


def _trace(block: Any, signature: Signature) -> SymbolModel:
    """The symbol of a hybrid block, by calling it on variables, with its parameters."""
    mx = import_mxnet()
    output = block(*[mx.sym.var(tensor.name) for tensor in signature.inputs])
    symbol = mx.sym.Group(list(output)) if isinstance(output, (list, tuple)) else output
    arrays = {name: parameter.data() for name, parameter in block.collect_params().items()}
    states = set(symbol.list_auxiliary_states())
    args = {name: array for name, array in arrays.items() if name not in states}
    return SymbolModel(symbol, args, {name: arrays[name] for name in states}, signature)


class ModuleModel:
    """A Module whose own forward pass is called, wherever it is bound."""

    stackable = False

    def __init__(self, module: Any, signature: Signature) -> None:
        self._module = module
        self.signature = signature
        if not module.binded:
            shapes = [(tensor.name, tuple(size or 1 for size in tensor.shape or (1,))) for tensor in signature.inputs]
            args, aux = module.get_params()
            module.bind(data_shapes=shapes, for_training=False)
            module.set_params(args, aux, allow_missing=True, allow_extra=True)

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass over the rows; ModelError where MXNet refuses their shapes."""
        mx = import_mxnet()
        batch = mx.io.DataBatch([mx.nd.array(inputs[name], dtype=inputs[name].dtype) for name in self._module.data_names])
        try:
            self._module.forward(batch, is_train=False)
            return {
                name: array.asnumpy() for name, array in zip(self._module.output_names, self._module.get_outputs(), strict=True)
            }
        except ServingError:  # an accelerator's, which MXNet's error is too there
            raise
        except mx.MXNetError as error:
            given = {name: array.shape for name, array in inputs.items()}
            raise ModelError(f"the model does not take inputs of shape {given}: {first_line(error)}") from None

    def close(self) -> None:
        """Nothing is held beyond the Module."""


class BlockModel:
    """A Gluon block called imperatively."""

    def __init__(self, block: Any, signature: Signature) -> None:
        self._block = block
        self.signature = signature
        self.stackable = True

    def forward(self, inputs: Inputs) -> Outputs:
        """One call of the block over stacked rows; ModelError where MXNet refuses their shapes."""
        mx = import_mxnet()
        try:
            output = self._block(*[mx.nd.array(array, dtype=array.dtype) for array in inputs.values()])
        except ServingError:
            raise
        except mx.MXNetError as error:  # its message ends in a C++ stack trace
            shapes = {name: array.shape for name, array in inputs.items()}
            raise ModelError(f"the model does not take inputs of shape {shapes}: {first_line(error)}") from None
        outputs = list(output) if isinstance(output, (list, tuple)) else [output]
        return {f"output{at}": array.asnumpy() for at, array in enumerate(outputs)}

    def close(self) -> None:
        """Nothing is held beyond the block."""
