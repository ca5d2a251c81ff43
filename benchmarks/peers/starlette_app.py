"""The model inline in a starlette application, for uvicorn and granian."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from starlette.applications import Starlette  # type: ignore[import-not-found, unused-ignore]
from starlette.responses import Response  # type: ignore[import-not-found, unused-ignore]
from starlette.routing import Route  # type: ignore[import-not-found, unused-ignore]

code = import_module(f"benchmarks.peers.{os.environ['BENCH_CODE']}")
model = code.Model(os.environ["BENCH_MODEL"])


async def ping(request: Any) -> Any:
    """The process is up, and so is its model."""
    return Response()


async def invocations(request: Any) -> Any:
    """Rows in, the model's output out."""
    rows = code.decode(await request.body(), request.headers["content-type"])
    return Response(code.encode(model.predict(rows)), media_type="application/json")


app = Starlette(routes=[Route("/ping", ping), Route("/invocations", invocations, methods=["POST"])])
