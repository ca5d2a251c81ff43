"""What a conversion came to, as lines, as JSON and as a page; and the table of operators."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from onnx import defs

from onnx_import import registry, reports
from onnx_import.convert import Conversion
from onnx_import.errors import Problem
from onnx_import.verify import Comparison

REPORT: dict[str, Any] = {
    "source": {"file": "a<b>.onnx", "sha256": "00", "opsets": {"ai.onnx": 21}},
    "operators": {"Relu": 2},
    "passes": ["fold batch normalization"],
    "portable": True,
    "custom_operators": [],
    "covers": "any",
    "inputs": [{"name": "x", "kind": "tensor", "dtype": "float32", "shape": ["N", None, 2]}],
    "outputs": [
        {"name": "y", "kind": "tensor", "dtype": "float32", "shape": []},
        {"name": "z", "kind": "sequence", "dtype": "float32", "shape": None},
    ],
}
COMPARISONS = [
    Comparison("y", "float32", (1, 2), 1e-7, 1e-6, True, case="x 1x2", oracle="the judge"),
    Comparison("y", "float32", (3, 2), 2e-7, 1e-6, True, case="x 3x2", oracle="the judge"),
    Comparison("z", "int64", (), 0.0, 0.0, True, case="x 1x2", oracle="the judge"),
]


def conversion(**changes: Any) -> Conversion:
    """A conversion whose report has these entries."""
    return Conversion(Path("out"), {**REPORT, **changes}, COMPARISONS)


class Tags(HTMLParser):
    """Counts the cells of a page, and keeps whatever is no closed element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Open an element; `meta` has no end."""
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text of a cell."""
        if self.open and self.open[-1] == "td":
            self.cells.append(data)


def test_text() -> None:
    """One line for each output, with the largest error of all its cases; then the oracle; then what it needs."""
    assert reports.text(conversion()).splitlines() == [
        "y (float32): largest error 2e-07 (relative 1e-06) in 2 cases",
        "z (int64): largest error 0 (relative 0) in 1 case",
        "verified against the judge",
        "out: runs on stock MXNet; one artifact for any sizes",
    ]


def test_text_without_verification() -> None:
    """What was not verified says so."""
    assert reports.text(Conversion(Path("out"), REPORT, [])).splitlines()[0] == "not verified"


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({"covers": "rows"}, "runs on stock MXNet; one artifact for any number of rows"),
        ({"portable": False, "covers": "these"}, "needs ei to run; one artifact for sizes as they come"),
        ({"portable": False, "custom_operators": ["non_zero"]}, "needs ei to run non_zero; one artifact for any sizes"),
    ],
)
def test_needs(changes: dict[str, Any], needs: str) -> None:
    """The last line says what runs the artifact, and for which sizes."""
    assert reports.text(conversion(**changes)).endswith(f"out: {needs}")


def test_json() -> None:
    """The report for programs is conversion.json's content."""
    assert json.loads(reports.render(conversion(), "json")) == REPORT


def test_html() -> None:
    """The page is whole, needs nothing from elsewhere, and shows names as text."""
    page = reports.render(conversion(), "html")
    tags = Tags(page)
    assert tags.open == []
    assert {"a<b>.onnx", "x", "? x ? x 2", "scalar", "any", "fold batch normalization"} & set(tags.cells) >= {
        "a<b>.onnx",
        "scalar",
        "any",
        "fold batch normalization",
    }
    assert "Conversion of a&lt;b&gt;.onnx" in page
    assert "http" not in page


PROBLEMS = [Problem(f"n{at}", "Wobble", "no converter", "nearest: Wabble") for at in range(5)] + [
    Problem("m", "Odd", "why not")
]


def test_problems() -> None:
    """Nodes of one kind share a line that counts them and names the first; the hint ends it."""
    assert reports.text_of_check(PROBLEMS).splitlines() == [
        "Wobble: no converter (5 nodes: n0, n1, n2, ...); nearest: Wabble",
        "Odd: why not (1 node: m)",
    ]
    assert reports.text_of_check([]) == "every node can be converted"


def test_problems_as_documents() -> None:
    """Each node stands by itself, in JSON and in the page's table."""
    found = json.loads(reports.render_check(PROBLEMS, "json"))
    assert (found["convertible"], [row["node"] for row in found["problems"]]) == (False, ["n0", "n1", "n2", "n3", "n4", "m"])
    assert json.loads(reports.render_check([], "json")) == {"convertible": True, "problems": []}
    assert Tags(reports.render_check(PROBLEMS, "html")).cells.count("Wobble") == 5
    assert "every node can be converted" in reports.render_check([], "html")


def test_operators_are_the_registry_s_and_what_onnx_defines_by_others() -> None:
    """Every registered operator has a row, and so has each that ONNX's own body expresses; nothing has both."""
    rows = reports.operators()
    registered = {f"{c.domain}.{c.op}" if c.domain else c.op for c in registry.converters()}
    bodies = {row["operator"] for row in rows if row["limits"] == reports.BODY}
    assert registered | bodies == {row["operator"] for row in rows}
    assert not registered & bodies
    for name in bodies:
        domain, _, operator = name.rpartition(".")
        assert any((s.domain, s.name) == (domain, operator) for s in defs.get_all_schemas())


def test_unknown_operators() -> None:
    """What has no row is an operator of ONNX all the same."""
    rows = {row["operator"] for row in reports.operators()}
    unknown = reports.unknown_operators()
    assert not rows & set(unknown)
    assert all(any(name in (s.name, f"{s.domain}.{s.name}") for s in defs.get_all_schemas()) for name in unknown)
