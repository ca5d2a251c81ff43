"""TLS at the near side."""

from __future__ import annotations

import ssl

from serving.accelerators.rpc.target import Target


def client_context(target: Target) -> ssl.SSLContext | None:
    """What a target's certificate is checked by; None where it speaks without TLS."""
    if target.ca is None:
        return None
    context = ssl.create_default_context(cafile=str(target.ca) if target.ca.name else None)
    context.set_alpn_protocols(["h2"])
    return context


def server_name(target: Target) -> str:
    """Whom the certificate must name."""
    return target.server_name or (target.host_and_port[0] if target.is_plain_host else "localhost")
