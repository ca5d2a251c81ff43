"""The shape that keeps this code readable, held by a test: sizes, parameter counts, docstrings."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("serving", "container", "onnx_import")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 5
BY_NAME = ("onnx_import/ops/", "onnx_import/host/", "onnx_import/oracle/")
"""Where parameters after the star do not count: they are ONNX's attributes, as many as the operator has."""
DRAWERS = {"utils", "util", "common", "helpers", "misc", "core", "base_utils"}

EXCEPTIONS: dict[str, str] = {
    "serving/invocation.py:Request.__init__": "a record; built once an invocation, where a dataclass costs twice the time",
    "serving/handlers/context.py:Context.__init__": "the parameters are those of MMS's class, which scripts construct",
    "serving/handlers/metrics_store.py:Metric.__init__": "the parameters are those of MMS's class, which scripts construct",
}
"""What may be larger than the limits, and why. This list may only shrink."""

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
IDS = [str(path.relative_to(ROOT)) for path in FILES]
each_file = pytest.mark.parametrize("path", FILES, ids=IDS)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function of a module with its dotted name."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            yield prefix + node.name, node
        name = prefix + node.name + "." if isinstance(node, Function | ast.ClassDef) else prefix
        yield from functions(node, name)


def too_large(path: Path) -> list[str]:
    """`file:function` of what exceeds a limit."""
    where = str(path.relative_to(ROOT))
    text = path.read_text()
    found = [where] if text.count("\n") > MAX_FILE_LINES else []
    for name, function in functions(ast.parse(text)):
        given = function.args
        named = [] if where.startswith(BY_NAME) else given.kwonlyargs
        if any(isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "op" for mark in function.decorator_list):
            given = ast.arguments([], [], None, [], [], None, [])  # a converter takes what ONNX's operator takes
        parameters = [a for a in (*given.posonlyargs, *given.args, *named) if a.arg not in ("self", "cls")]
        assert function.end_lineno is not None
        if function.end_lineno - function.lineno >= MAX_FUNCTION_LINES or len(parameters) > MAX_PARAMETERS:
            found.append(f"{where}:{name}")
    return found


@each_file
def test_sizes(path: Path) -> None:
    """No file is over 400 lines, no function over 60, and none takes more than five parameters, save the listed ones."""
    assert [name for name in too_large(path) if name not in EXCEPTIONS] == []


@each_file
def test_module_docstring(path: Path) -> None:
    """Every module says what it is."""
    assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


@each_file
def test_no_drawers(path: Path) -> None:
    """No module is named for being a drawer, save where scripts import it by AWS's name for it."""
    assert "toolkit" in path.parts or not DRAWERS & {path.stem, path.parent.name}


def test_exceptions_are_needed() -> None:
    """An exception that is no longer needed leaves the list."""
    assert set(EXCEPTIONS) <= {name for path in FILES for name in too_large(path)}


def test_every_test_states_its_promise() -> None:
    """Every test function has a docstring that states the behaviour."""
    silent = [
        f"{path.relative_to(ROOT)}:{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        if "scripts" not in path.parts
        for name, function in functions(ast.parse(path.read_text()))
        if name.rpartition(".")[2].startswith("test_") and not ast.get_docstring(function)
    ]
    assert silent == []
