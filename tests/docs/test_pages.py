"""What the pages say is so: generated pages are current, links lead somewhere, names are real."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
from pathlib import Path

import pytest

from onnx_import import cli
from serving.noted import NOTED
from serving.settings import KNOBS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
VARIABLES = {name for knob in KNOBS for name in knob.metadata["env"]} | NOTED.keys()


def make_targets() -> set[str]:
    """The targets that `make help` lists."""
    # Not as a part of the `make` that may be running these tests: that one would announce its folders.
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "help"], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    return {line.split()[0] for line in done.stdout.splitlines()}


def test_settings_page_is_current() -> None:
    """docs/settings.md is what `make docs` would write now."""
    written = runpy.run_path(str(ROOT / "docs/generate.py"))["settings_page"]()
    assert (ROOT / "docs/settings.md").read_text() == written, "run `make docs`"


def test_operators_page_is_current() -> None:
    """docs/operators.md is what `make docs` would write now."""
    written = runpy.run_path(str(ROOT / "docs/generate.py"))["operators_page"]()
    assert (ROOT / "docs/operators.md").read_text() == written, "run `make docs`"


def test_options_of_the_command_line_are_real() -> None:
    """Every option that the page on ONNX names is one of `ei convert`, `ei ops` or `ei export`, and none of theirs is left out."""
    commands = (cli.convert, cli.ops, cli.export)
    options = {name for command in commands for parameter in command.params for name in parameter.opts if name.startswith("--")}
    page = "".join((ROOT / "docs" / name).read_text() for name in ("onnx.md", "onnx-export.md"))
    assert set(re.findall(r"`(--[a-z-]+)", page)) == options


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())]
    local = [target for target in targets if target and not target.startswith(("http:", "https:", "mailto:"))]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_variables_are_settings(page: Path) -> None:
    """Every EI_ and SAGEMAKER_ variable that a page names is a setting's, or one that is read and noted."""
    named = set(re.findall(r"`((?:EI|SAGEMAKER|MMS)_[A-Z_]+)`", page.read_text()))
    assert named - VARIABLES == set()


def test_flags_are_settings() -> None:
    """Every `--flag` in the README's table of settings, and in the pages on errors and operations, is a setting's."""
    flags = {f"--{knob.name.replace('_', '-')}" for knob in KNOBS}
    table = README[README.index("## Settings") : README.index("## The image")]
    text = table + (ROOT / "docs/errors.md").read_text()
    assert set(re.findall(r"`(--[a-z-]+)`", text)) - flags == set()


def test_make_targets_exist() -> None:
    """Every `make` line in the README is a target that `make help` lists."""
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= make_targets()


def test_help_lists_every_public_target() -> None:
    """A target of the Makefile that people may call says in `make help` what it does."""
    phony = re.search(r"\.PHONY: ((?:.|\\\n)*?)\n\n", (ROOT / "Makefile").read_text())
    assert phony
    assert set(phony[1].replace("\\\n", " ").split()) == make_targets()


def test_the_tree_is_real() -> None:
    """Every file and folder in the README's tree exists."""
    tree = README[README.index("## The tree") :].split("```")[1]
    parent, missing = Path(), []
    for line in tree.strip().splitlines():
        name = line.split()[0]
        path = parent / name if line.startswith(" ") else Path(name)
        if not line.startswith(" ") and name.endswith("/"):
            parent = path
        if not (ROOT / path).exists():
            missing.append(str(path))
    assert missing == []
