"""`ei advise`, `ei bench` and `ei sweep` as a user types them, with a real server and a real accelerator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.accelerators.sizing import loopback, measured
from tests.integration.faults.server import free_port
from tests.unit.serving.accelerators.sizing import networks

ROOT = Path(__file__).parents[3]
QUICK = ("--seconds", "0.3", "--warm", "0.1")


def ei(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, in a folder of the test's own."""
    command = [sys.executable, "-m", "container.cli", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model directory."""
    folder = tmp_path / "model"
    folder.mkdir()
    networks.small(folder)
    return folder


def test_advise_says_that_a_tiny_model_should_stay(model: Path, tmp_path: Path) -> None:
    """Both generations are named, and a pass of some µs is not worth a call."""
    done = ei("advise", str(model), "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["types"] == {"eia2": "ml.eia2.medium", "eia1": "ml.eia1.medium"}
    assert found["estimate"] >= found["need"] >= 0
    assert found["call"]["added"] > 0
    assert "attaching" in found["call"]["verdict"]


def test_advise_proves_that_the_type_is_enough(model: Path, tmp_path: Path) -> None:
    """Run inside the type's memory, without any call."""
    done = ei("advise", str(model), "--prove", "--no-call", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "inside ml.eia2.medium's memory" in done.stderr
    assert "recommended: ml.eia2.medium" in done.stdout
    assert "attaching" not in done.stdout


@pytest.mark.parametrize("words", [("--shape", "data=a"), ("--shape", "0,3"), ("--batch", "0")])
def test_what_is_no_size_is_a_usage_error(model: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """With 2, before anything runs."""
    assert ei("advise", str(model), *words, folder=tmp_path).returncode == 2


def test_bench_measures_an_accelerator_and_loads_the_model_there(model: Path, tmp_path: Path) -> None:
    """By the Open Inference Protocol; then by the model's name alone, as of any server of it."""
    with loopback.accelerator("ml.eia2.medium", 1) as there:
        url = f"grpc://{there.address}"
        done = ei("bench", url, "--model", str(model), "--concurrency", "1,3", *QUICK, "--json", folder=tmp_path)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert [(one["concurrency"], one["errors"]) for one in found] == [(1, 0), (3, 0)]
        assert all(one["requests"] > 0 and one["p99"] >= one["p50"] > 0 for one in found)
        lacking = ei("bench", f"{url}/nobody", *QUICK, folder=tmp_path)
        assert lacking.returncode == 1
        assert "nobody" in lacking.stderr


def test_bench_fails_where_nobody_listens(model: Path, tmp_path: Path) -> None:
    """Exit 1, with a row that says why."""
    url = f"http://127.0.0.1:{free_port()}/invocations"
    done = ei("bench", url, "--model", str(model), "--concurrency", "1", *QUICK, folder=tmp_path)
    assert done.returncode == 1
    assert "cannot connect" in done.stdout


def test_bench_needs_something_to_send(tmp_path: Path) -> None:
    """And says which options name it."""
    done = ei("bench", "http://127.0.0.1:1/invocations", folder=tmp_path)
    assert done.returncode == 1
    assert "--payload" in done.stderr


@pytest.mark.slow
def test_a_sweep_runs_reports_and_goes_on(model: Path, tmp_path: Path) -> None:
    """With and without an accelerator, really; once more it takes what is done, and measures what is new alone."""
    words = ["sweep", str(model), "--cores", "1", "--concurrency", "2", *QUICK, "--html", "report.html", "--json"]
    done = ei(*words, "--price", "host=0.05", "--price", "eia=0.1", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(row["accelerator"], row["error"], row["errors"]) for row in found["rows"]] == [
        ("none", "", 0),
        ("ml.eia2.medium", "", 0),
    ]
    assert all(row["rate"] > 0 and row["host_memory"] > 0 and row["per_million"] > 0 for row in found["rows"])
    assert found["rows"][1]["accelerator_memory"] > 0
    assert found["recommended"]["accelerator"] == "none"
    assert "<svg" in (tmp_path / "report.html").read_text()
    state = (tmp_path / "ei-sweep.jsonl").read_text()
    assert len(state.splitlines()) == 2

    again = ei(*words, "--batch", "1,2", "--accelerators", "none", folder=tmp_path)
    assert again.returncode == 0, again.stderr
    rows = json.loads(again.stdout)["rows"]
    assert [row["batch"] for row in rows] == [1, 2]
    assert rows[0]["rate"] == found["rows"][0]["rate"]
    assert len((tmp_path / "ei-sweep.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_what_cannot_be_started_is_a_row(tmp_path: Path) -> None:
    """A model that the server refuses, and more cores than there are: each configuration says why, and the sweep ends with 1."""
    folder = tmp_path / "model"
    folder.mkdir()
    networks.small(folder)
    many = str(len(os.sched_getaffinity(0)) + 1)
    sent = tmp_path / "body.json"
    sent.write_text("[[1, 2, 3, 4, 5, 6, 7, 8]]")
    words = ["sweep", str(folder), "--cores", many, "--accelerators", "none", "--concurrency", "1", "--payload", str(sent)]
    done = ei(*words, *QUICK, "--json", folder=tmp_path)
    assert done.returncode == 1
    (row,) = json.loads(done.stdout)["rows"]
    assert "cores" in row["error"]
    (folder / "model-0000.params").write_bytes(b"broken")
    words[3] = "1"
    done = ei(*words, *QUICK, "--json", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    (row,) = json.loads(done.stdout)["rows"]
    assert "did not start" in row["error"]


def test_the_estimate_is_over_the_floor(model: Path) -> None:
    """What the front refuses by the file alone, the estimate would refuse too."""
    from serving.accelerators.sizing import estimate

    found = measured.candidate(model)
    guess = measured.estimate(found)
    assert guess is not None
    assert guess[0] >= estimate.floor((model / "model-0000.params").stat().st_size)
