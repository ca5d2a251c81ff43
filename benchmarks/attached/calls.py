"""What a call costs beyond its pass, by every way of the wire, beside a bare echo of as many bytes and the pass alone.

    calls.py HOST:PORT unix:PATH ECHO_PORT ROUNDS CALLS

In turn within each round, so that a slow moment is everybody's. The model gives its input back: what is sent is answered.
"""

from __future__ import annotations

import json
import queue
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from benchmarks.attached.echo import ANY_SIZE, METHOD
from benchmarks.harness import BenchmarkError, turned
from serving.accelerators import artifact
from serving.accelerators.artifact import Artifact
from serving.accelerators.client import Accelerator
from serving.accelerators.engines import mxnet
from serving.accelerators.engines.base import Config, Host
from serving.accelerators.protocol import tensors
from serving.accelerators.protocol.messages import message, path
from serving.accelerators.rpc import channels
from serving.accelerators.rpc.target import Target

SIZES = {"1 KB": (1, 256), "600 KB": (1, 3, 224, 224)}
DEFAULT = "unary"
WARM_CALLS = 20
Way = Callable[[Any], Any]


def main() -> None:
    """Measure, and print microseconds: the median of each way in each round, by size."""
    tcp, unix, echo_port = sys.argv[1:4]
    rounds, calls = map(int, sys.argv[4:6])
    made = identity()
    ways = {
        "echo": echo(f"127.0.0.1:{echo_port}"),
        "local": local(made),
        DEFAULT: remote(tcp, made),
        "grpcio": remote(f"ipv4:{tcp}", made),
        "stream": stream(tcp, made),
        "unix": remote(unix, made),
    }
    found = {size: {name: [] for name in ways} for size in SIZES}
    for size, shape in SIZES.items():
        x = np.random.default_rng(1).standard_normal(shape, dtype="float32")
        for name, way in ways.items():
            check(name, way, x)
        for number in range(rounds):
            for name, way in turned(list(ways.items()), number):
                found[size][name].append(timed(way, x, calls if x.nbytes < 10_000 else calls // 3))
    print(json.dumps(found))


def identity() -> Artifact:
    """A model that gives its input back."""
    mx = mxnet.import_mxnet()
    mxnet.prepare(Host(1))
    with tempfile.TemporaryDirectory() as folder:
        mx.nd.save(f"{folder}/params", {})
        params = Path(folder, "params").read_bytes()
    return artifact.of_mxnet(mx.sym.identity(mx.sym.var("data"), name="same").tojson(), params)


def check(name: str, way: Way, x: Any) -> None:
    """BenchmarkError where a way gives anything but its input back; the calls warm it up, too."""
    for _ in range(WARM_CALLS):
        answer = way(x)
    if not np.array_equal(answer, x.tobytes() if isinstance(answer, bytes) else x):
        raise BenchmarkError(f"{name} answers wrong")


def timed(way: Way, x: Any, calls: int) -> float:
    """The median of so many calls, in microseconds."""
    taken = []
    for _ in range(calls):
        begin = time.perf_counter_ns()
        way(x)
        taken.append(time.perf_counter_ns() - begin)
    return statistics.median(taken) / 1000


def echo(address: str) -> Way:
    """The bytes, there and back, by grpcio's synchronous stub."""
    call = grpc.insecure_channel(address, options=ANY_SIZE).unary_unary(METHOD)
    return lambda x: call(x.tobytes(), timeout=60)


def local(made: Artifact) -> Way:
    """The engine's pass, in this process."""
    folder = Path(tempfile.mkdtemp(prefix="ei-bench-"))
    for name, data in made.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        assert isinstance(data, bytes)
        (folder / name).write_bytes(data)
    model = mxnet.load(Config(folder, options=made.options))
    return lambda x: next(iter(model.forward({"data": x}, ()).values()))


def remote(address: str, made: Artifact) -> Way:
    """A call of the client, over whatever channel the address has."""
    model = Accelerator(Target(address)).load(made)
    return lambda x: next(iter(model({"data": x}).values()))


def stream(address: str, made: Artifact) -> Way:
    """Messages of one streamed call, each sent when the one before is answered."""
    channel = channels.open(Target(address))
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def sent() -> Iterator[bytes]:
        while True:
            yield waiting.get()

    answers = iter(channel.stream(path("ModelStreamInfer"), sent(), 3600))
    reply = message("ModelStreamInferResponse")

    def call(x: Any) -> Any:
        waiting.put(b"".join(tensors.request(made.name, {"data": x})))
        answer = reply.FromString(bytes(next(answers)))
        if answer.error_message:
            raise BenchmarkError(answer.error_message)
        output = answer.infer_response
        return np.frombuffer(output.raw_output_contents[0], "float32").reshape(output.outputs[0].shape)

    return call


if __name__ == "__main__":
    main()
