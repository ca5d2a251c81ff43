"""`ei convert`, `ei ops` and `ei export` as a person types them: exit status, stdout for results, stderr for talk."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import onnx
import pytest
from onnx import helper, parser

from container import cli
from onnx_import import frameworks
from serving.testing import Client

FLOAT = onnx.TensorProto.FLOAT
DENSE = '<ir_version: 10, opset_import: ["" : 21]> agraph (float[N, 2] x) => (float[N, 2] y) { y = Relu(x) }'
RESHAPE = (
    '<ir_version: 10, opset_import: ["" : 21]> agraph (float[N, 4] x, int64[2] s) => (float[A, B] y) { y = Reshape(x, s) }'
)


class Done(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


@pytest.fixture
def ei(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Runs `ei` with these words."""

    def run(*words: str | Path) -> Done:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(word) for word in words])
        captured = capfd.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def dense(tmp_path: Path) -> Path:
    """A model of one node."""
    onnx.save(parser.parse_model(DENSE), tmp_path / "dense.onnx")
    return tmp_path / "dense.onnx"


@pytest.fixture
def reshape(tmp_path: Path) -> Path:
    """A model one of whose inputs decides the shape of what comes out."""
    onnx.save(parser.parse_model(RESHAPE), tmp_path / "reshape.onnx")
    return tmp_path / "reshape.onnx"


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A model of five nodes of two operators that nobody knows, and one that is known."""
    nodes = [helper.make_node("Wobble", [f"x{at}"], [f"x{at + 1}"], name=f"wobble{at}", domain="my") for at in range(4)]
    nodes += [helper.make_node("Wabble", ["x4"], ["z"], domain="my"), helper.make_node("Relu", ["z"], ["y"])]
    inputs, outputs = (helper.make_tensor_value_info(name, FLOAT, ["N"]) for name in ("x0", "y"))
    graph = helper.make_graph(nodes, "strange", [inputs], [outputs])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("my", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "strange.onnx")
    return tmp_path / "strange.onnx"


def test_convert_prints_results_alone_and_its_artifact_is_served(ei: Callable[..., Done], dense: Path, tmp_path: Path) -> None:
    """A line for each output, what it was verified against, where it lies; nothing on stderr; the folder can be served."""
    done = ei("convert", dense, tmp_path / "out")
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[0].startswith("y (float32): largest error 0 (relative 0) in 2 cases")
    assert lines[1].startswith("verified against ")
    assert lines[2] == f"{tmp_path / 'out'}: runs on stock MXNet; one artifact for any sizes"
    with Client(tmp_path / "out") as client:
        assert client.invocations([[1, -2]]).json() == [[1.0, 0.0]]


def test_options(ei: Callable[..., Done], dense: Path, tmp_path: Path) -> None:
    """Sizes, opset, archive and the lack of verification are as they were asked for."""
    done = ei("convert", dense, tmp_path / "out", "--input-shape", "x=3,2", "--opset", "22", "--pack", "--no-verify")
    report = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert (done.status, report["verification"]) == (0, None)
    assert "not verified" in done.out
    assert (report["inputs"][0]["shape"], report["source"]["opsets"]) == ([3, 2], {"ai.onnx": 22})
    assert (tmp_path / "out" / "model.tar.gz").is_file()


def test_values_that_decide_shapes(ei: Callable[..., Done], reshape: Path, tmp_path: Path) -> None:
    """Where no made-up value fits, the error says how to give one; given one, it converts."""
    done = ei("convert", reshape, tmp_path / "out")
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[1].endswith("--input-shape NAME=1,3,224,224, --input-value NAME=[2,4].")
    assert not (tmp_path / "out").exists()
    assert ei("convert", reshape, tmp_path / "out", "--input-value", "s=[2,2]").status == 0
    assert ei("convert", reshape, tmp_path / "out", "--input-value", "t=[2,2]").err.startswith("ei: the model has no input 't'")


def test_mxnet_says_nothing_of_its_own(dense: Path, tmp_path: Path) -> None:
    """Its engine tells that it starts, at the latest when the process ends."""
    command = [sys.executable, "-m", "container.cli", "convert", "--no-verify", str(dense), str(tmp_path / "out")]
    assert subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stderr == ""


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_report_is_all_that_is_printed(ei: Callable[..., Done], dense: Path, tmp_path: Path, form: str) -> None:
    """`--report` writes one document to stdout."""
    done = ei("convert", dense, tmp_path / "out", "--report", form)
    assert (done.status, done.err) == (0, "")
    if form == "json":
        assert json.loads(done.out) == json.loads((tmp_path / "out" / "conversion.json").read_text())
    else:
        assert done.out.startswith("<!doctype html>")
        assert done.out.rstrip().endswith("</table>")


def test_check_lists_every_node(ei: Callable[..., Done], strange: Path, dense: Path) -> None:
    """`--check` names all that cannot be converted, those of one kind in one line with their number, and writes nothing."""
    done = ei("convert", strange, "--check")
    assert (done.status, done.err) == (1, "")
    assert done.out.splitlines() == [
        "my.Wobble: no converter for this operator (4 nodes: wobble0, wobble1, wobble2, ...)",
        "my.Wabble: no converter for this operator (1 node: z)",
    ]
    assert ei("convert", dense, "--check") == Done(0, "every node can be converted\n", "")


def test_check_as_a_report(ei: Callable[..., Done], strange: Path) -> None:
    """For a program, each node by itself."""
    done = ei("convert", strange, "--check", "--report", "json")
    found = json.loads(done.out)
    assert (done.status, found["convertible"], len(found["problems"])) == (1, False, 5)
    assert found["problems"][0]["node"] == "wobble0"
    assert "<table>" in ei("convert", strange, "--check", "--report", "html").out


def test_unsupported_models_are_listed_on_stderr(ei: Callable[..., Done], strange: Path, tmp_path: Path) -> None:
    """Without `--check` the list is an error, and ends with what to type next."""
    done = ei("convert", strange, tmp_path / "out")
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[0] == f"ei: {strange} cannot be converted:"
    assert done.err.splitlines()[-1] == "`ei ops` lists what can be."
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (("missing.onnx", "out"), "ei: missing.onnx: No such file or directory"),
        (("text.onnx", "out"), "ei: text.onnx: not an ONNX model"),
        (("text.onnx", "--check"), "ei: text.onnx: not an ONNX model"),
        (("dense.onnx", "out", "--input-shape", "x=1"), "ei: input 'x' is declared"),
        (("dense.onnx", "out", "--input-shape", "z=1"), "ei: the model has no input 'z'"),
        (("dense.onnx", "text.onnx/out"), "ei: text.onnx"),
        (("dense.onnx", "out", "--opset", "9999"), "ei: ONNX cannot convert the model to opset 9999"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_errors_are_two_lines(
    ei: Callable[..., Done], dense: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], first: str
) -> None:
    """What is wrong, and what to do about it; no traceback, nothing on stdout, status 1."""
    monkeypatch.chdir(dense.parent)
    Path("text.onnx").write_text("not ONNX")
    done = ei("convert", *words)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(first), done.err
    assert len(done.err.splitlines()) == 2


@pytest.mark.parametrize(
    "words",
    [("dense.onnx",), ("dense.onnx", "out", "--input-shape", "x"), ("dense.onnx", "out", "--input-value", "x=["), ()],
    ids=["no target", "shape", "value", "nothing"],
)
def test_usage(ei: Callable[..., Done], dense: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    """What cannot be understood ends with 2, before anything is loaded."""
    monkeypatch.chdir(dense.parent)
    done = ei("convert", *words)
    assert (done.status, done.out) == (2, "")
    assert "Usage: ei convert" in done.err


def test_a_defect_is_told_without_a_traceback(
    ei: Callable[..., Done], dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no error of ours explains is one line and a request to report it."""

    def fail(*args: object) -> bool:
        raise RuntimeError("out of cheese\nat shelf 3")

    monkeypatch.setattr(frameworks, "is_foreign", fail)
    done = ei("convert", dense, tmp_path / "out")
    assert done == Done(1, "", "ei: RuntimeError: out of cheese\nThis is a defect of ei: please report it, with the model.\n")


def test_a_framework_s_file_is_exported_first(
    ei: Callable[..., Done], dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no ONNX file goes through its framework's exporter, with the opset and the trust that were given."""
    asked = []

    def export(source: Path, **options: object) -> onnx.ModelProto:
        asked.append((source, options))
        return onnx.load(dense)

    monkeypatch.setattr(frameworks, "is_foreign", lambda path: path.suffix == ".pkl")
    monkeypatch.setattr(frameworks, "export", export)
    assert ei("convert", tmp_path / "model.pkl", tmp_path / "out", "--trust").status == 0
    assert asked == [(tmp_path / "model.pkl", {"opset": None, "trust": True})]


def test_a_pickle_is_not_loaded_unasked(ei: Callable[..., Done], tmp_path: Path) -> None:
    """Without `--trust` a pickle is refused, with the flag that would load it."""
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04N.")
    done = ei("convert", tmp_path / "model.pkl", tmp_path / "out")
    assert done.status == 1
    assert "--trust" in done.err.splitlines()[1]


def test_progress_on_a_terminal(dense: Path, tmp_path: Path) -> None:
    """On a terminal a bar names each step that runs; stdout has the results alone."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "container.cli", "convert", str(dense), str(tmp_path / "out")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=theirs, text=True, check=True)
    os.close(theirs)
    drawn = os.read(ours, 1 << 16).decode()
    os.close(ours)
    steps = [drawn.index(step) for step in ("reading", "optimising", "lowering", "verifying", "writing")]
    assert steps == sorted(steps)
    assert "100%" in drawn
    assert "engine" not in drawn
    assert done.stdout.startswith("y (float32): largest error")


def test_ops(ei: Callable[..., Done]) -> None:
    """The table names operators, opsets and limits, in columns and as JSON."""
    rows = {row["operator"]: row for row in json.loads(ei("ops", "--json").out)}
    assert rows["Relu"]["opsets"].startswith("1")
    assert rows["ConvTranspose"]["limits"]
    lines = ei("ops").out.splitlines()
    assert len(lines) == len(json.loads(ei("ops", "--json").out))
    assert any(line.split()[:2] == ["Conv", "1+"] for line in lines)


def test_export_and_back(ei: Callable[..., Done], dense: Path, tmp_path: Path) -> None:
    """`ei export` writes the artifact as ONNX, proves it, and what it wrote can be converted again."""
    ei("convert", dense, tmp_path / "out")
    done = ei("export", tmp_path / "out", tmp_path / "back.onnx")
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == str(tmp_path / "back.onnx")
    assert ei("convert", tmp_path / "back.onnx", tmp_path / "again").status == 0


@pytest.mark.parametrize("command", [[], ["convert"], ["ops"], ["export"]], ids=lambda words: " ".join(words) or "ei")
def test_help_is_quick_and_has_an_example(command: list[str]) -> None:
    """Help is there at once: nothing heavy is imported for it."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "container.cli", *command, "--help"], capture_output=True, text=True, check=True
    )
    took = time.perf_counter() - begin
    assert "Example: ei" in done.stdout
    code = "import sys, container.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "onnx", "mxnet", "onnx_import.registry"} & set(loaded)
    assert took < 5  # a quarter of a second on an idle machine; the imports above are what would make it slow
