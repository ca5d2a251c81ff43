"""The model as a mosec worker, with mosec's dynamic batching: up to 16 requests, gathered for a millisecond at most."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from mosec import Server, Worker  # type: ignore[import-not-found, unused-ignore]

NPY_MAGIC = b"\x93NUMPY"
MAX_BATCH = 16
MAX_WAIT_MS = 1


class Predict(Worker):  # type: ignore[misc, unused-ignore]
    """Bytes to rows, rows of a batch through the model, rows to bytes."""

    def __init__(self) -> None:
        from benchmarks.peers.mxnet_model import Model

        self.model = Model(os.environ["BENCH_MODEL"])

    def deserialize(self, data: bytes) -> Any:
        """The rows of one request; mosec does not pass headers on, so the body must tell its type."""
        from benchmarks.peers.mxnet_model import decode

        return decode(data, "application/x-npy" if data.startswith(NPY_MAGIC) else "application/json")

    def serialize(self, data: Any) -> bytes:
        """One request's share of the output."""
        from benchmarks.peers.mxnet_model import encode

        return encode(data)

    def forward(self, data: list[Any]) -> list[Any]:
        """One pass for the requests of a batch."""
        output = self.model.predict(np.concatenate(data))
        return np.split(output, np.cumsum([len(rows) for rows in data])[:-1])


if __name__ == "__main__":
    server = Server()
    workers = int(os.environ["BENCH_WORKERS"])
    server.append_worker(Predict, num=workers, max_batch_size=MAX_BATCH, max_wait_time=MAX_WAIT_MS, route="/invocations")
    server.run()
