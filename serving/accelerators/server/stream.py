"""A stream of inferences as calls of their own: each message is queued by itself, and each answer goes back when it is there.

Answers may overtake one another: the request's id tells whose they are. A message that fails is answered in the stream, which
goes on. [triton-inference-server/common protobuf/grpc_service.proto: ModelStreamInferResponse]
"""

from __future__ import annotations

from collections.abc import Hashable

from serving.accelerators.errors import Code
from serving.accelerators.protocol.messages import message
from serving.accelerators.protocol.tensors import Buffer, tagged
from serving.accelerators.rpc.server import Call

ERROR, RESPONSE = 1, 2


class Stream:
    """A streamed call: it ends when its client has said the last word and all of it is answered."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.open = 0
        self.is_said = False

    def end(self) -> None:
        """Finish the call, once there is nothing left to answer."""
        if self.is_said and not self.open:
            self.call.finish()


class Part:
    """One message of a stream, to whatever answers a call."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._done = False
        stream.open += 1

    @property
    def path(self) -> str:
        """The call's path."""
        return self._stream.call.path

    @property
    def client(self) -> Hashable:
        """Whose call it is."""
        return self._stream.call.client

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits any more."""
        return self._stream.call.cancelled

    def reply(self, pieces: list[Buffer]) -> None:
        """Answer with a message."""
        self._send([tagged(RESPONSE, sum(map(len, pieces))), *pieces])

    def fail(self, code: Code, text: str) -> None:
        """Answer with an error."""
        self._send([message("ModelStreamInferResponse")(error_message=f"{code.name}: {text}").SerializeToString()])

    def _send(self, pieces: list[Buffer]) -> None:
        if self._done:
            return
        self._done = True
        self._stream.open -= 1
        if not self.cancelled:
            self._stream.call.send(pieces)
            self._stream.end()
