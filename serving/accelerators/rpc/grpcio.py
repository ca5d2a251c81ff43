"""A channel by the grpcio library: for targets that it resolves itself, and balances over."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

import grpc

from serving.accelerators.errors import AcceleratorError, Code, unreachable
from serving.accelerators.rpc.channels import Buffer
from serving.accelerators.rpc.target import Target

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.lb_policy_name", "round_robin"),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class GrpcChannel:
    """A grpc.Channel behind `Channel`'s methods."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._metadata = (("authorization", f"Bearer {target.token}"),) if target.token else None
        self._channel: grpc.Channel = opened(grpc, target)
        self._calls: dict[str, Any] = {}
        self._lock = threading.Lock()

    def call(self, path: str, pieces: list[Buffer], timeout: float) -> Buffer:
        """One unary call."""
        call = self._calls.get(path)
        if call is None:
            with self._lock:
                call = self._calls.setdefault(path, self._channel.unary_unary(path))
        try:
            answer: bytes = call(b"".join(pieces), timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise failed(error, self._target) from None
        return answer

    def stream(self, path: str, messages: Iterable[bytes], timeout: float) -> Iterator[Buffer]:
        """A streamed call."""
        try:
            streamed: Any = self._channel.stream_stream(path)
            yield from streamed(iter(messages), timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise failed(error, self._target) from None

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


def failed(error: Any, target: Target) -> AcceleratorError:
    """gRPC's error as ours; that nobody answers has the phrase that users know."""
    code, details = Code(error.code().value[0]), error.details() or ""
    if code == Code.UNAVAILABLE:
        return unreachable(target.address, details)
    return AcceleratorError(code, details or code.name)


def opened(library: Any, target: Target) -> Any:
    """A channel of `grpc` or of `grpc.aio`; nothing is connected yet."""
    options = [*OPTIONS, *([("grpc.ssl_target_name_override", target.server_name)] if target.server_name else [])]
    if target.ca is None:
        return library.insecure_channel(target.address, options=options)
    roots = target.ca.read_bytes() if target.ca.name else None
    return library.secure_channel(target.address, grpc.ssl_channel_credentials(roots), options=options)
