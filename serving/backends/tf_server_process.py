"""TF Serving as child processes: found on PATH, configured from a model directory, awaited, restarted, ended.

    find() -> Path;  Servers(binary, models, options).start() -> await_available() -> revive() now and then -> stop()

Flags, files and ports are those of AWS's container [sagemaker-tensorflow-serving-container tfs_utils.py, serve.py]. No thread is
started and no gRPC is loaded here, so that a process may fork afterwards.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from serving import cores, settings
from serving.errors import StartError

log = logging.getLogger("ei.processes")
BINARIES = ("amazonei_tensorflow_model_server", "amazonei_tensorflow2_model_server", "tensorflow_model_server")
"""The first that is there is taken: a genuine Elastic Inference build before a plain one."""
GRPC_PORT, REST_PORT = 9000, 8501
POLL_SECONDS = 0.05
RESTART_SECONDS = 1.0
"""How long after its last start a process that ended is started anew."""
STOP_SECONDS = 5.0
AS_CHILD = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
signal.pthread_sigmask(signal.SIG_SETMASK, [])
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs a command that takes signals from the server alone, and ends when it does, however it does.

A program, not `preexec_fn`: that runs the fork handlers of libraries, and gRPC's fail in a process that has channels.
"""
BATCH_QUEUE = 100_000_000
"""`max_enqueued` of a batch transform job, whose requests the platform limits itself."""

Models = Mapping[str, Mapping[int, Path]]


@dataclass(frozen=True)
class Batching:
    """TF Serving's own batching (SAGEMAKER_TFS_MAX_BATCH_SIZE and its neighbours); None is one for each core."""

    max_batch_size: int = 8
    timeout_micros: int = 1000
    threads: int | None = None
    max_enqueued: int | None = None


@dataclass(frozen=True)
class Options:
    """How many processes run, on which ports, and how. `ports` is SAGEMAKER_SAFE_PORT_RANGE."""

    instances: int = 1
    ports: tuple[int, int] | None = None
    intra_op: int = 0
    inter_op: int = 0
    batching: Batching | None = None


@dataclass
class Instance:
    """One process and its two ports."""

    grpc_port: int
    rest_port: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0


def find() -> Path | None:
    """TF Serving's binary on PATH, None where there is none."""
    found = next((path for name in BINARIES if (path := shutil.which(name)) is not None), None)
    return None if found is None else Path(found)


def model_config(bases: Mapping[str, tuple[Path, tuple[int, ...]]]) -> str:
    """A ModelServerConfig as text: for each model the folder of its versions, and the versions that are served."""
    return "model_config_list: {\n" + "".join(_config(name, *base) for name, base in bases.items()) + "}\n"


def batching_config(batching: Batching) -> str:
    """A BatchingParameters file."""
    each_core = cores.count()
    values = {
        "max_batch_size": batching.max_batch_size,
        "batch_timeout_micros": batching.timeout_micros,
        "num_batch_threads": batching.threads or each_core,
        "max_enqueued_batches": batching.max_enqueued or each_core,
    }
    return "".join(f"{name} {{ value: {value} }}\n" for name, value in values.items())


def instances(options: Options) -> list[Instance]:
    """The processes with their ports: LOW+2i and LOW+2i+1 of the range; StartError where it has too few, or is needed."""
    if options.ports is None:
        if options.instances > 1:
            raise StartError(f"{options.instances} TF Serving processes need SAGEMAKER_SAFE_PORT_RANGE, two ports for each")
        return [Instance(GRPC_PORT, REST_PORT)]
    low, high = options.ports
    if high - low + 1 < 2 * options.instances:
        raise StartError(
            f"SAGEMAKER_SAFE_PORT_RANGE={low}-{high} has {high - low + 1} ports: "
            f"{options.instances} TF Serving processes need {2 * options.instances}"
        )
    return [Instance(low + 2 * at, low + 2 * at + 1) for at in range(options.instances)]


class Servers:
    """The TF Serving processes of one server. One thread starts and ends them."""

    def __init__(self, binary: Path, models: Models, options: Options) -> None:
        self._binary, self._models, self._options = binary, models, options
        self._instances = instances(options)
        self._folder: Path | None = None

    @property
    def addresses(self) -> list[str]:
        """Where each process answers gRPC."""
        return [f"127.0.0.1:{one.grpc_port}" for one in self._instances]

    @property
    def pids(self) -> list[int]:
        """The process ids of those that were started."""
        return [one.process.pid for one in self._instances if one.process is not None]

    def start(self) -> None:
        """Write the configuration and start every process; StartError where the binary cannot be run."""
        self._folder = Path(tempfile.mkdtemp(prefix="ei-tfs-"))
        bases = {name: _base(name, versions, self._folder) for name, versions in self._models.items()}
        (self._folder / "models.cfg").write_text(model_config(bases))
        if self._options.batching is not None:
            (self._folder / "batching.cfg").write_text(batching_config(self._options.batching))
        for one in self._instances:
            self._launch(one)

    def await_available(self, seconds: float) -> None:
        """Return once every process serves every model; StartError says which does not, and why."""
        end = time.monotonic() + seconds
        for one in self._instances:
            for name in self._models:
                while (why := self._against(one, name)) != "":
                    if time.monotonic() > end:
                        raise StartError(f"TF Serving did not serve {name} within {seconds:g} s: {why}")
                    time.sleep(POLL_SECONDS)

    def revive(self) -> None:
        """Start anew what has ended by itself, each process once a second at most; call it a few times a second."""
        for one in self._instances:
            if one.process is None or one.process.poll() is None or time.monotonic() - one.started < RESTART_SECONDS:
                continue
            log.warning("TF Serving [%d] has ended: starting it anew", one.process.pid)  # its status may be gunicorn's already
            with suppress(StartError):
                self._launch(one)

    def stop(self) -> None:
        """End all processes, and remove their configuration."""
        running = [one.process for one in self._instances if one.process is not None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for one in self._instances:
            one.process = None
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def command(self, one: Instance) -> list[str]:
        """The command line of a process."""
        assert self._folder is not None
        flags = {
            "port": one.grpc_port,
            "rest_api_port": one.rest_port,
            "model_config_file": self._folder / "models.cfg",
            "max_num_load_retries": 0,
        }
        if self._options.batching is not None:
            flags |= {"enable_batching": "true", "batching_parameters_file": self._folder / "batching.cfg"}
        if self._options.intra_op:
            flags["tensorflow_intra_op_parallelism"] = self._options.intra_op
        if self._options.inter_op:
            flags["tensorflow_inter_op_parallelism"] = self._options.inter_op
        return [str(self._binary), *[f"--{name}={value}" for name, value in flags.items()]]

    def _launch(self, one: Instance) -> None:
        one.started = time.monotonic()
        if not os.access(self._binary, os.X_OK):
            raise StartError(f"{self._binary} cannot be run: it is no program that this user may execute")
        command = [sys.executable, "-I", "-S", "-c", AS_CHILD, *self.command(one)]
        one.process = subprocess.Popen(command, env=settings.environment(), process_group=0)
        log.info("started TF Serving [%d] on the ports %d (gRPC) and %d (REST)", one.process.pid, one.grpc_port, one.rest_port)

    def _against(self, one: Instance, name: str) -> str:
        """What speaks against a model of a process: nothing once all its versions are available."""
        assert one.process is not None
        if one.process.poll() is not None:
            raise StartError(f"TF Serving ended with {one.process.returncode} before it served {name}; its log says why")
        try:
            versions = _status(one.rest_port, name).get("model_version_status", [])
        except (OSError, HTTPException, ValueError) as error:
            return f"its REST port {one.rest_port} does not answer: {error}"
        for version in versions:
            if version.get("state") == "END":
                told = version.get("status", {}).get("error_message")
                raise StartError(f"TF Serving does not serve {name} version {version.get('version')}: {told}")
        waiting = [str(version.get("version")) for version in versions if version.get("state") != "AVAILABLE"]
        if not versions:
            return "it has no version of it"
        return f"it still loads version {', '.join(waiting)}" if waiting else ""


def _config(name: str, base: Path, versions: tuple[int, ...]) -> str:
    specific = "".join(f"        versions: {version}\n" for version in versions)
    return (
        f"  config: {{\n    name: {_quoted(name)}\n    base_path: {_quoted(base)}\n"
        '    model_platform: "tensorflow"\n'
        f"    model_version_policy: {{\n      specific: {{\n{specific}      }}\n    }}\n  }}\n"
    )


def _quoted(text: object) -> str:
    """A string of protobuf's text format, which takes JSON's escapes."""
    return json.dumps(str(text), ensure_ascii=False)


def _base(name: str, versions: Mapping[int, Path], folder: Path) -> tuple[Path, tuple[int, ...]]:
    """The folder that TF Serving finds the versions in: theirs, or one of links where they do not lie in numbered folders."""
    parents = {path.parent for path in versions.values()}
    if len(parents) == 1 and all(path.name.isdigit() and int(path.name) == version for version, path in versions.items()):
        return parents.pop(), tuple(sorted(versions))
    links = folder / "models" / name
    links.mkdir(parents=True)
    for version, path in versions.items():
        (links / str(version)).symlink_to(path.resolve())
    return links, tuple(sorted(versions))


def _status(port: int, name: str) -> dict[str, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", f"/v1/models/{name}")
        document = json.loads(connection.getresponse().read())
        return document if isinstance(document, dict) else {}
    finally:
        connection.close()
