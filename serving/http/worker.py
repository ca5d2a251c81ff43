"""The gunicorn worker: what one process does, by its slot in the plan.

    inline   every slot          connections and passes, on a listener of its own
    attached every slot          connections, on a listener of its own; passes are awaited from an accelerator
    pool     slot 0              the front: connections, the queue
             slots 1..narrow     model processes of OMP_NUM_THREADS threads
             the last            the wide model process, with all cores' threads

gunicorn's arbiter keeps the slots filled; workers only serve. An inline process whose script turns out slow asks the
arbiter, by SIGUSR1, to go on with a pool.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import TYPE_CHECKING

import uvloop
from gunicorn import util
from gunicorn.workers.base import Worker as GunicornWorker

from serving import backends, cores
from serving.control.bridge import Bridge
from serving.errors import StartError
from serving.execution import placement
from serving.execution.alarm import Alarm
from serving.execution.base import Executor
from serving.execution.inline import Inline
from serving.execution.model_process import ModelProcess
from serving.execution.pool import Pool, listen
from serving.http import limits
from serving.http.protocol import Connection
from serving.http.routes import Routes
from serving.invocation import Service
from serving.plan import Plan
from serving.telemetry.logging import AccessLog
from serving.telemetry.record import Recorder

if TYPE_CHECKING:
    from serving.accelerators.health import Watch
    from serving.backends.attached import AttachedModel
    from serving.tfs.rpc import RpcServer

log = logging.getLogger("ei.processes")
BACKLOG = 2048
BOOT_ERROR = 120
"""Exit status of a process that cannot start, which ends the server: not gunicorn's 3, which a user's library may exit with."""
STOPPING = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)
"""What the arbiter holds back around a fork, until the child can take it."""
BESIDE_SECONDS = 1.0
LAST_ACCEPT_SECONDS = 0.05
"""How long connections are still taken after SIGTERM: those that were in the kernel's queue must not be reset."""


class Worker(GunicornWorker):  # type: ignore[misc]
    """One process of the plan."""

    slot = 0
    generation = 0
    plan: Plan

    def init_process(self) -> None:
        """Become this slot's process, and serve until told to stop."""
        util.seed()
        self.init_signals()
        gc.freeze()
        gc.enable()
        self.placement = self.plan.placement.kind  # the arbiter's may change while this process drains
        self.listeners = self._take_listeners()
        self.plan.metrics.use(self.age)
        try:
            self.run()
        except StartError as error:
            log.error("%s", error)
            sys.exit(BOOT_ERROR)

    def init_signals(self) -> None:
        """SIGTERM drains; a Ctrl-C in the terminal, or its end, is the arbiter's to pass on."""
        for number in (signal.SIGABRT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self.handle_exit)
        signal.signal(signal.SIGQUIT, self.handle_exit)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def run(self) -> None:
        """Serve in this slot's role."""
        if self.placement == "inline":
            uvloop.run(self._serve(self._inline))
        elif self.placement == "attached":
            uvloop.run(self._serve(self._attached))
        elif self.slot == 0:
            uvloop.run(self._serve(self._front))
        else:
            self._run_model_process()

    def _take_listeners(self) -> list[socket.socket]:
        """Those of the plan's listeners that this process accepts from: all at a pool's front, else its own; others are closed."""
        if self.placement == "pool":
            taken = self.plan.listeners if self.slot == 0 else []
        else:
            taken = [self.plan.listeners[self.slot]]
        for sock in self.plan.listeners:
            if sock not in taken:
                sock.close()
        return taken

    # ---- roles

    async def _inline(self, recorder: Recorder) -> Executor:
        settings = self.plan.settings
        backends.set_threads(settings.omp_threads)
        service = self._service()
        placement.warm_inline(service)
        backends.trim()
        executor = Inline(service, recorder, asyncio.get_running_loop(), settings.queue_size)
        if getattr(service, "has_user_code", True):
            executor.alarm = Alarm(settings.deadline, slow=self._ask_for_pool)
            executor.retire = lambda: os.kill(os.getpid(), signal.SIGTERM)
        return executor

    async def _attached(self, recorder: Recorder) -> Executor:
        from serving.execution import attached

        settings, service = self.plan.settings, self._service()
        model: AttachedModel = service.model  # type: ignore[attr-defined]
        queue = settings.queue_size or attached.QUEUE_SIZE
        limits = attached.Limits(model.max_batch, settings.deadline, queue, settings.queue_mb << 20)
        return attached.Attached(service, model.awaited(), recorder, limits)

    def _service(self) -> Service:
        """The plan's service, or one that this process loads for itself; with its own ports open where it needs any."""
        service = self.plan.service or self.plan.load()
        start = getattr(service, "start", None)
        if start is not None:
            start(self.slot)
        return service

    def _ask_for_pool(self) -> None:
        if self.plan.settings.placement == "auto":
            os.kill(self.ppid, signal.SIGUSR1)

    async def _front(self, recorder: Recorder) -> Executor:
        plan = self.plan
        assert plan.arena is not None and plan.link is not None
        pool = Pool(plan.arena, recorder, plan.narrow, plan.settings.deadline, plan.settings.queue_size)
        if plan.generation:  # an inline service before: known to answer
            pool.seen = perf_counter()
        self._links = await listen(pool, plan.link)
        return pool

    def _run_model_process(self) -> None:
        plan = self.plan
        assert plan.arena is not None and plan.link is not None
        address = plan.link.getsockname()
        plan.link.close()
        is_wide = self.slot > plan.narrow
        backends.set_threads(cores.count() if is_wide else plan.settings.omp_threads)
        while is_wide and self._has_arbiter() and not plan.serves_narrow:  # it would slow the others' first pass down
            self.notify()
            time.sleep(0.01)
        service = self._service()
        batch = placement.warm_pool(service)
        backends.trim()
        plan.booted(self.slot)
        self.booted = True
        process = ModelProcess(service, plan.arena, address, (os.getpid(), self.slot, batch))
        if plan.attached:
            from serving.accelerators.usage import Usage

            process.answered = Usage(plan.metrics).answered
        process.run(self._has_arbiter, self.notify, patience=1.0)

    def _has_arbiter(self) -> bool:
        return bool(self.alive) and os.getppid() == self.ppid

    # ---- serving connections

    async def _serve(self, make: Callable[[Recorder], Awaitable[Executor]]) -> None:
        plan, loop = self.plan, asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, stop.set)
        if not self.alive:  # told to stop before the loop could hear it
            stop.set()
        access = AccessLog(plan.name, plan.settings.log_format == "json") if plan.settings.access_log else None
        recorder = Recorder(plan.metrics, access)
        executor = await make(recorder)
        control = Bridge(plan.create_app, plan.settings.port)
        routes = Routes(limits.of(plan.settings), executor, recorder, control, plan.check)
        servers = [await loop.create_server(lambda: Connection(routes), sock=sock, backlog=BACKLOG) for sock in self.listeners]
        rpc = self._rpc_server(routes)
        plan.booted(self.slot)
        self.booted = True
        await self._watch(stop, routes)
        await self._drain(servers, routes, rpc)
        executor.close()
        control.close()
        recorder.close()

    def _rpc_server(self, routes: Routes) -> RpcServer | None:
        """The gRPC port, where it is asked for and there is somebody to answer on it."""
        plan = self.plan
        if not plan.listens_grpc:
            return None
        from serving.tfs.rpc import RpcServer  # gRPC starts threads: after the fork

        server = RpcServer(routes, plan.settings)
        server.start()
        return server

    async def _watch(self, stop: asyncio.Event, routes: Routes) -> None:
        """Sweep, and tell the arbiter that this process lives, until it is to stop."""
        asking = self._asking(routes)
        while not stop.is_set() and os.getppid() == self.ppid:
            self.notify()
            routes.sweep()
            try:
                await asyncio.wait_for(stop.wait(), min(0.2, routes.limits.sweep_seconds))
            except TimeoutError:
                continue
        if asking is not None:
            asking.cancel()

    def _asking(self, routes: Routes) -> asyncio.Task[None] | None:
        """The task that asks whoever else runs the models, if anybody does, whether it is there."""
        if self.plan.settings.tfs_address:
            return asyncio.create_task(self._ask_beside(routes))
        watch = self.plan.watch()
        return asyncio.create_task(self._look_at(watch, routes)) if watch is not None else None

    async def _look_at(self, watch: Watch, routes: Routes) -> None:
        """Ask the accelerator once a second; while it is gone `/ping` and every invocation say so."""
        while True:
            routes.gone = await asyncio.to_thread(watch.look)
            await asyncio.sleep(watch.every)

    async def _ask_beside(self, routes: Routes) -> None:
        """Ask TF Serving once a second whether it answers; `/ping` says so."""
        while True:
            routes.attached = await asyncio.to_thread(self.plan.is_attached)
            await asyncio.sleep(BESIDE_SECONDS)

    async def _drain(self, servers: list[asyncio.Server], routes: Routes, rpc: RpcServer | None) -> None:
        """Answer what was accepted, within the grace time, and close what is idle."""
        await asyncio.sleep(LAST_ACCEPT_SECONDS)
        if rpc is not None:
            rpc.drain()
        for server in servers:
            server.close()
        routes.draining = True
        loop = asyncio.get_running_loop()
        end = loop.time() + self.plan.settings.grace
        while not (routes.idle and (rpc is None or rpc.idle)) or any(c.may_ask for c in routes.connections):
            if loop.time() > end:
                break
            self.notify()
            routes.sweep()
            await asyncio.sleep(0.01)
        if rpc is not None:
            rpc.stop()
        routes.sweep()
        for connection in list(routes.connections):
            connection.transport.close()
        await asyncio.sleep(0)
