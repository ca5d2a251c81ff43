"""The near side of gRPC for an event loop, by the grpcio library: for targets that it resolves itself, and balances over."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from serving.accelerators.rpc.channels import Buffer
from serving.accelerators.rpc.grpcio import failed, opened
from serving.accelerators.rpc.target import Target


class AwaitedChannel:
    """A grpc.aio.Channel: `call` as `channels.Channel` has it, awaited. Made and used on one loop."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._metadata = [("authorization", f"Bearer {target.token}")] if target.token else None
        self._channel: grpc.aio.Channel = opened(grpc.aio, target)
        self._calls: dict[str, Any] = {}
        self._closing: asyncio.Task[None] | None = None

    async def call(self, path: str, pieces: list[Buffer], timeout: float) -> Buffer:
        """One unary call. AcceleratorError with the status of whatever went wrong; cancelling it cancels the call."""
        call = self._calls.get(path)
        if call is None:
            call = self._calls.setdefault(path, self._channel.unary_unary(path))
        try:
            answer: bytes = await call(b"".join(pieces), timeout=timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            raise failed(error, self._target) from None
        return answer

    def close(self) -> None:
        """Close the channel, in a turn of the loop to come."""
        self._closing = asyncio.ensure_future(self._channel.close())
