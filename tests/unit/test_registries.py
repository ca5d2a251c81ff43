"""Every module that is discovered by its place has its test, and every content type belongs to one codec."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEVER_SENT = {"ServingError", "StartError", "SettingsError", "ModelError", "DeadlinePassed"}
"""Error classes that no client sees as themselves."""
MARKS = {"codecs": "CONTENT_TYPES", "backends": "load"}
"""What a module of a folder defines at its top where it is one of the registered kind, and not a part of one."""


def modules(folder: str) -> list[str]:
    """Names of the codecs, or of the backends."""
    return sorted(path.stem for path in (ROOT / "serving" / folder).glob("*.py") if MARKS[folder] in defined(path))


def defined(path: Path) -> set[str]:
    """Names that a module defines at its top: functions, and variables however they are annotated."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def content_types() -> list[tuple[str, str]]:
    """(content type, codec) for every codec."""
    found = []
    for name in modules("codecs"):
        codec = importlib.import_module(f"serving.codecs.{name}")
        found += [(content_type, name) for content_type in getattr(codec, "CONTENT_TYPES", ())]
    return found


@pytest.mark.parametrize("folder", MARKS)
def test_has_a_test_file(folder: str) -> None:
    """A codec or a backend without a test file of its name does not land."""
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests/unit/serving" / folder).glob("test_*.py")}
    assert modules(folder), f"nothing registers in serving/{folder}"
    assert set(modules(folder)) - tested == set()


def test_content_types_are_unique() -> None:
    """No content type is claimed by two codecs."""
    types = [content_type for content_type, _ in content_types()]
    assert sorted(types) == sorted(set(types))


def test_content_types_are_documented() -> None:
    """docs/content-types.md names every content type that a codec claims."""
    page = (ROOT / "docs/content-types.md").read_text()
    assert [content_type for content_type, _ in content_types() if f"`{content_type}`" not in page] == []


def test_replies_are_documented() -> None:
    """docs/content-types.md says of each codec whether it can answer."""
    page = (ROOT / "docs/content-types.md").read_text().splitlines()
    answers = {
        cell: line.split(" | ")[-1] != "no |" for line in page for cell in line.split("`")[1::2] if line.startswith("| `")
    }
    wrong = [
        content_type
        for content_type, name in content_types()
        if answers[content_type] != hasattr(importlib.import_module(f"serving.codecs.{name}"), "encode")
    ]
    assert wrong == []


def test_errors_have_their_statuses_documented() -> None:
    """docs/errors.md has a row for every error class that reaches a client."""
    tree = ast.parse((ROOT / "serving/errors.py").read_text())
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.bases]
    own = [name for name in names if name not in NEVER_SENT]
    page = (ROOT / "docs/errors.md").read_text()
    assert [name for name in own if f"`{name}`" not in page] == []
