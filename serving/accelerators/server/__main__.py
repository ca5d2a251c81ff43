"""`accelerator`: options -> engines -> listen, until SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from serving.accelerators.server import options as flags
from serving.accelerators.server.options import Options
from serving.errors import StartError

if TYPE_CHECKING:
    from serving.accelerators.server.repository import Repository

log = logging.getLogger("ei.accelerator")
GRACE_SECONDS, SWEEP_SECONDS = 20.0, 0.1
MAX_MESSAGE = (1 << 31) - 1
"""Of protobuf [protocolbuffers.dev, "Proto Limits"]: what a model's files can be together."""
CALLS_BYTES = 1 << 30
"""What calls may hold beside a load."""


def main(argv: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM; a start that fails says why in one message and exits with 1."""
    logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.INFO)
    try:
        options = flags.read(argv)
        import uvloop

        uvloop.run(serve(options))
    except (StartError, OSError) as error:
        print(f"accelerator: {error}", file=sys.stderr)
        sys.exit(1)


async def serve(options: Options) -> None:
    """Listen, answer, and end in order at SIGTERM."""
    from serving.accelerators.rpc import server
    from serving.accelerators.server.engines import Shared
    from serving.accelerators.server.front import Front
    from serving.accelerators.server.metrics import Exporter
    from serving.accelerators.server.repository import Repository

    loop = asyncio.get_running_loop()
    repository = Repository(options, Shared())
    front = Front(options, repository)
    largest = min(options.type.memory, MAX_MESSAGE)
    limits = server.Limits(max_message=largest, max_held=largest + CALLS_BYTES)
    listening = await server.serve(
        front, options.host, options.port, ssl_context=_tls(options), token=options.token, limits=limits
    )
    exporter = Exporter(options, repository, listening) if options.metrics_port else None
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    sweeping = loop.create_task(_sweep(repository))
    where = options.host if options.host.startswith("unix:") else f"{options.host}:{options.port}"
    guard = "TLS and a token" if options.certificate else "no TLS"
    print(
        f"accelerator {options.id} ({options.type.name}, {options.device}, {options.threads} threads) on {where}, {guard}",
        flush=True,
    )
    await stop.wait()
    sweeping.cancel()
    await listening.close(GRACE_SECONDS)
    if exporter is not None:
        exporter.close()
    repository.close()


async def _sweep(repository: Repository) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        for lane in list(repository.lanes.values()):
            lane.sweep()


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    try:
        context.load_cert_chain(options.certificate, options.key)
    except ssl.SSLError as error:
        raise StartError(f"{options.certificate} and {options.key} are no certificate and its key: {error}") from None
    return context


if __name__ == "__main__":
    main()
