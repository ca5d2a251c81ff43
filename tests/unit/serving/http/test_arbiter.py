"""Which process fills which slot, and when a server gives up. Forks are left out: `tests/integration` has them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.errors import HaltServer

from serving import cores
from serving.execution.placement import Placement
from serving.handlers import entry
from serving.handlers.context import Context
from serving.http import arbiter as arbiters
from serving.http.arbiter import HANG_SECONDS, MAX_FAILED_STARTS, Application, Arbiter
from serving.plan import Plan
from serving.settings import Settings

LOADED = entry.build(lambda data, context: [""], Context("model", "/model"))
"""A service that the arbiter's own process has loaded."""


@pytest.fixture
def arbiter(monkeypatch: pytest.MonkeyPatch) -> Arbiter:
    """The arbiter of a pool with two narrow processes and a wide one; a fork only takes a slot."""
    monkeypatch.setattr(cores, "count", lambda: 2)
    made = Arbiter(Application(Plan(Settings(workers=2), None, Placement("pool", "test"), "digits")))
    made.WORKERS = {}

    def fork(self: Any) -> int:
        worker = SimpleNamespace(slot=-1, generation=-1)
        self.cfg.pre_fork(self, worker)
        pid = max(self.WORKERS, default=0) + 1
        self.WORKERS[pid] = worker
        return pid

    monkeypatch.setattr(arbiters.GunicornArbiter, "spawn_worker", fork)
    return made


def slots(arbiter: Arbiter) -> list[int]:
    """The slots of the processes that are not draining."""
    return sorted(worker.slot for worker in arbiter.current())


def end(arbiter: Arbiter, slot: int) -> None:
    """The process of a slot ends."""
    pid, worker = next((pid, worker) for pid, worker in arbiter.WORKERS.items() if worker.slot == slot)
    del arbiter.WORKERS[pid]
    arbiter.cfg.child_exit(arbiter, worker)


def test_settings_reach_gunicorn() -> None:
    """gunicorn keeps the plan's processes, waits for them as long as the settings say, and opens no socket of its own."""
    settings = Settings(workers=2, wide=False, deadline=30.0, grace=12.0)
    cfg = Application(Plan(settings, LOADED, Placement("pool", "test"), "digits")).cfg
    assert (cfg.workers, cfg.timeout, cfg.graceful_timeout) == (3, 30 + HANG_SECONDS, 13)
    assert cfg.control_socket_disable is True


def test_a_process_that_loads_for_itself_has_time_to() -> None:
    """Silence while a process loads its model does not count as hanging."""
    settings = Settings(preload=False, deadline=1.0, startup_timeout=300.0)
    assert Application(Plan(settings, None, Placement("pool", "test"), "digits")).cfg.timeout == 300


def test_every_slot_is_filled(arbiter: Arbiter) -> None:
    """One process for each slot: the front, the narrow ones, the wide one."""
    arbiter.manage_workers()
    assert slots(arbiter) == [0, 1, 2, 3]
    arbiter.manage_workers()
    assert slots(arbiter) == [0, 1, 2, 3]


def test_the_slot_that_fell_free_is_filled(arbiter: Arbiter) -> None:
    """A process takes the place of the one that ended, and does not serve before it says so."""
    arbiter.manage_workers()
    for slot in range(4):
        arbiter.plan.booted(slot)
    end(arbiter, 2)
    arbiter.manage_workers()
    assert slots(arbiter) == [0, 1, 2, 3]
    assert [arbiter.plan.has_booted(slot) for slot in range(4)] == [True, True, False, True]


def test_starts_that_fail_end_the_server(arbiter: Arbiter) -> None:
    """Processes that end before they serve, one after the other, end the server instead of looping for ever."""
    for _ in range(MAX_FAILED_STARTS - 1):
        arbiter.manage_workers()
        end(arbiter, 1)
    arbiter.manage_workers()
    with pytest.raises(HaltServer, match="in a row ended before they served"):
        end(arbiter, 1)


def test_a_process_that_served_breaks_the_row(arbiter: Arbiter) -> None:
    """A process that is killed after it has served is no failed start, however often it happens."""
    for _ in range(3 * MAX_FAILED_STARTS):
        arbiter.manage_workers()
        end(arbiter, 1)
        arbiter.manage_workers()
        arbiter.plan.booted(1)
        end(arbiter, 1)


@pytest.mark.parametrize("handler", ["handle_int", "handle_quit"])
def test_ctrl_c_drains(arbiter: Arbiter, handler: str) -> None:
    """Ctrl-C ends the loop as SIGTERM does: what was accepted is answered."""
    with pytest.raises(StopIteration):
        getattr(arbiter, handler)()


def test_a_slow_script_gets_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inline processes are told to drain, and a pool is started beside them; a second word changes nothing."""
    monkeypatch.setattr(cores, "count", lambda: 2)
    plan = Plan(Settings(workers=2, queue_mb=1), None, Placement("inline", "test"), "digits")
    arbiter, ended = Arbiter(Application(plan)), []
    arbiter.WORKERS = {}
    monkeypatch.setattr(arbiter, "kill_workers", ended.append)

    def fork(self: Any) -> int:
        worker = SimpleNamespace(slot=-1, generation=-1)
        self.cfg.pre_fork(self, worker)
        self.WORKERS[len(self.WORKERS) + 1] = worker
        return len(self.WORKERS)

    monkeypatch.setattr(arbiters.GunicornArbiter, "spawn_worker", fork)
    arbiter.manage_workers()
    assert slots(arbiter) == [0, 1]
    for _ in range(2):
        arbiter.handle_usr1()
    assert (slots(arbiter), len(arbiter.WORKERS), len(ended)) == ([0, 1, 2, 3], 6, 1)
    arbiter.cfg.child_exit(arbiter, arbiter.WORKERS[1])
    assert plan.link is not None
    plan.link.close()
