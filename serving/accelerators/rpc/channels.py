"""The near side of gRPC, blocking: `open(target).call(path, pieces, seconds) -> bytes`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from serving.accelerators.rpc.target import Target

Buffer = bytes | bytearray | memoryview


class Channel(Protocol):
    """A way to a target. Its methods may be called from several threads."""

    def call(self, path: str, pieces: list[Buffer], timeout: float) -> Buffer:
        """One unary call; the message is the pieces together. AcceleratorError with the status of whatever went wrong."""

    def stream(self, path: str, messages: Iterable[bytes], timeout: float) -> Iterable[Buffer]:
        """A streamed call: the replies as they come. AcceleratorError likewise."""

    def close(self) -> None:
        """Close what is open."""


class AwaitedChannel(Protocol):
    """A way to a target for an event loop; made and used on one loop."""

    async def call(self, path: str, pieces: list[Buffer], timeout: float) -> Buffer:
        """One unary call; the message is the pieces together. AcceleratorError with the status of whatever went wrong."""

    def close(self) -> None:
        """Close what is open."""


def open(target: Target) -> Channel:  # noqa: A001
    """A channel to a target; nothing is connected before the first call."""
    if target.is_plain_host or target.path:
        from serving.accelerators.rpc.direct import DirectChannel

        return DirectChannel(target)
    from serving.accelerators.rpc.grpcio import GrpcChannel

    return GrpcChannel(target)


def open_awaited(target: Target) -> AwaitedChannel:
    """A channel to a target, of the running loop; nothing is connected before the first call."""
    if target.is_plain_host or target.path:
        from serving.accelerators.rpc.multiplexed import MultiplexedChannel

        return MultiplexedChannel(target)
    from serving.accelerators.rpc import grpcaio

    return grpcaio.AwaitedChannel(target)
