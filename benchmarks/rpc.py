"""What a gRPC call of bytes costs: the grpcio library and our own HTTP/2, each as the client and as the server.

    rpc.py [--rounds N] [--quick] [--json FILE]

Both ends are Python, in processes of their own, on one machine. A message goes there and its first 4,000 bytes come back. The ways
take turns within each round, a call at a time; the median of all calls of a way counts, and its ratio to grpcio at both ends.
`awaited` are calls from an event loop, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent import futures
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

if not __package__:  # run as a script: this folder, which Python puts first, has a serving.py too
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import grpc
import uvloop

from benchmarks import harness
from benchmarks.harness import BenchmarkError, figure, say
from benchmarks.server import free_port
from serving.accelerators.rpc import channels, server
from serving.accelerators.rpc.grpcaio import AwaitedChannel
from serving.accelerators.rpc.grpcio import GrpcChannel
from serving.accelerators.rpc.target import Target

SIZES = {"1 KB": (1024, 60), "600 KB": (602_112, 30)}
"""A message's bytes, and the calls of a way in one turn."""
BASE = "grpcio to grpcio"
PATH, ANSWERED, SECONDS, WARM_CALLS = "/benchmark.Echo/Call", 4000, 30.0, 30
Call = Callable[[bytes], Any]


def main() -> int:
    """Measure every way in turn, print the table, write the JSON."""
    if sys.argv[1:2] == ["--serve"]:
        SERVERS[sys.argv[2]](sys.argv[3])
        return 0
    parser = harness.arguments(__doc__ or "", rounds=10)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    options = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        foreign = stack.enter_context(started("grpcio", f"127.0.0.1:{free_port()}"))
        ours = stack.enter_context(started("ours", f"127.0.0.1:{free_port()}"))
        local = stack.enter_context(started("ours", f"unix:{folder}/socket"))
        loop = uvloop.new_event_loop()
        stack.callback(loop.close)
        ways = loop.run_until_complete(opened(loop, foreign, ours, local))
        taken = {size: measured(ways, *what, rounds) for size, what in SIZES.items()}
    found = {size: {name: statistics.median(times) for name, times in ways.items()} for size, ways in taken.items()}
    harness.write(options.json, {"machine": harness.machine(), "rounds": rounds, "microseconds": found})
    print(table(found))
    return 0


def table(found: dict[str, dict[str, float]]) -> str:
    """Microseconds and ratios, a way a row."""
    headers = ["client to server", *(head for size in found for head in (f"{size}, us", "ratio"))]
    names = next(iter(found.values()))
    rows = [
        [name, *(cell for one in found.values() for cell in (figure(one[name]), figure(one[name] / one[BASE])))]
        for name in names
    ]
    return harness.markdown(headers, rows)


def measured(ways: dict[str, Call], size: int, calls: int, rounds: int) -> dict[str, list[float]]:
    """The times of every call, in microseconds, after some that are not counted."""
    body = bytes(range(256)) * (size // 256)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        for _ in range(WARM_CALLS):
            if bytes(way(body)) != body[:ANSWERED]:
                raise BenchmarkError(f"{name} answers other bytes")
    for number in range(rounds):
        for name, way in harness.turned(list(ways.items()), number):
            for _ in range(calls):
                begin = time.perf_counter()
                way(body)
                taken[name].append(1e6 * (time.perf_counter() - begin))
        say(f"{size} bytes: round {number + 1}")
    return taken


async def opened(loop: asyncio.AbstractEventLoop, foreign: str, ours: str, local: str) -> dict[str, Call]:
    """The ways."""
    plain: Any = grpc.insecure_channel(foreign, options=[("grpc.max_send_message_length", -1)]).unary_unary(PATH)

    def blocking(channel: channels.Channel) -> Call:
        return lambda body: channel.call(PATH, [body], SECONDS)

    def awaited(channel: channels.AwaitedChannel) -> Call:
        job: Callable[[bytes], Awaitable[Any]] = lambda body: channel.call(PATH, [body], SECONDS)  # noqa: E731
        return lambda body: loop.run_until_complete(job(body))

    return {
        BASE: lambda body: plain(body, timeout=SECONDS),
        "grpcio to ours": blocking(GrpcChannel(Target(ours))),
        "ours to grpcio": blocking(channels.open(Target(foreign))),
        "ours to ours": blocking(channels.open(Target(ours))),
        "ours to ours, a local socket": blocking(channels.open(Target(local))),
        "grpcio to grpcio, awaited": awaited(AwaitedChannel(Target(foreign))),
        "ours to ours, awaited": awaited(channels.open_awaited(Target(ours))),
    }


@contextmanager
def started(kind: str, address: str) -> Iterator[str]:
    """A server in a process of its own, which ends with this one's: its address."""
    command = [sys.executable, "-m", "benchmarks.rpc", "--serve", kind, address]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=harness.ROOT, stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if not process.stdout.readline():
            raise BenchmarkError(f"the server {kind} did not start on {address}")
        yield address
        process.stdin.close()


def serve_grpcio(address: str) -> None:
    """grpcio's own server, as anybody writes it."""
    listening = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    handler: Any = grpc.unary_unary_rpc_method_handler(lambda body, context: body[:ANSWERED])
    listening.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("benchmark.Echo", {"Call": handler})])
    listening.add_insecure_port(address)
    listening.start()
    print("listening", flush=True)
    sys.stdin.read()
    listening.stop(None).wait()


class Echo:
    """The same answer, of our server."""

    def is_streaming(self, path: str) -> bool:
        """None is."""
        return False

    def handle(self, call: server.Call, body: channels.Buffer) -> None:
        """Answer with the message's beginning."""
        call.reply([body[:ANSWERED]])

    def half_closed(self, call: server.Call) -> None:
        """Never called."""

    def closed(self, call: server.Call) -> None:
        """Never called."""


def serve_ours(address: str) -> None:
    """Our server."""

    async def serve() -> None:
        host, _, port = address.rpartition(":")
        listening = await server.serve(Echo(), *((address,) if address.startswith("unix:") else (host, int(port))))
        print("listening", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await listening.close()

    uvloop.run(serve())


SERVERS = {"grpcio": serve_grpcio, "ours": serve_ours}

if __name__ == "__main__":
    harness.run(main)
