"""Several accelerators behind one address: gRPC's own resolvers and its round robin, and one of them killed."""

from __future__ import annotations

import signal
import socket
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from serving.accelerators.client import Accelerator, RemoteModel
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.rpc.target import Target
from tests.integration.accelerators import models
from tests.integration.accelerators.conftest import RunningAccelerator, StartAccelerator
from tests.integration.faults.server import free_port, until

ROWS = np.random.default_rng(3).standard_normal((2, models.WIDTH), dtype="float32")
NAME = "accelerators.test"
CALLS = 40


class NameServer(threading.Thread):
    """A DNS server that knows one name, with the addresses 127.0.0.1 and 127.0.0.2 [RFC 1035, section 4]."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port = free_port()
        self._socket.bind(("127.0.0.1", self.port))
        self.asked = 0

    def run(self) -> None:
        """Answer until an empty message comes."""
        with self._socket:
            while True:
                query, client = self._socket.recvfrom(512)
                if not query:
                    return
                self._socket.sendto(self._reply(query), client)

    def close(self) -> None:
        """End it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", ("127.0.0.1", self.port))
        self.join()

    def _reply(self, query: bytes) -> bytes:
        end = query.index(b"\0", 12) + 5
        question, (kind,) = query[12:end], struct.unpack("!H", query[end - 4 : end - 2])
        known = question.startswith(b"".join(bytes([len(part)]) + part.encode() for part in NAME.split(".")))
        self.asked += known and kind == 1
        addresses = ("127.0.0.1", "127.0.0.2") if known and kind == 1 else ()
        records = [struct.pack("!HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(address) for address in addresses]
        code = 0x8580 if known else 0x8583
        return query[:2] + struct.pack("!HHHHH", code, 1, len(records), 0, 0) + question + b"".join(records)


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A DNS server of our own."""
    server = NameServer()
    server.start()
    yield server
    server.close()


def attached(target: str, *addresses: str) -> RemoteModel:
    """A model through the pool's target; each of the addresses has it."""
    made = models.dense(seed=21)
    for address in addresses:
        Accelerator(Target(address)).load(made)
    return Accelerator(Target(target)).load(made)


def call(model: RemoteModel) -> None:
    """A call whose answer is right."""
    found = model({"data": ROWS})["fc_output"]
    np.testing.assert_allclose(found, models.expected(models.dense(seed=21), ROWS), rtol=1e-5)


def shares(model: RemoteModel, pool: list[RunningAccelerator]) -> list[int]:
    """How many of so many calls each of the pool has answered."""
    before = [one.requests() for one in pool]
    for _ in range(CALLS):
        call(model)
    return [one.requests() - count for one, count in zip(pool, before, strict=True)]


def test_addresses_share_the_calls(start_accelerator: StartAccelerator) -> None:
    """Two addresses in one target have half of the calls each; one killed, the other has them all, and none is lost.

    When it is back, it has its half again, though its models are gone: whoever calls sends them.
    """
    pool = [start_accelerator(), start_accelerator()]
    addresses = [one.address for one in pool]
    model = attached("ipv4:" + ",".join(addresses))
    until(lambda: all(shares(model, pool)), "both are connected")
    assert shares(model, pool) == [CALLS / 2, CALLS / 2]
    pool[0].stop(signal.SIGKILL)
    assert shares(model, pool[1:]) == [CALLS]
    pool[0] = start_accelerator(port=pool[0].port)
    until(lambda: all(shares(model, pool)), "the one that came back has calls again")


def test_a_name_stands_for_a_pool(start_accelerator: StartAccelerator, names: NameServer) -> None:
    """`dns:` with a name of two addresses shares the calls between them, and goes on when one is killed."""
    first = start_accelerator()
    second = start_accelerator("--host", "127.0.0.2", port=first.port)
    target = f"dns://127.0.0.1:{names.port}/{NAME}:{first.port}"
    model = attached(target)
    before = first.requests()
    until(lambda: [call(model) for _ in range(CALLS)] and first.requests() < before + CALLS * 2, "both are connected")
    assert names.asked
    first.stop(signal.SIGKILL)
    for _ in range(CALLS):
        call(model)
    second.stop(signal.SIGKILL)
    with pytest.raises(AcceleratorError, match="Failed to detect any accelerator") as caught:
        call(model)
    assert caught.value.code == Code.UNAVAILABLE


def test_a_name_that_nobody_knows(names: NameServer) -> None:
    """A name without an address is an error that says so, in bounded time."""
    with pytest.raises(AcceleratorError, match="nobody.test") as caught:
        Accelerator(Target(f"dns://127.0.0.1:{names.port}/nobody.test:8500")).info(timeout=10)
    assert caught.value.code == Code.UNAVAILABLE
