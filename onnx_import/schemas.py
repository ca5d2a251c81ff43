"""Our converters against ONNX's schemas: a misspelt attribute or a wrong `since` would otherwise answer wrongly, or never."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from functools import cache

import onnx

from onnx_import import registry

Schema = onnx.defs.OpSchema


def check(converters: Iterable[registry.Converter] | None = None) -> list[str]:
    """What the converters (all registered ones) and ONNX's schemas disagree on, a line each; operators ONNX lacks are passed over."""
    every = list(registry.converters() if converters is None else converters)
    # One function may serve several operators: an attribute of one of them is None for the others.
    names: dict[object, set[str]] = {}
    for each in every:
        names.setdefault(each.function, set()).update(*(schema.attributes for schema in _covered(each, every)))
    return [fault for each in every for fault in _faults(each, _covered(each, every), names[each.function])]


@cache
def history() -> dict[tuple[str, str], list[Schema]]:
    """Every version of every operator by domain and name, oldest first."""
    found: dict[tuple[str, str], list[Schema]] = {}
    for schema in sorted(onnx.defs.get_all_schemas_with_history(), key=lambda schema: schema.since_version):
        found.setdefault((schema.domain, schema.name), []).append(schema)
    return found


def _covered(converter: registry.Converter, every: list[registry.Converter]) -> list[Schema]:
    """The versions of its operator that a converter is for: from its `since` to that of the operator's next converter."""
    same = (c.since for c in every if (c.op, c.domain) == (converter.op, converter.domain) and c.since > converter.since)
    until = min(same, default=float("inf"))
    versions = history().get((converter.domain, converter.op), [])
    return [schema for schema in versions if converter.since <= schema.since_version < until]


def _faults(converter: registry.Converter, covered: list[Schema], names: set[str]) -> Iterator[str]:
    label = f"{converter.domain or 'ai.onnx'}.{converter.op} since {converter.since}"
    if not any(domain == converter.domain for domain, _ in history()):
        return
    versions = [schema.since_version for schema in history().get((converter.domain, converter.op), [])]
    if converter.since not in versions:
        yield f"{label}: ONNX defines it at {versions}"
        return
    yield from (f"{label}: no attribute {name!r}; it has {sorted(names)}" for name in converter.attributes if name not in names)
    fewest, most = _inputs(converter)
    for schema in covered:
        if fewest > schema.min_input or most < schema.max_input:
            yield (
                f"{label}: takes {fewest} to {most} inputs; version {schema.since_version} has {schema.min_input} to {schema.max_input}"
            )


def _inputs(converter: registry.Converter) -> tuple[int, float]:
    """How many inputs a converter can be called with, at least and at most."""
    parameters = inspect.signature(converter.function).parameters.values()
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    most = float("inf") if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(places)
    return sum(p.default is p.empty for p in places), most
