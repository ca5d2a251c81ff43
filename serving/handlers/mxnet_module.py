"""The Module that scripts get where they have no `model_fn`: MXNet's class, with the server's own executors behind it.

`predict` and `forward` of plain inputs run where the default pass runs, over the same parameter arrays; all else is MXNet's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from serving import settings
from serving.backends import mxnet as backend
from serving.backends.mxnet_import import import_mxnet
from serving.handlers import mxnet_array
from serving.invocation import Array
from serving.models.signature import Signature, Tensor


def bound(symbol: Any, args: dict[str, Any], aux: dict[str, Any], signature: Signature) -> Any:
    """A Module of the symbol, bound with one row (sizes left open are 1) and given its parameters.

    Bound to the accelerator where one is attached, as AWS's container did up to MXNet 1.5; there the short way is not shorter.
    """
    mx = import_mxnet()
    names = [tensor.name for tensor in signature.inputs]
    device = settings.read().attached_device
    if device is None:
        module = _class()(symbol, context=mx.cpu(), data_names=names, label_names=None)
    else:
        module = mx.mod.Module(symbol, context=_eia(mx, device), data_names=names, label_names=None)
    shapes = [(tensor.name, tuple(size or 1 for size in tensor.shape or ())) for tensor in signature.inputs]
    module.bind(data_shapes=shapes, for_training=False)
    module.set_params(args, aux, allow_missing=True, allow_extra=True)
    return module


def _eia(mx: Any, ordinal: int) -> Any:
    """The context of an accelerator; a genuine build's own where there is one."""
    if not hasattr(mx, "eia"):
        from serving.accelerators import eia

        eia.install(mx)
    return mx.eia(ordinal)


@lru_cache(maxsize=1)
def _class() -> type[Any]:
    mx = import_mxnet()

    class ServedModule(mx.mod.Module):  # type: ignore[misc,name-defined]
        """A Module whose inference of one plain input takes the short way."""

        def set_params(self, *args: Any, **options: Any) -> Any:
            """Set the parameters; the short way reads the bound arrays themselves, so it has them too."""
            super().set_params(*args, **options)
            self._answers: list[Any] | None = None
            (executor,) = self._exec_group.execs
            held = {name: array for name, array in executor.arg_dict.items() if name not in self.data_names}
            inputs = tuple(Tensor(desc.name, (None, *desc.shape[1:]), np.dtype(desc.dtype)) for desc in self.data_shapes)
            self._short = backend.SymbolModel(self.symbol, held, executor.aux_dict, Signature(inputs))

        def forward(self, data_batch: Any, is_train: Any = None) -> None:
            """One pass; by the short way where the batch is one array in the shape that the model takes."""
            data = getattr(data_batch, "data", None)
            plain = self._plain(data[0]) if not is_train and isinstance(data, list) and len(data) == 1 else None
            self._answers = None if plain is None else self._run(plain)
            if plain is None:
                super().forward(data_batch, is_train)

        def get_outputs(self, merge_multi_context: bool = True) -> Any:
            """The outputs of the last pass."""
            return list(self._answers) if self._answers is not None else super().get_outputs(merge_multi_context)

        def predict(self, eval_data: Any, *args: Any, **options: Any) -> Any:
            """The prediction for all rows; by the short way where they are the default input."""
            plain = self._plain(eval_data) if not args and not options and len(self.data_names) == 1 else None
            if plain is None:
                return super().predict(eval_data, *args, **options)
            answers = self._run(plain)
            return answers[0] if len(answers) == 1 else answers

        def _plain(self, data: Any) -> Array | None:
            """The rows of an array in the bound shape and type; None where MXNet's own way has to decide."""
            if len(self.data_names) != 1 or not hasattr(data, "asnumpy") or not hasattr(self, "_short"):
                return None
            desc = self.data_shapes[0]
            if tuple(data.shape[1:]) != tuple(desc.shape[1:]) or not data.shape[0] or data.dtype != desc.dtype:
                return None
            return mxnet_array.values(data)

        def _run(self, rows: Array) -> list[Any]:
            return [mxnet_array.lazy(array) for array in self._short.forward({self.data_names[0]: rows}).values()]

    return ServedModule
