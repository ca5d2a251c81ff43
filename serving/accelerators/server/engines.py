"""Engine processes from outside: started, spoken to, limited, and replaced when they die.

Each framework has one that works and, where wanted, a spare that has imported the framework and waits: when the first dies
the spare takes its models over.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any, cast

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.server.options import Options
from serving.execution import channel
from serving.execution.arena import Arena

log = logging.getLogger("ei.accelerator")
SHARED_BYTES = 1 << 30
"""Of contents that are on their way to or from engines; pages that nothing has used cost nothing."""
START_SECONDS = 120.0


class Shared:
    """Memory that the front shares with every engine process, and all of those processes."""

    def __init__(self) -> None:
        self.processes: set[EngineProcess] = set()
        self.fd = os.memfd_create("ei-accelerator")
        os.ftruncate(self.fd, SHARED_BYTES)
        self.memory = mmap.mmap(self.fd, SHARED_BYTES)
        self.arena = Arena(SHARED_BYTES, self.memory)


class EngineProcess(asyncio.Protocol):
    """One process. `on_death` is called once, when its socket ends."""

    def __init__(self, framework: str, options: Options, shared: Shared) -> None:
        self.framework, self.base, self.held = framework, 0, 0
        self.on_death: Callable[[EngineProcess], None] = lambda engine: None
        self.is_alive = True
        self._loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._inbox = channel.Inbox()
        self._tickets: dict[int, Callable[[Any], None]] = {}
        self._next = 0
        self._transport: asyncio.WriteTransport | None = None
        self._ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "serving.accelerators.engines.process", framework]
        command += ["--socket", str(theirs.fileno()), "--memory", str(shared.fd), "--size", str(SHARED_BYTES)]
        command += ["--threads", str(options.threads), "--device", options.device, "--device-memory", str(options.type.memory)]
        with theirs:
            self.process = subprocess.Popen(command, pass_fds=(theirs.fileno(), shared.fd), stdin=subprocess.DEVNULL)
        self._all = shared.processes
        self._all.add(self)

    async def connect(self) -> None:
        """Wait until it is ready; AcceleratorError where it dies first."""
        self._ours.setblocking(False)
        await self._loop.create_unix_connection(lambda: self, sock=self._ours)
        try:
            await asyncio.wait_for(asyncio.shield(self.ready), START_SECONDS)
        except TimeoutError:
            self.kill()
            raise AcceleratorError(Code.UNAVAILABLE, f"the {self.framework} engine did not start in time") from None

    def send(self, kind: str, *rest: Any, then: Callable[[Any], None]) -> None:
        """Send a message; `then` gets its answer, or an AcceleratorError where the process dies first."""
        self._next += 1
        if not self.is_alive or self._transport is None:
            self._loop.call_soon(then, self._dead())
            return
        self._tickets[self._next] = then
        self._transport.write(channel.frame((kind, self._next, *rest)))

    async def ask(self, kind: str, *rest: Any) -> Any:
        """Likewise, awaited: the answer without its kind and ticket."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        self.send(kind, *rest, then=lambda found: None if answer.done() else answer.set_result(found))
        found = await answer
        if isinstance(found, AcceleratorError):
            raise found
        return found

    def kill(self) -> None:
        """End it now."""
        self.process.kill()

    def close(self) -> None:
        """End it: it holds nothing that is not held here too."""
        self.on_death = lambda engine: None
        self.process.kill()
        self.process.wait()
        if self._transport is not None:
            self._transport.close()
        else:
            self._ours.close()

    # ---- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is watched from here on."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand each whole message to whoever asked."""
        for kind, ticket, *rest in self._inbox.feed(data):
            if kind == "ready":
                self.base = self.held = ticket
                self.ready.set_result(None)
                continue
            then = self._tickets.pop(ticket)
            then(AcceleratorError(Code(rest[0]), rest[1]) if kind == "failed" else rest)

    def pause_writing(self) -> None:
        """Batches are few and large contents are not in them: what is buffered is bounded without this."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def eof_received(self) -> None:
        """The process has ended: `connection_lost` follows."""

    def connection_lost(self, error: Exception | None) -> None:
        """The process is gone: whoever waits is told so."""
        self.is_alive = False
        self._all.discard(self)
        waiting, self._tickets = list(self._tickets.values()), {}
        if not self.ready.done():
            self.ready.set_exception(self._dead())
            self.ready.exception()  # looked at, whether or not anybody waits
        self.on_death(self)
        for then in waiting:
            then(self._dead())

    def _dead(self) -> AcceleratorError:
        return AcceleratorError(Code.ABORTED, f"the {self.framework} engine died ({self._why()})")

    def _why(self) -> str:
        try:
            code = self.process.wait(0.5)
        except subprocess.TimeoutExpired:
            return "its socket closed"
        return f"signal {-code}" if code < 0 else f"exit status {code}"


async def start(framework: str, options: Options, shared: Shared) -> EngineProcess:
    """A process that is ready for its first model; AcceleratorError where the framework cannot be started."""
    engine = EngineProcess(framework, options, shared)
    await engine.connect()
    return engine
