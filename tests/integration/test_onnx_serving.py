"""Models from ONNX files, converted by `ei convert` and served by `serve`: real processes, both placements, no onnx in them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import parser
from onnx.reference import ReferenceEvaluator

from tests.integration.conftest import Start
from tests.integration.faults.server import Server

HEAD = '<ir_version: 10, opset_import: ["" : 21]> agraph'
TEXTS = {
    "dense": """(float[N, 4] x) => (float[N, 3] y)
        <float[4, 3] w = {1, 0, 1, 0, 1, 1, 0, 0, 1, 0, 0, 1}, float[3] b = {0.5, 0, -1}> { m = MatMul(x, w) y = Add(m, b) }""",
    "image": """(float[N, 1, H, W] x) => (float[N, 2] y, int64[N] best)
        <float[2, 1, 3, 3] w = {1, 2, 1, 0, 0, 0, -1, -2, -1, 1, 0, -1, 2, 0, -2, 1, 0, -1}, int64[2] a = {2, 3}>
        { c = Conv<pads = [1, 1, 1, 1]>(x, w) r = Relu(c) y = ReduceMax<keepdims = 0>(r, a) best = ArgMax<axis = 1, keepdims = 0>(y) }""",
    "found": "(float[N] x) => (int64[1, M] places, int64 many) { places = NonZero(x) many = Size(places) }",
    "words": '(string[N] x, bool[N] loud) => (string[N] y) <string[1] mark = {"!"}> { z = StringConcat(x, mark) y = Where(loud, z, x) }',
}
JSON = ("Content-Type", "application/json")
FORBIDDEN = ("onnx_cpp2py", "onnxruntime", "/onnx/", "google/_upb")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, onnx.ModelProto]:
    """The models by their names."""
    return {name: parser.parse_model(f"{HEAD} {text}") for name, text in TEXTS.items()}


@pytest.fixture(scope="module")
def folders(models: dict[str, onnx.ModelProto], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What `ei convert` makes of them, typed as a person would."""
    folder = tmp_path_factory.mktemp("converted")
    for name, model in models.items():
        onnx.save(model, folder / f"{name}.onnx")
        command = [sys.executable, "-m", "container.cli", "convert", f"{folder / name}.onnx", str(folder / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "verified against" in done.stdout
    return {name: folder / name for name in models}


@pytest.fixture(scope="module")
def servers(folders: dict[str, Path], placement: str, start_shared: Start) -> dict[str, Server]:
    """A server of each model, in each placement."""
    return {name: start_shared(folder, EI_PLACEMENT=placement) for name, folder in folders.items()}


def ask(server: Server, inputs: Any) -> Any:
    """The JSON answer to JSON."""
    response = server.ask(json.dumps(inputs), JSON)
    assert response.status == 200, response.body
    return response.json


def test_answers_are_onnx_s(servers: dict[str, Server], models: dict[str, onnx.ModelProto]) -> None:
    """Whatever sizes come, the served answers are those of ONNX's reference evaluator, under its names."""
    draw = np.random.default_rng(3)
    for name, shapes in (("dense", [(1, 4), (5, 4)]), ("image", [(1, 1, 8, 8), (3, 1, 5, 7)]), ("found", [(4,), (9,)])):
        judge = ReferenceEvaluator(models[name])
        for shape in shapes:
            x = np.maximum(draw.standard_normal(shape), 0).astype("float32")
            expected = dict(zip(judge.output_names, judge.run(None, {"x": x}), strict=True))
            answer = ask(servers[name], {"x": x.tolist()})
            found = answer if len(expected) > 1 else {judge.output_names[0]: answer}
            assert found.keys() == expected.keys()
            for output, value in expected.items():
                np.testing.assert_allclose(np.array(found[output]), value, rtol=1e-4, atol=1e-6)


def test_text_and_flags(servers: dict[str, Server]) -> None:
    """Strings and booleans go in by name and come out as text."""
    assert ask(servers["words"], {"x": ["hey", "oh"], "loud": [True, False]}) == ["hey!", "oh"]


def test_arrays_as_npy_and_npz(servers: dict[str, Server]) -> None:
    """NPY carries one input and one output, NPZ several by name."""
    body = io.BytesIO()
    np.save(body, np.array([[1, 2, 3, 4]], "float32"))
    response = servers["dense"].ask(body.getvalue(), ("Content-Type", "application/x-npy"), ("Accept", "application/x-npy"))
    assert np.load(io.BytesIO(response.body)).tolist() == [[1.5, 2.0, 9.0]]
    body = io.BytesIO()
    np.savez(body, x=np.ones((2, 1, 4, 4), "float32"))
    response = servers["image"].ask(body.getvalue(), ("Content-Type", "application/x-npz"), ("Accept", "application/x-npz"))
    answer = np.load(io.BytesIO(response.body))
    assert (answer["y"].shape, answer["best"].shape, answer["best"].dtype) == ((2, 2), (2,), np.int64)


def test_wrong_input(servers: dict[str, Server]) -> None:
    """A 400 with one line that names the input and what it takes; the server goes on."""
    for name, body, message in (
        ("dense", [[1, 2]], "wrong shape (1, 2): expected x: float32 (*, 4)"),
        ("words", {"x": ["a"]}, "missing inputs ['loud']; the model has x: string (*); loud: bool (*)"),
        ("found", {"x": ["a"]}, "wrong dtype string: expected x: float32 (*)"),
    ):
        response = servers[name].ask(json.dumps(body), JSON)
        assert response.status == 400
        assert message in response.json["message"]
    assert ask(servers["found"], [0, 3]) == {"places": [[1]], "many": 1}


def test_many_at_once(servers: dict[str, Server]) -> None:
    """Requests that arrive together, and may share a pass, get their own answers, whatever their sizes."""
    answers: dict[int, Any] = {}

    def one(at: int) -> None:
        rows = [[at, 0, 0, 0]] * (1 + at % 3)
        answers[at] = (ask(servers["dense"], rows), ask(servers["found"], [at] * (1 + at % 3)))

    threads = [threading.Thread(target=one, args=(at,)) for at in range(1, 25)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for at in range(1, 25):
        dense, found = answers[at]
        assert dense == [[at + 0.5, 0.0, at - 1.0]] * (1 + at % 3)
        assert found["many"] == 1 + at % 3


def test_no_process_has_onnx(servers: dict[str, Server]) -> None:
    """After all that, no process of any of the servers has mapped a library of onnx, onnxruntime or protobuf."""
    for server in servers.values():
        maps = [Path(f"/proc/{pid}/maps").read_text() for pid in (server.process.pid, *server.children())]
        assert any("libmxnet" in mapped for mapped in maps)
        assert [word for word in FORBIDDEN for mapped in maps if word in mapped] == []
