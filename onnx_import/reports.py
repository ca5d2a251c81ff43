"""What a conversion came to, for people: a few lines of text, or a page of its own; and as JSON for programs."""

from __future__ import annotations

import html
import json
from typing import Any

from onnx_import.convert import Conversion

STYLE = (
    "body{font:15px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse}"
    "td,th{border-bottom:1px solid #ddd;padding:.3rem .8rem;text-align:left}code{background:#f4f4f4;padding:0 .2rem}"
)


def text(done: Conversion) -> str:
    """A line for each output with its largest error, and what the artifact needs to run."""
    lines = [str(comparison) for comparison in done.comparisons]
    if done.comparisons:
        lines.append(f"verified against {done.comparisons[0].oracle}")
    return "\n".join([*lines, f"{done.directory}: {_needs(done.report)}"])


def render(done: Conversion, form: str) -> str:
    """The report as `json` or as one self-contained `html` page."""
    return json.dumps(done.report, indent=1) if form == "json" else _page(done)


def _needs(report: dict[str, Any]) -> str:
    custom = report["custom_operators"]
    runs = "runs on stock MXNet" if report["portable"] else f"needs this package to run {', '.join(custom)}" if custom else ""
    covers = {"any": "any sizes", "rows": "any number of rows", "these": "sizes as they come"}[report["covers"]]
    return "; ".join(part for part in (runs or "needs this package to run", f"one artifact for {covers}") if part)


def _page(done: Conversion) -> str:
    report = done.report
    source = {key: value for key, value in report["source"].items() if not isinstance(value, dict)}
    tensors = [
        [kind, entry["name"], entry["dtype"], _sizes(entry["shape"])] for kind in ("inputs", "outputs") for entry in report[kind]
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
    title = f"Conversion of {report['source'].get('file', 'a model')}"
    return (
        f"<!doctype html><meta charset=utf-8><title>{html.escape(title)}</title><style>{STYLE}</style>"
        f"<h1>{html.escape(title)}</h1>{''.join(parts)}"
    )


def _sizes(shape: list[Any] | None) -> str:
    return "any" if shape is None else " x ".join("?" if size is None else str(size) for size in shape) or "scalar"


def _table(title: str, head: list[str], rows: list[list[Any]]) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<h2>{title}</h2><table><tr>{heads}</tr>{body}</table>"
