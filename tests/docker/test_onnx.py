"""The MXNet image serves what `ei convert` wrote, with the numpy functions that stand beside MXNet's operators."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from onnx import parser

from onnx_import.convert import convert

pytestmark = [pytest.mark.docker, pytest.mark.parametrize("framework", ["mxnet"], indirect=True)]

Start = Callable[..., Any]
MODELS = {
    "plain": """(float[N, 4] x) => (float[N, 3] y)
        <float[4, 3] w = {1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1}, float[3] b = {0.5, 0, -1}> { m = MatMul(x, w) y = Add(m, b) }""",
    "custom": """(string[N] names, bfloat16[N] x) => (string[N] y, int64[1, M] places, float[N] z)
        { f = Cast<to = 1>(x) places = NonZero(f) y = StringConcat(names, names) z = Add(f, f) }""",
}
"""One that stock MXNet runs, and one of text, a type that numpy lacks, and a shape that its values tell."""


@pytest.fixture
def converted(_models: Path) -> Iterator[Callable[[str], Path]]:
    """Converts a model into a folder that the container may read."""
    made: list[Path] = []

    def get(name: str) -> Path:
        folder = _models / f"onnx-{uuid.uuid4().hex[:8]}"
        convert(parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> agraph {MODELS[name]}'), folder)
        subprocess.run(["chmod", "-R", "u=rwX,go=rX", folder], check=True)
        made.append(folder)
        return folder

    yield get
    for folder in made:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("name", "body", "answer"),
    [
        ("plain", [[1, 2, 3, 4]], [[1.5, 2.0, 9.0]]),
        ("custom", {"names": ["a", "b"], "x": [0, 1.5]}, {"y": ["aa", "bb"], "places": [[1]], "z": [0.0, 3.0]}),
    ],
)
def test_converted_models_answer(name: str, body: Any, answer: Any, converted: Callable[[str], Path], start: Start) -> None:
    """A portable one and one that needs functions of ours, both without onnx in the image."""
    server = start(converted(name)).ready()
    status, text = server.invoke(json.dumps(body).encode())
    assert (status, json.loads(text)) == (200, answer)
    absent = "import importlib.util as u; print(*[n for n in ('onnx', 'onnxruntime') if u.find_spec(n)])"
    assert server.run("python", "-c", absent).strip() == ""
