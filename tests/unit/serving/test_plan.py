"""What the processes of one server share."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from serving import cores
from serving.errors import ModelError, PayloadTooLarge, StartError, UnsupportedMediaType
from serving.execution.placement import Placement
from serving.plan import Plan
from serving.settings import KNOBS, Settings


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting cores has tests of its own."""
    monkeypatch.setattr(cores, "count", lambda: 4)


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def opened(free_port: int) -> Iterator[Any]:
    """A function that opens a plan of a kind on the free port; it is closed with the test."""
    plans: list[Plan] = []

    def open_(kind: str, **settings: Any) -> Plan:
        plans.append(made(kind, host="127.0.0.1", port=free_port, **settings))
        plans[-1].open()
        return plans[-1]

    yield open_
    for each in plans:
        for sock in (*each.listeners, *([each.link] if each.link else [])):
            sock.close()


def made(kind: str, service: Any = None, **settings: Any) -> Plan:
    """A plan of a kind."""
    return Plan(Settings(**settings), service, Placement(kind, "as the test says"), "digits")


@pytest.mark.parametrize(
    ("kind", "settings", "narrow", "processes"),
    [
        ("inline", {}, 4, 4),
        ("inline", {"workers": 3}, 3, 3),
        ("pool", {}, 4, 6),
        ("pool", {"wide": False}, 4, 5),
        ("pool", {"workers": 2}, 2, 4),
        ("pool", {"omp_threads": 4}, 4, 5),
    ],
)
def test_processes(kind: str, settings: dict[str, Any], narrow: int, processes: int) -> None:
    """One process a core inline; in the pool a front besides, and a wide one where it would have more threads."""
    chosen = made(kind, **settings)
    assert (chosen.narrow, chosen.processes) == (narrow, processes)


def test_the_largest_server_has_its_slots() -> None:
    """As many processes as the settings allow can be told apart."""
    most = next(f.metadata["high"] for f in KNOBS if f.name == "workers")
    largest = made("pool", workers=int(most))
    for slot in range(largest.processes):
        largest.booted(slot)
    assert largest.serves_narrow
    assert largest.has_booted(largest.processes - 1)


def test_inline_processes_have_a_listener_each(opened: Any) -> None:
    """Each has its own share of the connections, on one port."""
    listeners = opened("inline", workers=3).listeners
    assert len({sock.getsockname() for sock in listeners}) == 1
    assert len({sock.fileno() for sock in listeners}) == 3
    assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in listeners)


def test_a_pool_has_one_listener(opened: Any) -> None:
    """The front alone accepts; its model processes reach it under a name of the kernel's choice."""
    chosen = opened("pool", queue_mb=1)
    assert len(chosen.listeners) == 1
    assert chosen.link.getsockname().startswith(b"\0")
    assert len(chosen.arena.allocate(1 << 20)) == 1 << 20


def test_a_body_that_never_has_room(opened: Any) -> None:
    """A body over the budget of all of them is too large, and not told to come again."""
    chosen = opened("pool", queue_mb=1, max_payload_mb=3)
    with pytest.raises(PayloadTooLarge, match="EI_QUEUE_MB"):
        chosen.arena.allocate((1 << 20) + 1)


def test_nagle_is_off(opened: Any) -> None:
    """Accepted connections inherit TCP_NODELAY."""
    (listener,) = opened("inline", workers=1).listeners
    assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken(opened: Any, free_port: int) -> None:
    """A port that another server has, one of our own too, is told with what to do, and its connections are not shared."""
    opened("inline")
    with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{free_port}: Address already in use; free the port"):
        opened("pool")


def test_a_grpc_port_that_is_taken(free_port: int) -> None:
    """The gRPC port is looked at too, where there are models to be asked on it: its processes would share it silently."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        plan = made("inline", host="127.0.0.1", port=free_port, grpc=True, grpc_port=taken)
        assert not plan.listens_grpc
        plan.is_tensorflow = True
        with pytest.raises(StartError, match=f"cannot listen on 127.0.0.1:{taken}.* EI_GRPC_PORT or --grpc-port"):
            plan.open()
    for sock in plan.listeners:
        sock.close()


def test_a_host_that_is_not_there() -> None:
    """An address of another machine is told too."""
    with pytest.raises(StartError, match="cannot listen on 192.0.2.1:8080"):
        made("inline", host="192.0.2.1").open()


def test_an_inline_plan_becomes_a_pool(opened: Any) -> None:
    """The listeners stay open, so that no connection is lost; a second time changes nothing."""
    chosen = opened("inline", workers=2)
    listeners = list(chosen.listeners)
    assert chosen.to_pool()
    assert (chosen.placement.kind, chosen.generation, chosen.processes) == ("pool", 1, 4)
    assert chosen.listeners == listeners
    assert chosen.link is not None
    assert not chosen.to_pool()
    assert chosen.generation == 1


def test_who_serves_is_known_to_all_processes() -> None:
    """A forked process' word that it serves is heard by the others, until its slot is filled anew."""
    chosen = made("pool", workers=2)
    assert not chosen.serves_narrow
    for slot in (1, 2):
        child = os.fork()
        if not child:
            chosen.booted(slot)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    assert chosen.serves_narrow
    assert not chosen.has_booted(0)
    chosen.starts(2)
    assert not chosen.serves_narrow


def test_check() -> None:
    """The service's own check counts; without one, or without a service here, nothing is refused early."""

    def check(content_type: str, accept: str) -> None:
        raise UnsupportedMediaType(f"{content_type} {accept}")

    with pytest.raises(UnsupportedMediaType, match="a b"):
        made("pool", SimpleNamespace(check=check)).check("a", "b")
    made("pool", object()).check("a", "b")
    made("pool").check("a", "b")


def test_load(tmp_path: Path) -> None:
    """A process that loads for itself loads the settings' model directory."""
    with pytest.raises(ModelError, match=str(tmp_path)):
        made("pool", model=tmp_path).load()


def test_the_control_plane_reads_the_shared_metrics() -> None:
    """The app of any process answers for all of them."""
    chosen = made("pool")
    chosen.metrics.answered(200, 0.1, 0, 0)
    answer = chosen.create_app().test_client().get("/metrics")
    assert 'ei_invocations_total{status="200"} 1.0' in answer.text
