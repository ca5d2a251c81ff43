"""Which servers there are to compare with, what each must have installed, and the command that starts it.

The environments are made below build/bench/venvs from the requirements beside this file, once, and again when those change.
All processes of a peer have one OpenMP thread, as ours do; those with our model code have MXNet's synchronous engine too,
which nearly doubles what small models reach.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness
from benchmarks.harness import BenchmarkError
from benchmarks.server import Command, Place
from serving import cores

HERE = Path(__file__).parent
FLASK_THREADS = 16
CODE = {
    "web": {"BENCH_CODE": "mxnet_model", "MXNET_ENGINE_TYPE": "NaiveEngine"},
    "tf": {"BENCH_CODE": "tf_model", "TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": "-1"},
}
"""Environment -> the model code of its peers and what makes that fast."""

Words = Callable[[Place], Sequence[str]]


@dataclass(frozen=True)
class Peer:
    """A server to compare with: the program of its environment and what follows, and the programs that it needs besides."""

    name: str
    environment: str
    words: Words
    ping: str = "/ping"
    needs: tuple[str, ...] = ()

    def command(self) -> Command:
        """How to start it, once its environment is there; BenchmarkError where it cannot be made."""
        missing = [program for program in self.needs if shutil.which(program) is None]
        if missing:
            raise BenchmarkError(f"needs {', '.join(missing)}, which is not installed")
        bin_folder = environment(self.environment) / "bin"

        def words(place: Place) -> list[str]:
            program, *rest = self.words(place)
            return [str(bin_folder / program), *rest]

        return Command(words, lambda place: variables(bin_folder, place), self.ping)


def variables(bin_folder: Path, place: Place) -> Mapping[str, str]:
    """What a peer's process is told by its environment."""
    return {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "PYTHONPATH": str(harness.ROOT),
        "TMPDIR": str(place.scratch),
        "OMP_NUM_THREADS": "1",
        "BENCH_MODEL": str(place.model),
        "BENCH_WORKERS": str(cores.count()),
        **(_of_aws(place) if bin_folder.parent.name == "mms" else CODE[bin_folder.parent.name]),
    }


def _of_aws(place: Place) -> Mapping[str, str]:
    base = {"SAGEMAKER_BASE_DIR": str(place.scratch / "ml"), "SAGEMAKER_BIND_TO_PORT": str(place.port)}
    return {**base, "SAGEMAKER_MODEL_SERVER_WORKERS": str(cores.count()), "TEMP": str(place.scratch)}


def _mms(place: Place) -> list[str]:
    return ["python", "-m", "benchmarks.peers.mms_start", str(place.model)]


def _mosec(place: Place) -> list[str]:
    options = [
        "--port",
        str(place.port),
        "--timeout",
        "60000",
        "--log-level",
        "warning",
        "--path",
        str(place.scratch / "mosec"),
    ]
    return ["python", "-m", "benchmarks.peers.mosec_app", *options]


def _uvicorn(place: Place) -> list[str]:
    options = ["--workers", str(cores.count()), "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    return ["uvicorn", "--port", str(place.port), *options, "--log-level", "warning", "benchmarks.peers.starlette_app:app"]


def _granian(place: Place) -> list[str]:
    options = ["--workers", str(cores.count()), "--interface", "asgi", "--loop", "uvloop", "--no-access-log"]
    return ["granian", "--port", str(place.port), *options, "--log-level", "warning", "benchmarks.peers.starlette_app:app"]


def _gunicorn(place: Place) -> list[str]:
    options = ["--workers", str(cores.count()), "--threads", str(FLASK_THREADS), "--keep-alive", "75", "--no-control-socket"]
    return ["gunicorn", "--bind", f"127.0.0.1:{place.port}", *options, "benchmarks.peers.flask_app:app"]


PEERS = (
    Peer("mms", "mms", _mms, needs=("java",)),
    Peer("mosec", "web", _mosec, ping="/"),  # it has no GET /ping
    Peer("uvicorn", "web", _uvicorn),
    Peer("granian", "web", _granian),
    Peer("flask", "web", _gunicorn),
)
NAMES = tuple(peer.name for peer in PEERS)

TF_PEERS = (Peer("uvicorn", "tf", _uvicorn), Peer("flask", "tf", _gunicorn))


def environment(name: str) -> Path:
    """The virtual environment of that name, made first where it is not there; BenchmarkError where it cannot be."""
    lists = sorted(HERE.glob(f"requirements-{name}*.txt"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in lists)).hexdigest()
    folder = harness.BUILD / "venvs" / name
    stamp = folder / "digest"
    if stamp.exists() and stamp.read_text() == digest:
        return folder
    harness.say(f"installing what the peers of {lists[0].name} need (minutes)")
    shutil.rmtree(folder, ignore_errors=True)
    _step([sys.executable, "-m", "venv", str(folder)])
    for path in lists:
        options = ["--no-deps"] if path.stem.endswith("-alone") else []
        _step([str(folder / "bin" / "python"), "-m", "pip", "install", "-q", *options, "-r", str(path)])
    stamp.write_text(digest)
    return folder


def _step(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[1:4])} failed: {(done.stdout + done.stderr).strip()[-500:]}")
