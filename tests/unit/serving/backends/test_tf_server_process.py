"""TF Serving as child processes, by a script on PATH that answers the REST port as TF Serving does and loads nothing.

It stands in for the binary, which is not to be had; tests/integration/test_tf_serving.py puts one there that serves models.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from serving import cores
from serving.backends import tensorflow_import, tf_server_process
from serving.backends.tf_server_process import Batching, Options, Servers
from serving.errors import StartError

tensorflow_import.protos()

from tensorflow_serving.config import model_server_config_pb2  # noqa: E402 - importable from here on

ROOT = Path(__file__).parents[4]
SCRIPT = """#!{python}
import http.server, json, os, pathlib, sys
flags = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
folder = pathlib.Path("{folder}")
with open(folder / "starts", "a") as file:
    file.write(json.dumps([os.getpid(), flags]) + chr(10))
if (folder / "fails").exists():
    sys.exit(3)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (folder / "status").read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", int(flags["rest_api_port"])), Handler).serve_forever()
"""


class Binary:
    """The script, what it was started with, and what it is to answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "tensorflow_model_server"
        self.path.write_text(SCRIPT.format(python=sys.executable, folder=folder))
        self.path.chmod(0o755)
        self.answer(AVAILABLE)

    @property
    def starts(self) -> list[tuple[int, dict[str, str]]]:
        """Process id and flags of each start."""
        path = self._folder / "starts"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def answer(self, state: str, message: str = "") -> None:
        """The state of the only version from now on."""
        status = {"error_code": "UNKNOWN" if message else "OK", "error_message": message}
        document = {"model_version_status": [{"version": "1", "state": state, "status": status}]}
        (self._folder / "status").write_text(json.dumps(document))

    def fail(self) -> None:
        """End at once from now on."""
        (self._folder / "fails").touch()


AVAILABLE = "AVAILABLE"


def ports(pairs: int) -> tuple[int, int]:
    """A range of ports of which nobody listens on any."""
    low = 20000 + os.getpid() % 20000
    while not all(_is_free(port) for port in range(low, low + 2 * pairs)):
        low += 2 * pairs
    return low, low + 2 * pairs - 1


def _is_free(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) != 0


def until(condition: Callable[[], object]) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def binary(tmp_path: Path) -> Binary:
    """The script in a folder of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return Binary(folder)


@pytest.fixture
def models(tmp_path: Path) -> dict[str, dict[int, Path]]:
    """One model of one version."""
    return {"half": {1: tmp_path / "half" / "1"}}


@pytest.fixture
def started(binary: Binary, models: dict[str, dict[int, Path]]) -> Iterator[Callable[..., Servers]]:
    """Starts processes, by options, and ends them."""
    made: list[Servers] = []

    def start(**options: Any) -> Servers:
        pairs = options.get("instances", 1)
        made.append(Servers(binary.path, models, Options(**{"ports": ports(pairs), **options})))
        made[-1].start()
        return made[-1]

    yield start
    for servers in made:
        servers.stop()


def test_find(binary: Binary, monkeypatch: pytest.MonkeyPatch) -> None:
    """The binary is found on PATH, a genuine Elastic Inference build first; where there is none there is none."""
    monkeypatch.setenv("PATH", str(binary.path.parent))
    assert tf_server_process.find() == binary.path
    genuine = binary.path.with_name("amazonei_tensorflow_model_server")
    genuine.symlink_to(binary.path)
    assert tf_server_process.find() == genuine
    monkeypatch.setenv("PATH", "/nowhere")
    assert tf_server_process.find() is None


def test_model_config() -> None:
    """The configuration is what TF Serving parses: each model's folder, platform and the very versions."""
    text = tf_server_process.model_config({"half": (Path("/opt/ml/model/half"), (1, 124)), 'q"\\é': (Path("/a b'"), (3,))})
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert [(one.name, one.base_path, one.model_platform) for one in config] == [
        ("half", "/opt/ml/model/half", "tensorflow"),
        ('q"\\é', "/a b'", "tensorflow"),
    ]
    assert [list(one.model_version_policy.specific.versions) for one in config] == [[1, 124], [3]]


def test_batching_config() -> None:
    """Batching has AWS's names and defaults, a thread and a waiting batch for each core."""
    each_core = cores.count()
    assert tf_server_process.batching_config(Batching()) == (
        "max_batch_size { value: 8 }\nbatch_timeout_micros { value: 1000 }\n"
        f"num_batch_threads {{ value: {each_core} }}\nmax_enqueued_batches {{ value: {each_core} }}\n"
    )
    text = tf_server_process.batching_config(Batching(32, 500, 3, tf_server_process.BATCH_QUEUE))
    assert [line.split()[3] for line in text.splitlines()] == ["32", "500", "3", "100000000"]


def test_ports() -> None:
    """Processes have two ports each of the safe range, from its lower end; without one there is one process, at AWS's ports."""
    assert [(one.grpc_port, one.rest_port) for one in tf_server_process.instances(Options())] == [(9000, 8501)]
    found = tf_server_process.instances(Options(instances=2, ports=(9200, 9203)))
    assert [(one.grpc_port, one.rest_port) for one in found] == [(9200, 9201), (9202, 9203)]


@pytest.mark.parametrize("options", [Options(instances=2), Options(instances=2, ports=(9200, 9202))])
def test_too_few_ports(options: Options) -> None:
    """Processes without ports of their own are a StartError that names the setting."""
    with pytest.raises(StartError, match="SAGEMAKER_SAFE_PORT_RANGE"):
        tf_server_process.instances(options)


def test_flags(binary: Binary, started: Callable[..., Servers]) -> None:
    """A process is started with AWS's flags, those of batching and of threads only where they are asked for."""
    low, high = ports(1)
    servers = started(ports=(low, high))
    until(lambda: binary.starts)
    flags = binary.starts[0][1]
    assert {k: v for k, v in flags.items() if k != "model_config_file"} == {
        "port": str(low),
        "rest_api_port": str(high),
        "max_num_load_retries": "0",
    }
    assert 'name: "half"' in Path(flags["model_config_file"]).read_text()
    assert servers.addresses == [f"127.0.0.1:{low}"]
    started(batching=Batching(), intra_op=2, inter_op=3)
    until(lambda: len(binary.starts) == 2)
    flags = binary.starts[1][1]
    assert (flags["enable_batching"], flags["tensorflow_intra_op_parallelism"]) == ("true", "2")
    assert flags["tensorflow_inter_op_parallelism"] == "3"
    assert "max_batch_size" in Path(flags["batching_parameters_file"]).read_text()


def test_versions_without_numbered_folders(
    binary: Binary, started: Callable[..., Servers], models: Any, tmp_path: Path
) -> None:
    """A lone SavedModel is served from a folder of links, since TF Serving wants a numbered one."""
    (tmp_path / "lone").mkdir()
    models["model"] = {1: tmp_path / "lone"}
    started()
    until(lambda: binary.starts)
    text = Path(binary.starts[0][1]["model_config_file"]).read_text()
    config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    base = Path(next(one.base_path for one in config if one.name == "model"))
    assert (base / "1").resolve() == tmp_path / "lone"


def test_await_available(binary: Binary, started: Callable[..., Servers]) -> None:
    """Waiting ends once every process says that its models are available, and fails with what it says where it is not in time."""
    servers = started(instances=2)
    servers.await_available(30)
    binary.answer("LOADING")
    with pytest.raises(StartError, match=r"did not serve half within 0.05 s: it still loads version 1"):
        servers.await_available(0.05)


def test_a_model_that_does_not_load_ends_the_wait(binary: Binary, started: Callable[..., Servers]) -> None:
    """A version that TF Serving has given up is a StartError with its words."""
    binary.answer("END", "no variables")
    with pytest.raises(StartError, match="half version 1: no variables"):
        started().await_available(30)


def test_a_process_that_ends_ends_the_wait(binary: Binary, started: Callable[..., Servers]) -> None:
    """A process that ends before it serves is a StartError with its status."""
    binary.fail()
    with pytest.raises(StartError, match="ended with 3 before it served half"):
        started().await_available(30)


@pytest.mark.parametrize(("mode", "message"), [(0o644, "cannot be run"), (0o755, "ended with 1 before it served half")])
def test_a_binary_that_cannot_be_run(models: Any, tmp_path: Path, mode: int, message: str) -> None:
    """A binary that may not be executed, or that the system does not run, is a StartError."""
    path = tmp_path / "tensorflow_model_server"
    path.write_bytes(b"\x7fELF nothing")
    path.chmod(mode)
    servers = Servers(path, models, Options())

    def serve() -> None:
        servers.start()
        servers.await_available(30)

    with pytest.raises(StartError, match=message):
        serve()
    servers.stop()


def test_revive(binary: Binary, started: Callable[..., Servers], monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that died is started anew on its ports, not before its time; one that lives is left alone."""
    monkeypatch.setattr(tf_server_process, "RESTART_SECONDS", 0.0)
    servers = started()
    servers.await_available(30)
    servers.revive()
    pid, flags = binary.starts[0]
    os.kill(pid, signal.SIGKILL)
    until(lambda: servers.revive() or len(binary.starts) == 2)
    servers.await_available(30)
    assert binary.starts[1][1] == flags
    assert binary.starts[1][0] != pid
    monkeypatch.setattr(tf_server_process, "RESTART_SECONDS", 3600.0)
    os.kill(binary.starts[1][0], signal.SIGKILL)
    until(lambda: not _is_alive(binary.starts[1][0]))
    servers.revive()
    assert len(binary.starts) == 2


def test_a_process_that_somebody_else_reaped_is_revived(
    binary: Binary, started: Callable[..., Servers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """gunicorn's arbiter takes leave of every child: one that it took is seen to have ended all the same."""
    monkeypatch.setattr(tf_server_process, "RESTART_SECONDS", 0.0)
    servers = started()
    servers.await_available(30)
    pid = binary.starts[0][0]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    until(lambda: servers.revive() or len(binary.starts) == 2)


def test_stop(binary: Binary, started: Callable[..., Servers]) -> None:
    """Stopping ends every process and removes the configuration."""
    servers = started(instances=2)
    servers.await_available(30)
    config = Path(binary.starts[0][1]["model_config_file"])
    servers.stop()
    assert not any(_is_alive(pid) for pid, _ in binary.starts)
    assert not config.exists()
    servers.revive()
    assert len(binary.starts) == 2


def test_a_process_that_does_not_stop_is_killed(
    binary: Binary, started: Callable[..., Servers], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that takes no notice of SIGTERM is killed after its time."""
    monkeypatch.setattr(tf_server_process, "STOP_SECONDS", 0.01)
    servers = started()
    servers.await_available(30)
    os.kill(binary.starts[0][0], signal.SIGSTOP)
    servers.stop()
    assert not _is_alive(binary.starts[0][0])


def test_processes_end_with_the_server(binary: Binary) -> None:
    """Where the server is killed its TF Serving processes end too."""
    code = f"""
import os, signal
from pathlib import Path
from serving.backends.tf_server_process import Options, Servers
servers = Servers(Path({str(binary.path)!r}), {{"half": {{1: Path("/half/1")}}}}, Options(ports={ports(1)}))
servers.start()
servers.await_available(30)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=120)
    assert ended.returncode == -signal.SIGKILL
    until(lambda: not _is_alive(binary.starts[0][0]))


def _is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie that nobody has taken leave of yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
