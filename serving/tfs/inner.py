"""TF Serving's REST API and its PredictionService for the user script of this process, on loopback, in threads of its own.

    script -> requests.post(context.rest_uri)   -> inner_rest -> the models' line
    script -> a stub over context.channel       -> rpc        -> the models' line

Several processes cannot share the container's two ports, so each has its own: of SAGEMAKER_SAFE_PORT_RANGE the pair that
its slot has in AWS's container, or any free ones. Nothing is opened before the fork.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from serving.errors import StartError
from serving.tfs.inner_rest import RestServer
from serving.tfs.service import TfsService

log = logging.getLogger("ei.script")


@dataclass(frozen=True)
class Places:
    """Where a script finds the models; without a gRPC port there is no channel."""

    rest_port: int
    grpc_port: int = 0
    channel: Any = None


class Inner:
    """The two servers of one process, over its models. `ports` are the only ones allowed, from the lower to the higher."""

    def __init__(self, service: TfsService, ports: tuple[int, int] | None = None, grpc: bool = False) -> None:
        self._service, self._ports, self._grpc = service, ports, grpc
        self._lock = threading.Lock()
        self._pid = 0
        self._places: Places | None = None
        self._rest: RestServer | None = None
        self._rpc: Any = None

    def places(self) -> Places:
        """Where the servers of this process are; they are started where they have not been."""
        if self._places is None or self._pid != os.getpid():
            return self.start()
        return self._places

    def start(self, slot: int = 0) -> Places:
        """Listen on the pair of ports of this slot, or on the next one of the range that is free; StartError where none is."""
        with self._lock:
            if self._places is not None and self._pid == os.getpid():
                return self._places
            for grpc_port, rest_port in _pairs(self._ports, slot):
                with suppress(OSError):
                    self._places = self._open(grpc_port, rest_port)
                    self._pid = os.getpid()
                    log.info("the script finds the models at %s", _words(self._places))
                    return self._places
        low, high = self._ports or (0, 0)
        raise StartError(f"no two neighbouring ports of SAGEMAKER_SAFE_PORT_RANGE={low}-{high} are free for the user script")

    def close(self) -> None:
        """Stop listening."""
        if self._pid == os.getpid():
            if self._rest is not None:
                self._rest.close()
            if self._rpc is not None:
                self._rpc.close()
        self._places = self._rest = self._rpc = None

    def _open(self, grpc_port: int, rest_port: int) -> Places:
        rest = RestServer(self._service, rest_port)
        if not self._grpc:
            self._rest = rest
            return Places(rest.port)
        from serving.tfs.rpc import serve_locally

        try:
            local = serve_locally(self._service, grpc_port)
        except BaseException:
            rest.close()
            raise
        self._rest, self._rpc = rest, local
        return Places(rest.port, local.port, local.channel)


def _pairs(ports: tuple[int, int] | None, slot: int) -> Iterator[tuple[int, int]]:
    """(gRPC, REST) ports to try in turn: LOW+2i and LOW+2i+1 from the slot's own on, or any that the system gives."""
    if ports is None:
        yield 0, 0
        return
    low, high = ports
    count = (high - low + 1) // 2
    for at in range(count):
        first = low + 2 * ((slot + at) % count)
        yield first, first + 1


def _words(places: Places) -> str:
    rest = f"localhost:{places.rest_port} (REST)"
    return f"{rest} and localhost:{places.grpc_port} (gRPC)" if places.grpc_port else rest
