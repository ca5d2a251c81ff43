"""gunicorn's arbiter around a plan: it forks the slots' processes, replaces those that end, and passes signals on.

As PID 1 of a container it also reaps what user code leaves behind.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter as GunicornArbiter
from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger as GunicornLogger

from serving.http.worker import BOOT_ERROR, STOPPING, Worker
from serving.plan import Plan

log = logging.getLogger("ei.processes")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - heartbeat files must not lie on a disk that may stall, or be read-only
HANG_SECONDS = 15
"""Beyond the deadline: what a process may be silent for before it counts as hung in native code."""
MAX_FAILED_STARTS = 5


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's words among ours."""

    def setup(self, cfg: Any) -> None:
        """Use the handlers that the server has configured."""
        self.error_log = logging.getLogger("ei.processes")
        self.error_log.setLevel(logging.WARNING)
        self.access_log = logging.getLogger("ei.processes.access")


class Application(BaseApplication):  # type: ignore[misc]
    """gunicorn's settings, all of them from the plan: it reads no file and no environment of its own."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        settings = self.plan.settings
        silence = settings.deadline + HANG_SECONDS
        values = {
            "workers": self.plan.processes,
            "worker_class": Worker,
            "timeout": int(silence if self.plan.service is not None else max(silence, settings.startup_timeout)),
            "graceful_timeout": int(settings.grace) + 1,
            "control_socket_disable": True,
            "logger_class": Logger,
            "proc_name": "ei",
            "user": os.geteuid(),  # gunicorn's defaults are of its import, when this may still have been root
            "group": os.getegid(),
        }
        for name, value in values.items():
            self.cfg.set(name, value)
        if os.access(SHARED_MEMORY, os.W_OK):
            self.cfg.set("worker_tmp_dir", SHARED_MEMORY)

    def load(self) -> None:
        """Nothing: the workers serve the plan."""

    def run(self) -> None:
        """Keep the plan's processes until told to stop; exits with 0 then."""
        Arbiter(self).run()


class Arbiter(GunicornArbiter):  # type: ignore[misc]
    """Knows which slot each process fills."""

    WORKER_BOOT_ERROR = BOOT_ERROR
    APP_LOAD_ERROR = BOOT_ERROR + 1

    def __init__(self, app: Application) -> None:
        self.plan = app.plan
        self._failed_starts = 0
        self._halting = False
        super().__init__(app)
        self.LISTENERS = list(app.plan.listeners)
        self.cfg.set("pre_fork", _take_slot)
        self.cfg.set("child_exit", _note_end)

    def handle_int(self) -> None:
        """Ctrl-C drains, as SIGTERM does."""
        raise StopIteration

    handle_quit = handle_hup = handle_int

    def handle_ttin(self) -> None:
        """Nothing, as for the other signals by which gunicorn grows, shrinks or doubles: the plan has its processes."""

    handle_ttou = handle_usr2 = handle_winch = handle_ttin

    def handle_usr1(self) -> None:
        """An inline process found its script slow: go on with a pool. Connections wait in the listeners, which stay open."""
        if not self.plan.to_pool():
            return
        log.warning("the user script took longer than an event loop can wait: going on with a pool of model processes")
        self.kill_workers(signal.SIGTERM)
        self.num_workers = self.plan.processes
        self.manage_workers()

    def manage_workers(self) -> None:
        """Keep one process for each slot; those that drain are not counted, nor ended once more."""
        if self.plan.tf_serving is not None:
            self.plan.tf_serving.revive()
        missing = self.num_workers - len(self.current())
        for _ in range(missing):
            self.spawn_worker()

    def current(self) -> list[Worker]:
        """The processes of the plan as it is now; others are draining."""
        return [worker for worker in self.WORKERS.values() if worker.generation == self.plan.generation]

    def halt(self, reason: str | None = None, exit_status: int = 0) -> None:
        """Stop everything; what ends badly meanwhile no longer matters. Whatever failed, the status is 1."""
        self._halting = True
        try:
            super().halt(reason, min(exit_status, 1))
        finally:
            if self.plan.tf_serving is not None:
                self.plan.tf_serving.stop()

    def reap_workers(self) -> None:
        """Take leave of ended processes."""
        try:
            super().reap_workers()
        except HaltServer:
            if not self._halting:
                raise

    def spawn_worker(self) -> int:
        """Fork with the stopping signals held back: before the child has handlers of its own they would be lost in ours."""
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            return int(super().spawn_worker())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)

    def start_failed(self) -> None:
        """A process ended before it served; too many in a row end the server instead of looping."""
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise HaltServer(f"{MAX_FAILED_STARTS} processes in a row ended before they served (out of memory?)", 1)

    def start_worked(self) -> None:
        """A process came to serve."""
        self._failed_starts = 0


def _take_slot(arbiter: Arbiter, worker: Worker) -> None:
    taken = {other.slot for other in arbiter.current()}
    worker.plan, worker.generation = arbiter.plan, arbiter.plan.generation
    worker.slot = next(slot for slot in range(arbiter.plan.processes) if slot not in taken)
    arbiter.plan.starts(worker.slot)


def _note_end(arbiter: Arbiter, worker: Worker) -> None:
    if worker.generation != arbiter.plan.generation:
        return
    if arbiter.plan.has_booted(worker.slot):
        arbiter.start_worked()
    else:
        arbiter.start_failed()
