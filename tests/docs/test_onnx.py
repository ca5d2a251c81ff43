"""The blocks of the page on ONNX models run as they stand, one after the other in one folder."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from onnx_import import schemas
from onnx_import.frameworks import sources

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "onnx.md").read_text()


def block(name: str) -> str:
    """The code block under the comment of that name."""
    found = re.search(rf"<!-- test: {name} -->\n```\w+\n(.*?)```", PAGE, re.DOTALL)
    assert found, f"the page has no block named {name}"
    return found[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's model was made."""
    folder = tmp_path_factory.mktemp("page")
    subprocess.run([sys.executable, "-c", block("model")], cwd=folder, check=True)
    return folder


def test_convert_serve_ask(folder: Path) -> None:
    """The shell lines convert the model, serve it, and print the scores and the best class of each row."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = block("convert").replace("8080", port) + "wait\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "verified against" in done.stdout, done.stderr
    answer, _ = json.JSONDecoder().raw_decode(done.stdout, done.stdout.index('{"scores"'))
    assert answer["best"] == [2, 0]
    assert [round(sum(row), 4) for row in answer["scores"]] == [1, 1]


def test_python_blocks(folder: Path) -> None:
    """Converting from Python covers what it says; the standard backend gives the best class of equal scores."""
    printed = [
        subprocess.run([sys.executable, "-c", block(name)], cwd=folder, capture_output=True, text=True, check=True).stdout
        for name in ("python", "backend")
    ]
    assert re.fullmatch(r"(any|rows|these) \[.*\]\n", printed[0])
    assert printed[1] == "[0 0]\n"
    assert (folder / "served-again" / "model.tar.gz").is_file()


def test_the_opsets_are_the_package_s() -> None:
    """The page's opsets are those of the pinned onnx."""
    newest = max(
        schema.since_version for (domain, _), found in schemas.history().items() if domain == "ai.onnx.ml" for schema in found
    )
    assert f"Opsets 1 to {onnx.defs.onnx_opset_version()}, and ai.onnx.ml 1 to {newest}." in PAGE


def test_every_framework_is_listed() -> None:
    """Each file that is exported, and the extra that installs its exporter, is on the page."""
    table = PAGE[PAGE.index("## From other frameworks") : PAGE.index("## What is written")]
    suffixes = {
        suffix
        for each in sources.FRAMEWORKS
        for suffix in each.suffixes
        if f"({suffix}" in sources.KNOWN or f" {suffix}" in sources.KNOWN
    }
    assert {suffix for suffix in suffixes if f"`{suffix}`" not in table} == set()
    assert {each.extra for each in sources.FRAMEWORKS if f"`{each.extra}`" not in table} == set()
