"""A model on an accelerator for an event loop: `client.RemoteModel`'s call without waiting, many of them at once.

    AwaitedModel(accelerator, artifact).start({name: array}, seconds, done) -> a handle to cancel; later done(outputs, error)

What goes well takes no task of its own: a few callbacks on the loop. What does not is tried again by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Any, Protocol

from serving.accelerators.artifact import Artifact
from serving.accelerators.client import INFER, LOAD_SECONDS, Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.rpc import channels
from serving.accelerators.rpc.channels import Buffer
from serving.invocation import Inputs, Outputs

CURABLE = (Code.UNAVAILABLE, Code.NOT_FOUND)
"""A connection that broke, and a model that is gone: each is tried once more."""

Done = Callable[[Outputs | None, AcceleratorError | None], None]


class Handle(Protocol):
    """A call under way."""

    def cancel(self) -> Any:
        """Take it back: nobody waits any more, and `done` is not called."""


class AwaitedModel:
    """One model, by a channel of the running loop."""

    def __init__(self, accelerator: Accelerator, artifact: Artifact) -> None:
        self._accelerator, self._artifact = accelerator, artifact
        self._loop = asyncio.get_running_loop()
        self._channel = channels.open_awaited(accelerator.target)
        self._begin: Callable[..., Handle] | None = getattr(self._channel, "start", None)
        self._sending: asyncio.Task[None] | None = None

    def start(self, inputs: Inputs, seconds: float, done: Done) -> Handle:
        """Begin a pass; `done` is called on the loop with its outputs or its error. AcceleratorError for what cannot be sent."""
        pieces = tensors.request(self._artifact.name, inputs)
        if self._begin is None:
            return _Trial(self, pieces, seconds, done, None)
        began, call = perf_counter(), _Direct()

        def ended(reply: Buffer | None, error: AcceleratorError | None) -> None:
            left = seconds - (perf_counter() - began)
            if error is not None and error.code in CURABLE and left > 0:
                call.handle = _Trial(self, pieces, left, done, error)
                return
            _tell(done, reply, error)

        handle = self._begin(INFER, pieces, seconds, ended)
        call.handle = call.handle or handle  # it may have ended at once
        return call

    async def again(self, pieces: list[Buffer], seconds: float, error: AcceleratorError | None) -> Buffer:
        """The call's reply, after an error that it has met already; each curable one is tried once."""
        end, cures = perf_counter() + seconds, list(CURABLE)
        while True:
            if error is not None:
                if error.code not in cures or perf_counter() >= end:
                    raise error
                cures.remove(error.code)
                if error.code == Code.NOT_FOUND:
                    await self._send()
            try:
                return await self._channel.call(INFER, pieces, max(0.001, end - perf_counter()))
            except AcceleratorError as found:
                error = found

    def close(self) -> None:
        """Close the connections; the model stays, for the other processes that use it."""
        self._channel.close()

    async def _send(self) -> None:
        """Send the artifact again, once for all calls that miss it; in a thread, since its files are read for it."""
        if self._sending is None or self._sending.done():
            sending = asyncio.to_thread(self._accelerator.send, self._artifact, LOAD_SECONDS)
            self._sending = self._loop.create_task(sending)
        await asyncio.shield(self._sending)


class _Direct:
    """A call, and after an error the one that is made for it again."""

    __slots__ = ("handle",)

    def __init__(self) -> None:
        self.handle: Handle | None = None

    def cancel(self) -> None:
        if self.handle is not None:
            self.handle.cancel()


class _Trial:
    """A call by a task."""

    __slots__ = ("_done", "_task")

    def __init__(
        self, model: AwaitedModel, pieces: list[Buffer], seconds: float, done: Done, error: AcceleratorError | None
    ) -> None:
        self._done = done
        self._task = asyncio.ensure_future(model.again(pieces, seconds, error))
        self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[Buffer]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            _tell(self._done, task.result(), None)
        else:
            if not isinstance(error, AcceleratorError):
                error = AcceleratorError(Code.INTERNAL, f"{type(error).__name__}: {error}")
            _tell(self._done, None, error)

    def cancel(self) -> None:
        self._task.cancel()


def _tell(done: Done, reply: Buffer | None, error: AcceleratorError | None) -> None:
    """Call back with the reply's arrays, or the error."""
    if error is not None or reply is None:
        done(None, error or AcceleratorError(Code.INTERNAL, "there was no reply"))
        return
    try:
        outputs = tensors.read_response(reply)
    except AcceleratorError as fault:  # the accelerator's fault, not the request's
        done(None, AcceleratorError(Code.INTERNAL, fault.message))
        return
    done(outputs, None)
