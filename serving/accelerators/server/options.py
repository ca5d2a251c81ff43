"""What an accelerator is started with."""

from __future__ import annotations

import argparse
import ipaddress
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from serving import cores
from serving import settings as knobs
from serving.accelerators import catalog
from serving.accelerators.catalog import AcceleratorType
from serving.errors import StartError

ENGINES = ("auto", "mxnet")


@dataclass(frozen=True)
class Options:
    """One accelerator. `threads` are a pass' own; `max_batch` bounds what models ask for, 1 turns stacking off."""

    type: AcceleratorType = catalog.BY_NAME[catalog.DEFAULT]
    host: str = "127.0.0.1"
    port: int = 8500
    engine: str = "auto"
    device: str = "cpu"
    threads: int = 1
    max_batch: int = 1 << 10
    token: str = ""
    certificate: Path | None = None
    key: Path | None = None
    metrics_port: int = 0
    store: Path | None = None
    spare: bool = True
    id: str = field(default_factory=lambda: f"eia-{secrets.token_hex(16)}")


def read(arguments: Sequence[str] | None = None) -> Options:
    """The options of a command line; StartError where they cannot be served with."""
    given = _parser().parse_args(arguments)
    token = given.token_file.read_text().strip() if given.token_file else knobs.read(()).accelerator_token
    if catalog.is_misprinted(given.type):
        print(f"{given.type} is a misprint of the guide's: {catalog.corrected(given.type)} is meant")
    options = Options(
        catalog.find(given.type),
        given.host,
        given.port,
        given.engine,
        given.device,
        given.threads or cores.count(),
        given.max_batch,
        token,
        given.tls_cert,
        given.tls_key,
        given.metrics_port,
        given.store,
        not given.no_spare,
    )
    check(options)
    return options


def check(options: Options) -> None:
    """StartError where options contradict each other, or would let strangers in."""
    if bool(options.certificate) != bool(options.key):
        raise StartError("--tls-cert and --tls-key go together")
    for path in (options.certificate, options.key):
        if path is not None and not path.is_file():
            raise StartError(f"{path} is no file")
    if not is_loopback(options.host) and not (options.certificate and options.token):
        raise StartError(
            f"refusing to listen on {options.host} without TLS and a token: anybody there could load models and read answers; "
            "give --tls-cert, --tls-key and --token-file (`ei accelerator certificate`, `ei accelerator token`), or --host 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this host reaches an address."""
    if host in ("localhost", "") or host.startswith("unix:"):
        return bool(host)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="accelerator",
        description="Serve models of attached containers and scripts, within the memory of a type.",
        epilog="example: accelerator --type ml.eia2.medium --port 8500",
    )
    parser.add_argument("--type", default=catalog.DEFAULT, help="the size (`ei accelerator types` lists them) [%(default)s]")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on, or unix:PATH [%(default)s]")
    parser.add_argument("--port", type=int, default=8500, help="the port [%(default)s]")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what runs MXNet artifacts [mxnet]")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where passes run [%(default)s]")
    parser.add_argument("--threads", type=int, default=0, help="threads of a pass [the cores of the cgroup quota]")
    parser.add_argument("--max-batch", type=int, default=1 << 10, help="rows that calls are stacked to; 1: each by itself")
    parser.add_argument("--token-file", type=Path, help="a file with the token that clients must give [EI_ACCELERATOR_TOKEN]")
    parser.add_argument("--tls-cert", type=Path, help="a PEM file: the certificate chain")
    parser.add_argument("--tls-key", type=Path, help="a PEM file: its key")
    parser.add_argument("--metrics-port", type=int, default=0, help="a port for Prometheus' metrics [none]")
    parser.add_argument("--store", type=Path, help="a folder for uploaded files [a temporary one]")
    parser.add_argument(
        "--no-spare", action="store_true", help="start a new engine only when one has died: less memory, slower"
    )
    return parser
