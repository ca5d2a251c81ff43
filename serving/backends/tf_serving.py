"""Models of a TF Serving process, over gRPC: what `backends.tensorflow` is to models of this process.

    connect(address) -> Server -> model(name, version) -> RemoteModel.run(signature, inputs) -> PredictRequest -> ... -> outputs

Any process that speaks TF Serving's protocol will do, `amazonei_tensorflow_model_server` among them. Nothing is opened before
the first question, and each process has a channel of its own: gRPC starts threads, so ask only after the fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from serving.backends.tensorflow import STATUSES
from serving.backends.tf_signatures import SignatureDef, TensorInfo
from serving.backends.tf_tensors import DTYPES
from serving.errors import BadRequest, DeadlineExceeded, NotFound, ServingError, from_status
from serving.invocation import Inputs, Outputs

if TYPE_CHECKING:
    import grpc

T = TypeVar("T")

PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"
DEADLINE_SECONDS = 60.0
STATUS_SECONDS = 2.0
"""How long a question about a model's state may take: `/ping` hangs on it."""
RECONNECT_SECONDS = 0.5
"""How long a call waits for a connection before its second attempt."""
MAX_MESSAGE = (1 << 31) - 1
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),  # a process that is started anew is back within seconds
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.enable_http_proxy", 0),
]
RESERVED = "__saved_model"
"""How the names of signatures begin that are the loader's own."""
UNAVAILABLE, DEADLINE, NOT_FOUND = 14, 4, 5
ERRORS: dict[int, type[ServingError]] = {400: BadRequest, 404: NotFound, 504: DeadlineExceeded}


def connect(address: str, deadline: float = DEADLINE_SECONDS) -> Server:
    """The TF Serving process at HOST:PORT, each call to which has so many seconds; no connection is made yet."""
    return Server(address, deadline)


class Server:
    """A TF Serving process."""

    def __init__(self, address: str, deadline: float) -> None:
        self.address, self._deadline = address, deadline
        self._opened: tuple[int, grpc.Channel] | None = None

    def model(self, name: str, version: int | None = None) -> RemoteModel:
        """A model by its name, its newest version unless one is named."""
        return RemoteModel(self, name, version)

    def versions(self, name: str) -> dict[int, str]:
        """Version -> why it is not available, "" where it is; a ServingError where the process does not tell."""
        from serving.tfs import messages, metadata

        reply = self.call(MODEL + "GetModelStatus", metadata.status_request(messages.Spec(name)), STATUS_SECONDS)
        return self.read(metadata.status_versions, reply)

    def is_available(self, name: str) -> bool:
        """Whether a version of the model would answer now."""
        try:
            return "" in self.versions(name).values()
        except ServingError:
            return False

    def call(self, path: str, body: bytes, seconds: float | None = None) -> bytes:
        """One call; a ServingError with TF Serving's words where it fails. What was not reachable is tried once more."""
        import grpc

        channel = self._channel()
        method: Any = channel.unary_unary(path)
        end = monotonic() + (seconds or self._deadline)
        try:
            try:
                return bytes(method(body, timeout=end - monotonic()))
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            _await(channel, min(RECONNECT_SECONDS, end - monotonic()))
            return bytes(method(body, timeout=max(0.0, end - monotonic())))
        except grpc.RpcError as error:
            raise self._failed(error) from None

    def read(self, how: Callable[[bytes], T], reply: bytes) -> T:
        """What a reply says; a 502 where it cannot be read, which is no fault of our client's."""
        try:
            return how(reply)
        except ServingError as error:
            raise from_status(502, f"the answer of TF Serving at {self.address} cannot be read: {error.message}") from None

    def close(self) -> None:
        """Close this process' channel."""
        if self._opened is not None and self._opened[0] == os.getpid():
            self._opened[1].close()
        self._opened = None

    def _channel(self) -> grpc.Channel:
        if self._opened is None or self._opened[0] != os.getpid():
            import grpc

            self._opened = os.getpid(), grpc.insecure_channel(self.address, options=OPTIONS)
        return self._opened[1]

    def _failed(self, error: Any) -> ServingError:
        code, words = error.code().value[0], error.details() or error.code().name
        if code == UNAVAILABLE:
            return from_status(503, f"TF Serving at {self.address} cannot be reached: {words}")
        if code == DEADLINE:
            return DeadlineExceeded(f"TF Serving at {self.address} did not answer by the deadline")
        status = STATUSES.get(code, 500)
        return ERRORS[status](words) if status in ERRORS else from_status(status, words)


class RemoteModel:
    """One version of a model there. Its signatures are asked for when they are first needed."""

    parameter_bytes = 0

    def __init__(self, server: Server, name: str, version: int | None) -> None:
        self.server, self.name, self.version = server, name, version

    @cached_property
    def meta_graph(self) -> bytes:
        """A serialized MetaGraphDef with the model's signatures."""
        from serving.tfs import messages, metadata

        request = metadata.metadata_request(messages.Spec(self.name, self.version))
        return self.server.read(metadata.metadata_meta_graph, self.server.call(PREDICTION + "GetModelMetadata", request))

    @cached_property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """Its signatures by name: those whose tensors have a form in a request."""
        from serving.tfs import metadata

        definitions = sorted(metadata.signature_defs(self.meta_graph).items())
        found = {name: _signature(name, one) for name, one in definitions if not name.startswith(RESERVED)}
        return {name: signature for name, signature in found.items() if signature is not None}

    def run(self, signature: str, inputs: Inputs, outputs: Sequence[str] = ()) -> Outputs:
        """One pass there: the outputs asked for, or all of them; what TF Serving refuses has its status and its words."""
        from serving.tfs import messages

        asking = messages.Spec(self.name, self.version, signature)
        reply = self.server.call(PREDICTION + "Predict", messages.predict_request(asking, inputs, outputs))
        found = self.server.read(lambda body: messages.predict_outputs(body, MAX_MESSAGE), reply)
        return {name: found[name] for name in outputs} if outputs else found

    def close(self) -> None:
        """Nothing is held here: the channel is the server's."""


def _await(channel: grpc.Channel, seconds: float) -> None:
    """Give a channel a moment to connect: one that has just failed to would not try at once."""
    import grpc

    ready = grpc.channel_ready_future(channel)
    with suppress(grpc.FutureTimeoutError):
        ready.result(timeout=max(0.0, seconds))
    ready.cancel()


def _signature(name: str, definition: Any) -> SignatureDef | None:
    inputs, outputs = _infos(definition.inputs), _infos(definition.outputs)
    return SignatureDef(name, definition.method_name, inputs, outputs) if inputs is not None and outputs else None


def _infos(tensors: Mapping[str, Any]) -> tuple[TensorInfo, ...] | None:
    """The tensors, sorted by name; None where one of them is no plain tensor."""
    if any(info.WhichOneof("encoding") != "name" or info.dtype % 100 not in DTYPES for info in tensors.values()):
        return None
    return tuple(_info(name, info) for name, info in sorted(tensors.items()))


def _info(name: str, info: Any) -> TensorInfo:
    shape = info.tensor_shape
    sizes = None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
    return TensorInfo(name, info.name, DTYPES[info.dtype % 100], info.dtype % 100, sizes)
