"""An MXNet symbol run call by call: bound in the call's own shapes and dtypes, as `Symbol.bind` binds it, nothing tuned.

A call may feed any of the declared inputs that have parameters, and must feed those that have none. Graphs that are bound
are kept, the latest used ones, as far as the budget goes. (Elastic Inference kept them all, until it was out of memory.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from serving.accelerators.engines import memory, mxnet_files, mxnet_graphs, mxnet_symbol
from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet import Executor, first_line, numpy_shapes
from serving.backends.mxnet import _view as view_of
from serving.backends.mxnet_import import import_mxnet
from serving.backends.mxnet_reshape import Reshapes
from serving.errors import ModelError
from serving.invocation import Array, Inputs, Outputs
from serving.models import shapes
from serving.models.signature import Signature, Tensor

DTYPES = ("float16", "float32", "float64", "uint8", "int8", "int32", "int64", "bool")
PRIMITIVE, BASE = memory.MIB // 2, 16 * memory.MIB
"""What oneDNN's code takes for an operator with parameters, and what a graph takes at least."""
Key = tuple[tuple[str, tuple[int, ...], str], ...]


class PlainExecutor(Executor):
    """A symbol bound as a user's script binds it."""

    def __init__(self, symbol: Any, arrays: dict[str, Any], aux: dict[str, Any], fed: dict[str, Any]) -> None:
        self._inputs = fed
        self._bound = symbol.bind(import_mxnet().cpu(), arrays, aux_states=aux, grad_req="null")
        self.views = {name: view_of(array) for name, array in fed.items()}
        self._handle = self._bound.handle
        self._forward = _forward
        self._outputs, self._pointers, self._results = [], [], []


def _forward(handle: Any, is_train: int) -> int:
    return int(import_mxnet().base._LIB.MXExecutorForward(handle, is_train))


class ExactModel:
    """A symbol and its parameters behind the engine protocol; each call is a pass of its own."""

    max_batch = 0
    report = ""

    def __init__(self, symbol: Any, args: dict[str, Any], aux: dict[str, Any], config: Config) -> None:
        self._symbol, self._config = symbol, config
        text = symbol.tojson()
        self._is_numpy = mxnet_symbol.is_numpy(text)
        arguments, states = symbol.list_arguments(), symbol.list_auxiliary_states()
        self._args = {name: args[name] for name in arguments if name in args}
        self._aux = {name: aux[name] if name in aux else args[name] for name in states if name in aux or name in args}
        known = {name: tuple(array.shape) for name, array in {**self._args, **self._aux}.items()}
        self.inputs = _inputs(json.loads(text), known, config, (arguments, states))
        self._dtypes = {name: np.dtype(array.dtype) for name, array in {**self._args, **self._aux}.items()}
        self.inputs = tuple(Tensor(t.name, t.shape, self._dtypes.get(t.name, t.dtype)) for t in self.inputs)
        self._fed = {tensor.name for tensor in self.inputs}
        self._names = unique(symbol.list_outputs())
        self.outputs = tuple(Tensor(name, None, np.dtype("float32")) for name in self._names)
        lacking = [name for name in states if name not in self._aux and name not in self._fed]
        if lacking:
            raise ModelError(f"the parameters lack the auxiliary states {lacking[:5]}, which the symbol needs")
        self._reshapes = Reshapes(symbol)
        self._weights = sum(math.prod(a.shape) * np.dtype(a.dtype).itemsize for a in {**self._args, **self._aux}.values())

    def stacks(self, inputs: Inputs) -> bool:  # noqa: ARG002
        """Never: a stacked pass rounds differently."""
        return False

    def forward(self, inputs: Inputs, outputs: tuple[str, ...]) -> Outputs:
        """One pass in the call's shapes. The arrays are the bound graph's memory."""
        for name in outputs:
            if name not in self._names:
                raise _invalid(f"the model has no output {name[:60]!r}: it has {_listed(self._names)}")
        self._check(inputs)
        key = tuple([(name, array.shape, array.dtype.name) for name, array in inputs.items()])
        results = self._results(key, inputs)
        found = dict(zip(self._names, results, strict=True))
        return {name: found[name] for name in outputs} if outputs else found

    def close(self) -> None:
        """Drop the bound graphs and the parameters, and give the memory back."""
        mxnet_graphs.KEPT.drop(self)
        self._args, self._aux = {}, {}
        memory.trim()

    def _check(self, inputs: Inputs) -> None:
        """AcceleratorError where names, dtypes or shapes are none that MXNet would take."""
        for name, array in inputs.items():
            if name not in self._fed:
                raise _invalid(f"the model has no input {name[:60]!r}: it has {_listed(self._fed)}")
            if array.dtype.name not in DTYPES:
                raise _invalid(f"the input {name} is of {array.dtype}, which MXNet does not have: it has {', '.join(DTYPES)}")
            if not self._is_numpy and not array.size:
                raise _invalid(f"the input {name} has no elements: its shape is {list(array.shape)}")
            if not self._is_numpy and not array.ndim:
                raise _invalid(f"the input {name} has no axis: MXNet takes [1] for a single number")
        missing = [t.name for t in self.inputs if t.name not in inputs and t.name not in self._dtypes]
        if missing:
            raise _invalid(f"the call lacks the inputs {_listed(missing)}")

    def _results(self, key: Key, inputs: Inputs) -> list[Array]:
        """The pass, by a graph that is kept or a new one."""
        graph = mxnet_graphs.KEPT.find(self, key)
        try:
            if graph is None:
                need = self._need(inputs)
                if not mxnet_graphs.admit(need, lambda: self._run(self._bind(inputs), inputs)):
                    raise MemoryError
                graph = self._bind(inputs)
            results = self._run(graph, inputs)
        except (import_mxnet().MXNetError, RuntimeError, ModelError, ValueError, MemoryError) as error:
            mxnet_graphs.KEPT.drop(self)
            if not memory.is_exhausted(error):
                raise _invalid(f"MXNet does not take the call: {first_line(error)}") from None
        else:
            mxnet_graphs.KEPT.keep(self, key, graph)
            return results
        memory.trim()
        given = {name: array.shape for name, array in inputs.items()}
        raise memory.exhausted("a pass", self._weights + self._need(inputs), self._config.budget, given)

    def _run(self, graph: PlainExecutor, inputs: Inputs) -> list[Array]:
        for name, view in graph.views.items():
            view[...] = inputs[name]
        return graph.run()

    def _need(self, inputs: Inputs) -> int:
        """Bytes that a graph for these inputs takes, and hardly ever more."""
        given = {name: array.shape for name, array in inputs.items()}
        values = mxnet_files.need(self._symbol, {**self._shapes(), **given}, self._is_numpy)
        return int(2 * self._weights + 1.5 * values) + len(self._args) * PRIMITIVE + BASE

    def _bind(self, inputs: Inputs) -> PlainExecutor:
        mx = import_mxnet()
        given = {name: array.shape for name, array in inputs.items()}
        self._reshapes.check(given)
        with numpy_shapes(self._is_numpy):
            fed = {name: mx.nd.zeros(array.shape, dtype=array.dtype.name) for name, array in inputs.items()}
            known = {**self._args, **fed}
            others = [name for name in self._symbol.list_arguments() if name not in known]
            arguments = {**known, **self._zeros(others, {**self._shapes(), **given})}
            states = {**self._aux, **fed}
            names = set(self._symbol.list_auxiliary_states())
            return PlainExecutor(
                self._symbol,
                {name: array for name, array in arguments.items() if name not in names},
                {name: array for name, array in states.items() if name in names},
                fed,
            )

    def _zeros(self, names: list[str], given: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        """Labels of a loss layer: read by no forward pass, but bound all the same."""
        if not names:
            return {}
        wanted = set(self._symbol.list_arguments())
        found, _, _ = self._symbol.infer_shape_partial(**{name: shape for name, shape in given.items() if name in wanted})
        by_name = dict(zip(self._symbol.list_arguments(), found or (), strict=False))
        shape_of = {name: by_name.get(name) or (1,) for name in names}
        return {name: import_mxnet().nd.zeros([max(1, size) for size in shape]) for name, shape in shape_of.items()}

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tuple(array.shape) for name, array in {**self._args, **self._aux}.items()}


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names in their order, each once: a repeated one gets `:1`, `:2`."""
    found: dict[str, None] = {}
    for name in names:
        candidate, count = name, 0
        while candidate in found:
            count += 1
            candidate = f"{name}:{count}"
        found[candidate] = None
    return tuple(found)


def _inputs(
    graph: dict[str, Any], known: dict[str, tuple[int, ...]], config: Config, names: tuple[list[str], list[str]]
) -> tuple[Tensor, ...]:
    """What calls may feed: what the options say, or every variable without a value that is no label."""
    arguments, states = names
    declared = config.names("inputs")
    if declared is None:
        found = shapes.infer(graph, known).inputs
    else:
        unknown = [name for name in declared if name not in arguments and name not in states]
        if unknown:
            raise ModelError(f"the option inputs names {_listed(unknown)}, which the symbol does not have")
        dtypes = dict(zip(declared, config.names("dtypes") or (), strict=False))
        if not set(dtypes.values()) <= set(DTYPES):
            raise ModelError(f"the option dtypes names others than {', '.join(DTYPES)}")
        found = tuple(Tensor(name, None, np.dtype(dtypes.get(name, "float32"))) for name in declared)
        shapes.check_complete(graph, known, Signature(found))
    more = [name for name in config.names("aux") or () if name not in {tensor.name for tensor in found}]
    if set(more) - set(states):
        raise ModelError(
            f"the option aux names {_listed(set(more) - set(states))}, which are no auxiliary states of the symbol"
        )
    free = tuple(Tensor(tensor.name, None, tensor.dtype) for tensor in found)
    return (*free, *(Tensor(name, None, np.dtype("float32")) for name in more))


def _invalid(message: str) -> AcceleratorError:
    return AcceleratorError(Code.INVALID_ARGUMENT, message)


def _listed(names: Iterable[str]) -> str:
    found = sorted(names)
    return ", ".join(name[:60] for name in found[:8]) + (f" and {len(found) - 8} more" if len(found) > 8 else "")
