"""A closed loop of requests: so many connections, each of which asks again when it has its answer.

    Target (URL, body) x concurrency -> warm-up -> seconds of measuring -> Result

An answer that is no 200, a broken connection and a silence are errors. HTTP/1.1, plain or TLS, on uvloop.
"""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import httptools

from container.errors import ContainerError

SILENCE = 90.0
"""The platform gives an invocation 60 seconds."""
PERCENTILES = (50, 90, 99)
PAUSE = 0.05


class Caller(Protocol):
    """One of the connections."""

    async def ask(self) -> str:
        """One request: "" where it was answered right, else what went wrong."""

    def close(self) -> None:
        """Close what is open."""


@dataclass(frozen=True)
class Target:
    """What is asked: `body` of `content_type` to `url`."""

    url: str
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """Seconds of warm-up, and of measuring."""

    warm: float = 1.0
    seconds: float = 5.0


@dataclass
class Result:
    """What one concurrency gave: times in milliseconds, requests a second."""

    concurrency: int
    requests: int
    errors: int
    rate: float
    percentiles: dict[str, float]
    faults: dict[str, int] = field(default_factory=dict)


@dataclass
class Tally:
    """What the workers count together, once the warm-up is over."""

    times: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    counting: bool = False

    def result(self, concurrency: int, seconds: float) -> Result:
        """The figures."""
        ordered = sorted(self.times)
        found = {f"p{at}": 1e3 * percentile(ordered, at) for at in PERCENTILES} if ordered else {}
        errors = sum(self.faults.values())
        return Result(concurrency, len(ordered) + errors, errors, len(ordered) / seconds, found, dict(self.faults))


def percentile(ordered: Sequence[float], at: float) -> float:
    """The smallest of the times that so many of a hundred do not exceed."""
    return ordered[max(0, math.ceil(at / 100 * len(ordered)) - 1)]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """A coroutine's result, on uvloop."""
    import uvloop

    return uvloop.run(work)


async def closed(make: Callable[[], Caller], concurrency: int, timing: Timing) -> Result:
    """Ask over so many connections, each of a caller that `make` gives, until the time is over."""
    tally = Tally()
    stop = asyncio.Event()
    workers = [asyncio.ensure_future(_worker(make(), tally, stop)) for _ in range(concurrency)]
    try:
        await asyncio.sleep(timing.warm)
        tally.counting, began = True, time.perf_counter()
        await asyncio.sleep(timing.seconds)
        tally.counting, seconds = False, time.perf_counter() - began
        while not tally.times and not tally.faults and seconds < SILENCE:  # a request takes longer than the measuring
            tally.counting = True
            await asyncio.sleep(PAUSE)
            seconds = time.perf_counter() - began
        tally.counting = False
    finally:
        stop.set()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        await asyncio.sleep(0)  # a connection that was given up is closed by the loop's next turn
    return tally.result(concurrency, seconds)


async def _worker(caller: Caller, tally: Tally, stop: asyncio.Event) -> None:
    try:
        while not stop.is_set():
            began = time.perf_counter()
            fault = await caller.ask()
            if fault:
                await asyncio.sleep(PAUSE)  # a dead endpoint is not asked a million times
            if not tally.counting:
                continue
            if fault:
                tally.faults[fault] += 1
            else:
                tally.times.append(time.perf_counter() - began)
    finally:
        caller.close()  # uvloop never ends with one open


def http(target: Target) -> Callable[[], Caller]:
    """A maker of callers, each with a connection of its own. ContainerError for a URL that is none."""
    parts = urlsplit(target.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ContainerError(f"{target.url} is no URL of an endpoint", "as in http://localhost:8080/invocations")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    context = ssl.create_default_context() if parts.scheme == "https" else None
    path = (parts.path or "/invocations") + (f"?{parts.query}" if parts.query else "")
    head = {
        "Host": f"{parts.hostname}:{port}",
        "Content-Type": target.content_type,
        "Content-Length": str(len(target.body)),
        **target.headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    request = "\r\n".join([*lines, "", ""]).encode() + target.body
    return lambda: Connection((parts.hostname or "", port), context, request)


class Connection(asyncio.Protocol):
    """One connection, made anew when it has broken."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None, request: bytes) -> None:
        self._address, self._context, self._request = address, context, request
        self._transport: asyncio.WriteTransport | None = None
        self._parser: Any = None
        self._answer: asyncio.Future[str] | None = None

    async def ask(self) -> str:
        """Send the request and await its answer: "" for a 200, else what went wrong."""
        loop = asyncio.get_running_loop()
        try:
            if self._transport is None:
                host, port = self._address
                await loop.create_connection(lambda: self, host, port, ssl=self._context)
            assert self._transport is not None
            self._answer = loop.create_future()
            self._parser = httptools.HttpResponseParser(self)
            self._transport.write(self._request)
            async with asyncio.timeout(SILENCE):
                return await self._answer
        except TimeoutError:
            self.close()
            return f"no answer within {SILENCE:g} s"
        except OSError as error:
            self.close()
            return f"cannot connect: {error.strerror or error}"

    def connection_made(self, transport: Any) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._end("the answer is no HTTP")
            self.close()

    def on_message_complete(self) -> None:
        """An answer is whole."""
        status = self._parser.get_status_code()
        keeps = self._parser.should_keep_alive()
        self._end("" if status == 200 else f"status {status}")
        if not keeps:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side has ended it."""
        del exc
        self._transport = None
        self._end("the connection broke")

    def _end(self, fault: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(fault)

    def close(self) -> None:
        """Close the connection; the next request makes another."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
