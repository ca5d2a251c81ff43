"""Executors of the symbol and module API whose passes run on an accelerator.

MXNet binds the graph here too, for its arrays, shapes, dtypes and errors; it never runs it, so that what the passes would
need is address space and no memory. Everything that scripts do with an executor's arrays is MXNet's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from serving.accelerators import eia_arrays, eia_faults
from serving.accelerators.eia_faults import refusal
from serving.accelerators.eia_graph import Graph
from serving.accelerators.eia_roles import Roles, weights
from serving.backends.mxnet_import import import_mxnet
from serving.invocation import Array

mx = import_mxnet()


def check_group(contexts: Sequence[Any], given: Mapping[str, Any]) -> None:
    """Refuse what Elastic Inference refused of a Module, where its graph is to run on an accelerator."""
    if len(contexts) > 1 or any(given.get("group2ctxs") or ()):
        raise refusal(eia_faults.SEVERAL, "give the Module one context, and other Modules other accelerators")
    ordinal = getattr(contexts[0], "ordinal", 0)
    if given.get("for_training") and eia_faults.accelerator(ordinal) is not None:
        raise refusal(eia_faults.TRAINING, "bind with for_training=False")


def bind(plain: Callable[..., Any], symbol: Any, ordinal: int, given: dict[str, Any]) -> Any:
    """What `Symbol.bind` or `simple_bind`, which `plain` is, returns for a graph on an accelerator.

    It is MXNet's own executor where EI_FALLBACK lets an accelerator be absent, and it is.
    """
    if given.pop("group2ctx", None):
        raise refusal(eia_faults.SEVERAL, "a graph is not divided between devices")
    if eia_faults.accelerator(ordinal) is None:
        return plain(**given)
    given["grad_req"] = "null"  # scripts leave it at `write`, and never ask for a gradient
    roles = Roles(symbol.list_arguments(), given.get("shared_arg_names"), weights(symbol.tojson()))
    return _taken(plain(**given), Graph(symbol, ordinal), roles)


def _taken(executor: Any, graph: Graph, roles: Roles) -> EiaExecutor:
    """The very executor that MXNet made, with its passes elsewhere."""
    executor.__class__ = EiaExecutor
    executor._take(graph, roles)
    found: EiaExecutor = executor
    return found


class EiaExecutor(mx.executor.Executor):  # type: ignore[misc,unused-ignore,name-defined]
    """An executor on an accelerator. As with MXNet's, each thread needs one of its own."""

    def _take(self, graph: Graph, roles: Roles) -> None:
        self._graph, self._roles = graph, roles
        self._specs = [_spec(array) for array in self.outputs]
        self._watch = None if roles.is_settled else eia_arrays.Writes(self.arg_arrays)
        self._seen: list[int] = []
        self._assign()

    def _assign(self) -> None:
        """Take the arrays by their roles."""
        arrays, states = self.arg_dict, self.aux_dict
        self._inputs = {name: arrays[name] for name in self._roles.inputs}
        self._params = [*(arrays[name] for name in self._roles.parameters), *states.values()]
        self._names = (*self._roles.parameters, *states)

    def forward(self, is_train: bool = False, **kwargs: Any) -> list[Any]:
        """One pass over what the bound arrays hold, with `kwargs` written to them before."""
        if is_train:
            raise refusal(eia_faults.TRAINING)
        for name, array in kwargs.items():
            self._feed(name, array)
        if self._watch is not None or kwargs.keys() - self._inputs.keys():
            self._learn(kwargs)
        sent = self._graph.fresh(self._names, self._params)
        if sent is None:
            if self._roles.change(self._graph.changed(self._names, self._params)):
                self._assign()
            sent = self._graph.send(self._names, self._params, self._inputs)
        self._write(self._graph.run(sent, self._inputs))
        return list(self.outputs)

    def _feed(self, name: str, array: Any) -> None:
        """Write what a pass is handed into the bound array; errors are MXNet's."""
        if not isinstance(array, (mx.nd.NDArray, np.ndarray)):
            raise ValueError("only accept keyword argument of NDArrays and numpy.ndarray")
        if name not in self.arg_dict:
            raise TypeError(f"Unknown argument {name}")
        bound = self.arg_dict[name]
        if bound.shape != array.shape:
            raise ValueError(f"Shape not match! Argument {name}, need: {bound.shape}, received: {array.shape}")
        if isinstance(array, np.ndarray):
            bound[:] = array
        else:
            array.copyto(bound)

    def _learn(self, fed: Mapping[str, Any]) -> None:
        """See what the script feeds, or has written to since the last pass."""
        is_other = self._roles.feed(fed)
        if self._watch is not None:
            eia_arrays.settle()
            counts = self._watch.counts()
            if self._seen and not fed:
                changed = [n for n, was, now in zip(self._roles.names, self._seen, counts, strict=True) if was != now]
                is_other |= self._roles.change(changed)
            self._seen = counts
        if self._roles.is_settled:
            self._watch = None
        if is_other:
            self._assign()

    def _write(self, results: list[Array]) -> None:
        """Put the results into the bound outputs, which scripts may hold."""
        for at, result in enumerate(results):
            if self._specs[at] == (result.shape, result.dtype):
                self.outputs[at]._sync_copyfrom(result)
            else:  # an output whose shape only the pass itself knows
                self.outputs[at] = mx.nd.array(result, dtype=result.dtype)
                self._specs[at], self._output_dict = (result.shape, result.dtype), None

    def backward(self, out_grads: Any = None, is_train: bool = True) -> None:
        """There are no gradients."""
        raise refusal(eia_faults.TRAINING)

    def reshape(self, partial_shaping: bool = False, allow_up_sizing: bool = False, **kwargs: Any) -> EiaExecutor:
        """An executor of the same parameters for other shapes; the accelerator keeps one copy for both."""
        made = super().reshape(partial_shaping, allow_up_sizing, **kwargs)
        return _taken(made, self._graph, self._roles)

    def set_monitor_callback(self, callback: Any, monitor_all: bool = False) -> None:
        """The values inside a graph stay on the accelerator."""
        raise refusal("a Monitor does not see into a graph on an accelerator", "bind it to mx.cpu()")


def _spec(array: Any) -> tuple[tuple[int, ...], Any] | None:
    """An output's shape and dtype; None where only a pass will know them."""
    try:
        return tuple(array.shape), np.dtype(array.dtype)
    except mx.MXNetError:
        return None
