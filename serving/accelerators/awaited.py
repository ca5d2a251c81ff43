"""A model on an accelerator for an event loop: `client.RemoteModel`'s call, awaited, many of them at once.

await AwaitedModel(accelerator, artifact)({name: array}, seconds) -> {name: array}
"""

from __future__ import annotations

import asyncio
from time import perf_counter

from serving.accelerators.artifact import Artifact
from serving.accelerators.client import INFER, LOAD_SECONDS, Accelerator
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.rpc import channels
from serving.invocation import Inputs, Outputs


class AwaitedModel:
    """One model, by a channel of the running loop. `calls` and `seconds` count what was answered."""

    def __init__(self, accelerator: Accelerator, artifact: Artifact) -> None:
        self._accelerator, self._artifact = accelerator, artifact
        self._channel = channels.open_awaited(accelerator.target)
        self._sending: asyncio.Task[None] | None = None
        self.calls, self.seconds = 0, 0.0

    async def __call__(self, inputs: Inputs, timeout: float) -> Outputs:
        """One pass. A call whose connection broke is made once more; where the model is gone it is sent again before."""
        begin = perf_counter()
        pieces = tensors.request(self._artifact.name, inputs)
        curable = {Code.UNAVAILABLE, Code.NOT_FOUND}
        while True:
            left = timeout - (perf_counter() - begin)
            try:
                reply = await self._channel.call(INFER, pieces, left)
                break
            except AcceleratorError as error:
                if error.code not in curable or perf_counter() - begin >= timeout:
                    raise
                curable.remove(error.code)  # each once
                if error.code == Code.NOT_FOUND:
                    await self._send()
        self.calls += 1
        self.seconds += perf_counter() - begin
        return tensors.read_response(reply)

    def close(self) -> None:
        """Close the connections; the model stays, for the other processes that use it."""
        self._channel.close()

    async def _send(self) -> None:
        """Send the artifact again, once for all calls that miss it; in a thread, since its files are read for it."""
        if self._sending is None or self._sending.done():
            sending = asyncio.to_thread(self._accelerator.send, self._artifact, LOAD_SECONDS)
            self._sending = asyncio.ensure_future(sending)
        await asyncio.shield(self._sending)
