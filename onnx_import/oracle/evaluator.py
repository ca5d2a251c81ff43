"""onnx's reference evaluator, mended: every operator by the definition of its own opset, fast enough, in bounded memory.

The evaluator takes most operators of old opsets for the newest (Softmax 11 along one axis, BatchNormalization 9 as if it
trained), lacks a few, is slow where images are, and keeps every intermediate result. Operators with a function `@own` here
go by it; the others get the defaults of their own version, and a result lives until its last reader.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

Function = Callable[..., Any]
Given = TypeVar("Given", bound=Function)
NEWEST = 1_000_000

_OWN: dict[str, list[tuple[int, int, Function]]] = {}


class NoAnswer(RuntimeError):
    """One node could not be evaluated; the text names it."""


def own(*ops: str, since: int = 1, until: int = NEWEST) -> Callable[[Given], Given]:
    """Evaluate operators by the decorated function from opset `since` to before `until`.

    Inputs are positional; keyword-only parameters get the attributes of their names (None where there is none), `outputs`
    the number of outputs asked for, `op` the operator. It gives an array or a tuple of them.
    """

    def register(function: Given) -> Given:
        for op in ops:
            _OWN.setdefault(op, []).append((since, until, function))
        return function

    return register


def find_own(op: str, version: int) -> Function | None:
    """The function registered for an operator in an opset of its domain."""
    for module in ("control", "legacy", "mended", "ml", "recurrent", "resize", "transposed", "windows"):
        importlib.import_module(f"onnx_import.oracle.{module}")
    return next((function for since, until, function in _OWN.get(op, ()) if since <= version < until), None)


class _Own(OpRun):
    """One node that a function of ours evaluates."""

    function: ClassVar[Function]

    def __init__(self, node: onnx.NodeProto, run_params: dict[str, Any]) -> None:
        schema = onnx.defs.get_schema(node.op_type, run_params["opsets"][node.domain], node.domain)
        super().__init__(node, run_params, schema)
        parameters = inspect.signature(self.function).parameters.values()
        self._names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
        self._outputs = len(node.output)

    def need_context(self) -> bool:
        """Whether the function evaluates graphs, which read outer results."""
        return "context" in self._names

    def _run(self, *inputs: Any, **attributes: Any) -> tuple[Any, ...]:
        given = {**attributes, "outputs": self._outputs, "op": self.onnx_node.op_type}
        found = type(self).function(*inputs, **{name: given.get(name) for name in self._names})
        return found if isinstance(found, tuple) else (found,)


class Evaluator(ReferenceEvaluator):
    """A model, ready to be evaluated."""

    def _init(self) -> None:
        super()._init()
        self._last_reads = _last_reads(self.rt_nodes_, {*self.output_names_, *self.rt_inits_, *self.input_names_, ""})

    def _load_impl(self, node: onnx.NodeProto, input_types: Any = None) -> Any:
        version = self.opsets.get(node.domain, 1)
        function = find_own(node.op_type, version) if node.domain in ("", "ai.onnx.ml") else None
        if function is not None:
            return type(f"{node.op_type}_own", (_Own,), {"function": staticmethod(function)})
        found = super()._load_impl(node, input_types)
        plain = _of_its_version(node, version)
        return found if plain is node else lambda _, run_params: found(plain, run_params)

    def run(  # type: ignore[override]  # shape annotations are not checked here
        self, output_names: Any, feed_inputs: Mapping[str, Any], attributes: Any = None, **_: Any
    ) -> list[Any]:
        """The outputs in order; NoAnswer naming the node that could not be evaluated."""
        results = {"": None, **self.rt_inits_, **feed_inputs}
        for node, done in zip(self.rt_nodes_, self._last_reads, strict=False):
            for name, value in zip(node.output, _evaluate(node, results, attributes), strict=False):
                results[name] = value
            for name in done:
                results.pop(name, None)
        return [_plain(results[name]) for name in (output_names or self.output_names_)]


def _plain(value: Any) -> Any:
    """Text as objects, which is how callers of every engine feed and get it."""
    return value.astype(object) if isinstance(value, np.ndarray) and value.dtype.kind in "US" else value


def _evaluate(node: Any, results: Mapping[str, Any], attributes: Any) -> Iterable[Any]:
    """The outputs of one node."""
    keywords: dict[str, Any] = {"context": results} if node.need_context() else {}
    if node.has_linked_attribute and attributes:
        keywords["linked_attributes"] = attributes
    try:
        outputs: Iterable[Any] = node.run(*[results[name] for name in node.input], **keywords)
    except NoAnswer:
        raise
    except MemoryError:
        raise NoAnswer(f"{node.op_type} ({_label(node)}): not enough memory") from None
    except Exception as error:  # noqa: BLE001 - a boundary: the evaluator's operators raise whatever numpy does
        cause = error.__cause__ or error
        said = (str(cause).strip() or type(cause).__name__).splitlines()[0][:200]
        raise NoAnswer(f"{node.op_type} ({_label(node)}): {said}") from error
    return outputs


def _label(node: Any) -> str:
    return node.onnx_node.name or next((name for name in node.output if name), "")


def _last_reads(nodes: list[Any], kept: set[str]) -> list[list[str]]:
    """For each node the results that nothing after it reads. Bodies of Loop, If and Scan read outer results too."""
    seen: set[str] = set(kept)
    found: list[list[str]] = []
    for node in reversed(nodes):
        names = {*node.output, *node.input, *_captured(node.onnx_node)} - seen
        found.append(sorted(names))
        seen |= names
    return found[::-1]


def _captured(node: onnx.NodeProto) -> set[str]:
    """Every name that the graphs of a node mention: more than they capture, which keeps results a little longer."""
    found: set[str] = set()
    for attribute in node.attribute:
        for graph in [attribute.g, *attribute.graphs] if attribute.type in (5, 10) else []:
            found.update(info.name for info in graph.output)
            for inner in graph.node:
                found.update(inner.input)
                found |= _captured(inner)
    return found


def _of_its_version(node: onnx.NodeProto, version: int) -> onnx.NodeProto:
    """The node with its own version's defaults spelt out where the newest version has others."""
    try:
        now, then = onnx.defs.get_schema(node.op_type, node.domain), onnx.defs.get_schema(node.op_type, version, node.domain)
    except onnx.defs.SchemaError:
        return node
    given = {attribute.name for attribute in node.attribute}
    missing = [
        attribute.default_value
        for name, attribute in then.attributes.items()
        if name not in given and name in now.attributes and _differs(attribute, now.attributes[name])
    ]
    if not missing and "consumed_inputs" not in given:
        return node
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    del plain.attribute[:]
    # Opset 1's hint that an operator may work in place.
    plain.attribute.extend(attribute for attribute in node.attribute if attribute.name != "consumed_inputs")
    plain.attribute.extend(missing)
    return plain


def _differs(then: Any, now: Any) -> bool:
    return bool(then.default_value.type) and then.default_value != now.default_value
