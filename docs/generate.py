"""Write the pages that are outputs: docs/settings.md, from serving/settings.py; docs/operators.md, from the registry.

    make docs

A test fails while a page is not what this would write.
"""

from __future__ import annotations

from dataclasses import Field
from pathlib import Path
from typing import Any

from serving.settings import KNOBS

DOCS = Path(__file__).resolve().parent

INTRODUCTION = """\
# Settings

<!-- Written by `make docs` from serving/settings.py: edit that. -->

Flags win over environment variables, and those over defaults. Where a setting has several variables, the first that is set
wins. `ei settings` prints every value with its source. A value that is invalid or out of bounds stops the start; one message
lists all of them. Durations are seconds, whichever variable they come from. Switches take true or false (1, yes, on; 0, no,
off); as a flag, the bare name means true.

| flag | variables | default | bounds | what it does |
| --- | --- | --- | --- | --- |
"""


OPERATORS = """\
# ONNX operators

<!-- Written by `make docs` from onnx_import/ops: edit that. -->

`ei ops` prints this table, `ei ops --json` for a program. The opsets are those in which an operator's definition is converted;
a model of any opset, 1 to {newest}, may hold any of them. An operator without a converter of its own is written out by the operators
that ONNX defines it by. `ei convert --check` says of a model which of its nodes cannot be converted.

{count} operators. {unknown}

| operator | opsets | what is refused |
| --- | --- | --- |
"""


def settings_page() -> str:
    """The text of docs/settings.md."""
    return INTRODUCTION + "".join(row(knob) for knob in KNOBS)


def operators_page() -> str:
    """The text of docs/operators.md."""
    from onnx import defs

    from onnx_import import reports

    rows, unknown = reports.operators(), reports.unknown_operators()
    count = len({entry["operator"] for entry in rows})
    missing = f"Not converted: {', '.join(f'`{name}`' for name in unknown)}." if unknown else "None of ONNX's is missing."
    lines = [
        f"| `{entry['operator']}` | {entry['opsets']} | {entry['limits'].replace('|', chr(92) + '|')} |\n" for entry in rows
    ]
    return OPERATORS.format(newest=defs.onnx_opset_version(), count=count, unknown=missing) + "".join(lines)


def row(knob: Field[Any]) -> str:
    """One setting's line of the table."""
    meta = knob.metadata
    variables = ", ".join(f"`{name}`" for name in meta["env"])
    default = str(knob.default).lower() if isinstance(knob.default, bool) else str(knob.default or "")
    default = f"`{default or 0}`" if default or knob.default == 0 else ""
    bounds = "" if meta["low"] is None else f"{meta['low']} to {meta['high']}"
    cells = (f"`--{knob.name.replace('_', '-')}`", variables, default, bounds, meta["help"].replace("|", "\\|"))
    return "| " + " | ".join(cells) + " |\n"


def main() -> None:
    """Write every generated page."""
    (DOCS / "settings.md").write_text(settings_page())
    (DOCS / "operators.md").write_text(operators_page())


if __name__ == "__main__":
    main()
