"""The model inline in a starlette application, for uvicorn and granian."""

from __future__ import annotations

import os
from typing import Any

from starlette.applications import Starlette  # type: ignore[import-not-found, unused-ignore]
from starlette.responses import Response  # type: ignore[import-not-found, unused-ignore]
from starlette.routing import Route  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.mxnet_model import Model, decode, encode

model = Model(os.environ["BENCH_MODEL"])


async def ping(request: Any) -> Any:
    """The process is up, and so is its model."""
    return Response()


async def invocations(request: Any) -> Any:
    """Rows in, the model's output out."""
    rows = decode(await request.body(), request.headers["content-type"])
    return Response(encode(model.predict(rows)), media_type="application/json")


app = Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])
