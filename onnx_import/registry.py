"""Which function lowers which operator.

    @op("CumSum", since=11)
    def cum_sum(x: Value, axis: Value, *, exclusive: int, reverse: int) -> Value: ...

Inputs are positional (None where an optional one is left out), attributes are keyword-only under their spec names; their
defaults are ONNX's own, filled in by the reader. An attribute that the operator's version does not have is None. A converter
holds from opset `since` to the next `since` registered for its operator. A keyword-only `node` gets the node itself.
`schemas.check` compares every registration with ONNX's schemas; a second registration of the same key raises at once.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from onnx_import.graph import Node

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Converter:
    """One registration. `limits` says in a phrase what of the operator it refuses."""

    op: str
    domain: str
    since: int
    function: Callable[..., Any]
    limits: str
    attributes: tuple[str, ...]
    takes_node: bool

    def __call__(self, node: Node, inputs: list[Any]) -> Any:
        """Lower one node."""
        keywords: dict[str, Any] = {name: node.attributes.get(name) for name in self.attributes}
        if self.takes_node:
            keywords["node"] = node
        return self.function(*inputs, **keywords)


_CONVERTERS: dict[tuple[str, str], dict[int, Converter]] = {}


def op(name: str, *, since: int, domain: str = "", limits: str = "") -> Callable[[Function], Function]:
    """Register the decorated function as the converter of an operator from opset `since` on."""

    def register(function: Function) -> Function:
        versions = _CONVERTERS.setdefault((domain, name), {})
        if since in versions:
            raise ValueError(f"{name} since {since} is registered twice: {versions[since].function} and {function}")
        names = [p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        attributes = tuple(n for n in names if n != "node")
        versions[since] = Converter(name, domain, since, function, limits, attributes, "node" in names)
        return function

    return register


def find(op_type: str, domain: str, since: int) -> Converter | None:
    """The newest converter that is not above a node's operator version."""
    load()
    fitting = [v for v in _CONVERTERS.get((domain, op_type), {}) if v <= since]
    return _CONVERTERS[domain, op_type][max(fitting)] if fitting else None


def hint(op_type: str, domain: str, since: int) -> str:
    """What would work in place of an operator that has no converter."""
    load()
    versions = sorted(_CONVERTERS.get((domain, op_type), {}))
    if versions:
        return f"supported from opset {versions[0]} on: convert the model to it (`--opset {versions[0]}`)"
    close = difflib.get_close_matches(op_type, [name for place, name in _CONVERTERS if place == domain], 1)
    return f"nearest supported operator: {close[0]}" if close else ""


def converters() -> list[Converter]:
    """Every registration, by domain, name and version."""
    load()
    return [c for _, versions in sorted(_CONVERTERS.items()) for _, c in sorted(versions.items())]


def table() -> list[dict[str, str]]:
    """Every operator as a row, or as several where its forms have limits of their own: opsets that they hold for, limits."""
    rows = []
    for domain, name in sorted(_names()):
        found = _CONVERTERS[domain, name]
        versions = sorted(found)
        starts = [v for at, v in enumerate(versions) if not at or found[v].limits != found[versions[at - 1]].limits]
        for version, until in zip(starts, [*starts[1:], 0], strict=True):
            opsets = f"{version}+" if not until else f"{version}-{until - 1}" if until - 1 > version else str(version)
            rows.append({"operator": f"{domain}.{name}" if domain else name, "opsets": opsets, "limits": found[version].limits})
    return rows


def _names() -> set[tuple[str, str]]:
    return {(converter.domain, converter.op) for converter in converters()}


def load() -> None:
    """Import every module of `onnx_import.ops`, which registers what it defines."""
    global _LOADED
    if not _LOADED:
        from onnx_import import ops

        for module in pkgutil.iter_modules(ops.__path__):
            importlib.import_module(f"onnx_import.ops.{module.name}")
        _LOADED = True


_LOADED = False
