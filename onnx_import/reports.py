"""What a conversion, or a check, came to: a few lines of text for people, JSON for programs, or a page of its own.

Also the table of operators: those with a converter, from the registry, and those that ONNX itself defines by others.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

import onnx

from onnx_import import registry
from onnx_import.convert import Conversion
from onnx_import.errors import Problem

STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ddd;padding:.3rem .8rem;text-align:left}code{background:#f4f4f4;padding:0 .2rem}"
)
NAMED = 3
"""Nodes of one kind that a list names before it only counts."""
BODY = "by ONNX's own definition of it"
CONVERTIBLE = "every node can be converted"


def text(done: Conversion) -> str:
    """A line for each output with its largest error, and what the artifact needs to run."""
    lines = []
    for output in dict.fromkeys(comparison.output for comparison in done.comparisons):
        cases = [comparison for comparison in done.comparisons if comparison.output == output]
        worst = max(cases, key=lambda case: case.absolute)
        lines.append(
            f"{output} ({worst.dtype}): largest error {worst.absolute:.2g} (relative {worst.relative:.2g}) in {_count(cases, 'case')}"
        )
    verified = f"verified against {done.comparisons[0].oracle}" if done.comparisons else "not verified"
    return "\n".join([*lines, verified, f"{done.directory}: {_needs(done.report)}"])


def render(done: Conversion, form: str) -> str:
    """The report as `json` or as one self-contained `html` page."""
    return json.dumps(done.report, indent=1) if form == "json" else _page(done)


def text_of_check(problems: Sequence[Problem]) -> str:
    """What keeps a model from being converted, a line for each kind of it."""
    return listed(problems) if problems else CONVERTIBLE


def render_check(problems: Sequence[Problem], form: str) -> str:
    """The same, each node of its own, as `json` or as an `html` page."""
    rows = [{"operator": each.op, "node": each.node, "reason": each.reason, "hint": each.hint} for each in problems]
    if form == "json":
        return json.dumps({"convertible": not rows, "problems": rows}, indent=1)
    table = _table("", ["operator", "node", "reason", "hint"], [list(row.values()) for row in rows])
    return _document("What cannot be converted", table or f"<p>{CONVERTIBLE}</p>")


def listed(problems: Iterable[Problem]) -> str:
    """Problems with their numbers of nodes, those of one kind together."""
    kinds: dict[tuple[str, str, str], list[str]] = {}
    for each in problems:
        kinds.setdefault((each.op, each.reason, each.hint), []).append(each.node)
    return "\n".join(_line(kind, nodes) for kind, nodes in kinds.items())


def _line(kind: tuple[str, str, str], nodes: list[str]) -> str:
    operator, reason, hint = kind
    names = ", ".join(nodes[:NAMED]) + (", ..." if len(nodes) > NAMED else "")
    return f"{operator}: {reason} ({_count(nodes, 'node')}: {names})" + (f"; {hint}" if hint else "")


def _count(items: Sequence[Any], noun: str) -> str:
    return f"{len(items)} {noun}{'s' * (len(items) != 1)}"


def operators() -> list[dict[str, str]]:
    """A row for each operator and each of its forms: opsets, and what of it is refused; those without a converter last."""
    rows = registry.table()
    known = {row["operator"] for row in rows}
    bodies: dict[str, int] = {}
    schemas: Sequence[Any] = onnx.defs.get_all_schemas_with_history()  # their type stub lacks the functions
    for schema in schemas:
        name = f"{schema.domain}.{schema.name}" if schema.domain else schema.name
        if name not in known and (schema.has_function or schema.has_context_dependent_function):
            bodies[name] = min(bodies.get(name, schema.since_version), schema.since_version)
    return rows + [{"operator": name, "opsets": f"{since}+", "limits": BODY} for name, since in sorted(bodies.items())]


def unknown_operators() -> list[str]:
    """The operators of this onnx package that can be converted in no form."""
    known = {row["operator"] for row in operators()}
    every = {f"{schema.domain}.{schema.name}" if schema.domain else schema.name for schema in onnx.defs.get_all_schemas()}
    return sorted(every - known)


def _needs(report: dict[str, Any]) -> str:
    custom = report["custom_operators"]
    runs = (
        "runs on stock MXNet" if report["portable"] else f"needs ei to run {', '.join(custom)}" if custom else "needs ei to run"
    )
    covers = {"any": "any sizes", "rows": "any number of rows", "these": "sizes as they come"}[report["covers"]]
    return f"{runs}; one artifact for {covers}"


def _page(done: Conversion) -> str:
    report = done.report
    source = {key: value for key, value in report["source"].items() if not isinstance(value, dict)}
    tensors = [
        [kind, entry["name"], entry["dtype"], _sizes(entry["shape"])]
        for kind in ("inputs", "outputs")
        for entry in report[kind]
    ]
    errors = [[c.output, c.case, c.dtype, f"{c.absolute:.3g}", f"{c.relative:.3g}"] for c in done.comparisons]
    parts = [
        _table("Source", ["", ""], [[key, value] for key, value in source.items()]),
        f"<p>{html.escape(_needs(report))}</p>",
        _table("Inputs and outputs", ["", "name", "dtype", "shape"], tensors),
        _table("Largest errors", ["output", "case", "dtype", "absolute", "relative"], errors),
        _table("Operators", ["operator", "nodes"], [[name, count] for name, count in report["operators"].items()]),
        _table("Passes", ["pass"], [[name] for name in report["passes"]]),
    ]
    return _document(f"Conversion of {report['source'].get('file', 'a model')}", "".join(parts))


def _document(title: str, body: str) -> str:
    head = f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>"
    return f"{head}<h1>{html.escape(title)}</h1>{body}"


def _sizes(shape: list[Any] | None) -> str:
    return "any" if shape is None else " x ".join("?" if size is None else str(size) for size in shape) or "scalar"


def _table(title: str, head: list[str], rows: list[list[Any]]) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"{f'<h2>{title}</h2>' * bool(title)}<table><tr>{heads}</tr>{body}</table>"
