"""Where an accelerator is, as `EI_ACCELERATORS` names it, and what a connection there takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.errors import SettingsError


@dataclass(frozen=True)
class Target:
    """An address, with the token and the certificates that connections to it take.

    `address` is `host:port`, or anything that gRPC resolves: `dns:///name:port`, `unix:/path`. `token` goes along as
    `authorization: Bearer`. `ca` turns TLS on: a PEM file of the authorities to trust (empty path: the system's);
    `server_name` is whom the certificate must name, where that is not the host.
    """

    address: str
    token: str = ""
    ca: Path | None = None
    server_name: str = ""

    @property
    def is_plain_host(self) -> bool:
        """Whether it is `host:port`, without a scheme of gRPC's; an IPv6 address stands in brackets."""
        host, _, port = self.address.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        return port.isdigit() and bool(host) and "/" not in host and (bracketed or ":" not in host)

    @property
    def host_and_port(self) -> tuple[str, int]:
        """The two of a plain host."""
        host, _, port = self.address.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)

    @property
    def path(self) -> str | None:
        """The socket's path, if it is one of this machine."""
        if not self.address.startswith("unix:"):
            return None
        path = self.address.removeprefix("unix:")
        return "/" + path.lstrip("/") if path.startswith("//") else path

    @property
    def authority(self) -> str:
        """Whom calls name as their server."""
        return self.server_name or (self.address if self.is_plain_host else "localhost")

    def __post_init__(self) -> None:
        if not (self.is_plain_host or ":" in self.address):
            raise SettingsError(
                f"{self.address!r} is no accelerator's address: expected host:port, or a gRPC target as dns:///name:port"
            )
