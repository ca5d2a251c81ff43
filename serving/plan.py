"""What the processes of one server share: made before the first fork, and inherited by all of them."""

from __future__ import annotations

import mmap
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from serving import cores
from serving.errors import StartError
from serving.execution.arena import Arena
from serving.execution.placement import Placement
from serving.invocation import Service
from serving.settings import Settings
from serving.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from flask import Flask

    from serving.accelerators.detection import Found
    from serving.accelerators.health import Watch
    from serving.backends.tf_server_process import Servers

METRIC_ROWS = 256
"""Rows of the metrics' table: processes beyond them share rows, and a scrape adds all of them up."""
MAX_SLOTS = 1024
"""More than the largest `workers`, the front and the wide model process together."""


@dataclass
class Plan:
    """One server: its settings, its service (None where each process loads for itself), its sockets and shared memory."""

    settings: Settings
    service: Service | None
    placement: Placement
    name: str
    listeners: list[socket.socket] = field(default_factory=list)
    link: socket.socket | None = None
    arena: Arena | None = None
    generation: int = 0
    is_tensorflow: bool = False
    """Whether TensorFlow models are served."""
    attached: tuple[Found, ...] = ()
    """The accelerators that answered at the start; none where none is declared, or where the CPU stands in for them."""
    tf_serving: Servers | None = None
    """TF Serving's own processes, where they were started for it; the arbiter keeps them."""
    cores: int = field(
        default_factory=lambda: cores.count()
    )  # once: the quota of a running container may change, the slots must not
    metrics: Metrics = field(default_factory=lambda: Metrics(METRIC_ROWS))
    _booted: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, MAX_SLOTS))

    @property
    def narrow(self) -> int:
        """Model processes that take one request each as they fall free; without a pool: all processes.

        Twice as many as cores where passes run on an accelerator: while one process waits for it, another one decodes.
        """
        return self.settings.workers or self.cores * (2 if self.waits and self.placement.kind == "pool" else 1)

    @property
    def waits(self) -> bool:
        """Whether passes run on an accelerator, and processes wait for it."""
        return bool(self.attached) and self.settings.device != "cpu"

    @property
    def processes(self) -> int:
        """How many processes the arbiter keeps."""
        if self.placement.kind != "pool":
            return self.narrow
        return 1 + self.narrow + int(self.has_wide)

    @property
    def has_wide(self) -> bool:
        """Whether a lone request gets a model process with all cores' threads."""
        return self.settings.wide and self.cores > self.settings.omp_threads and not self.waits

    @property
    def listens_grpc(self) -> bool:
        """Whether TF Serving's gRPC clients are answered: they are asked for, and there are models for them."""
        return self.settings.listens_grpc and self.is_tensorflow

    def open(self) -> None:
        """Listen: one socket for each process that accepts, so that each has its own share of the connections."""
        self.listeners = _listeners(self.settings, 1 if self.placement.kind == "pool" else self.narrow)
        if self.listens_grpc:  # by the processes that answer, after the fork; they would share it with anybody
            try:
                _free(self.settings.host, self.settings.grpc_port)
            except OSError as error:
                raise _taken(self.settings, self.settings.grpc_port, "EI_GRPC_PORT or --grpc-port", error) from None
        if self.placement.kind == "pool":
            self._open_pool()

    def to_pool(self) -> bool:
        """Change an inline plan into a pool; False where it is none."""
        if self.placement.kind != "inline":
            return False
        self.placement = Placement("pool", "the user script turned out slow")
        self.generation += 1
        self._open_pool()
        return True

    def _open_pool(self) -> None:
        self.arena = Arena(self.settings.queue_mb << 20)
        self.link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.link.bind("")  # the kernel picks a name that no other socket has
        self.link.listen(self.processes)

    def load(self) -> Service:
        """Load the service in this process."""
        from serving.models import store

        return store.load(self.settings)

    def check(self, content_type: str, accept: str) -> None:
        """Raise what the service refuses by these two headers alone."""
        check = getattr(self.service, "check", None) or self._refuse
        if check is not None:
            check(content_type, accept)

    @cached_property
    def _refuse(self) -> Callable[[str, str], None] | None:
        """What `check` does where the processes load the service for themselves; None where that is not known."""
        if not self.is_tensorflow:
            return None
        from serving.tfs import loading

        return loading.refuse(self.settings)

    def is_attached(self) -> bool:
        """Whether the TF Serving processes that run the models would answer now; True where the models are ours."""
        if not self.settings.tfs_address:
            return True
        from serving.tfs import remote

        return remote.is_available(self.settings)

    def watch(self) -> Watch | None:
        """Whoever tells whether the accelerator is still there, in this process; None where none is used."""
        if not self.waits:
            return None
        from serving.accelerators.health import Watch

        return Watch(self.settings, getattr(getattr(self.service, "model", None), "artifact", None))

    def create_app(self) -> Flask:
        """The control plane of this process."""
        from serving.control.app import create_app

        return create_app(self.settings, self.metrics, status=self.status)

    def status(self) -> dict[str, Any]:
        """What `/status` says: which models run where, and what has been called there."""
        return {
            "models": [{"name": name, "device": device} for name, device in self.metrics.places()],
            "placement": {"kind": self.placement.kind, "why": self.placement.why, "processes": self.processes},
            "accelerators": [{"device": found.device, **vars(found)} for found in self.attached],
            "accelerator_calls": self.metrics.accelerator_calls,
        }

    def booted(self, slot: int) -> None:
        """Note that the process in this slot serves."""
        self._booted[slot] = 1

    def has_booted(self, slot: int) -> bool:
        """Whether the process that is or was in this slot came to serve."""
        return bool(self._booted[slot])

    @property
    def serves_narrow(self) -> bool:
        """Whether all narrow model processes have come to serve."""
        return all(self._booted[slot] for slot in range(1, self.narrow + 1))

    def starts(self, slot: int) -> None:
        """Note that a process is being forked for this slot."""
        self._booted[slot] = 0


def _listeners(settings: Settings, count: int) -> list[socket.socket]:
    """Sockets on one address; a port that anybody else listens on is an error, one of our own user's servers included."""
    try:
        family, address = _free(settings.host, settings.port)
        sockets = []
        for _ in range(count):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.bind(address)
            sock.listen(2048)
            sockets.append(sock)
    except OSError as error:
        raise _taken(settings, settings.port, "SAGEMAKER_BIND_TO_PORT or --port", error) from None
    return sockets


def _free(host: str, port: int) -> tuple[int, Any]:
    """The family and address of a port, bound once to see that nobody has it; OSError where somebody does."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
    return family, address


def _taken(settings: Settings, port: int, remedy: str, error: OSError) -> StartError:
    why = error.strerror or error
    return StartError(f"cannot listen on {settings.host}:{port}: {why}; free the port, or choose another with {remedy}")
