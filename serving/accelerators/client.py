"""The near side of an accelerator: load a model there, run it, with every fault as an AcceleratorError. Blocking.

    Accelerator(target).load(artifact) -> RemoteModel -> model({name: array}) -> {name: array}

Loading is idempotent by the artifact's digest: N workers share one copy. A call that finds its model gone (the accelerator
was started anew) loads it again and is tried once more; so is one whose connection broke, since a pass changes nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from serving.accelerators.artifact import Artifact
from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.protocol.messages import message, path
from serving.accelerators.rpc import channels
from serving.accelerators.rpc.channels import Channel
from serving.accelerators.rpc.target import Target
from serving.invocation import Inputs, Outputs

T = TypeVar("T")
INFER = path("ModelInfer")
MOST_MEMBERS = 8
"""Servers behind one address, as gRPC balances over them: so many that say in turn that they have a model are all of them."""
CONNECT_SECONDS, LOAD_SECONDS, CALL_SECONDS = 5.0, 600.0, 60.0
"""Of Elastic Inference users waited 15 minutes for a hung load; 60 s is the platform's limit of an invocation."""


@dataclass(frozen=True)
class ServerInfo:
    """What an accelerator says of itself; `type` and `id` are empty where it is none of ours."""

    name: str
    version: str
    extensions: tuple[str, ...]

    @property
    def type(self) -> str:
        """Its size, as `ml.eia2.medium`."""
        return self._told("ei.type=")

    @property
    def id(self) -> str:
        """Its id, as `eia-0123...`."""
        return self._told("ei.id=")

    def _told(self, prefix: str) -> str:
        return next((e.removeprefix(prefix) for e in self.extensions if e.startswith(prefix)), "")


class Accelerator:
    """One accelerator; its methods may be called from several threads. `ordinal` is `mx.eia(ordinal)`'s."""

    def __init__(self, target: Target, ordinal: int = 0) -> None:
        self.target, self.ordinal = target, ordinal
        self.calls = 0
        """Inferences answered: what tells a user whether it is used at all."""
        self.seconds = 0.0
        """What inferences took, those that failed too."""
        self._channel: Channel | None = None
        self._lock = threading.Lock()

    @property
    def channel(self) -> Channel:
        """The way there, opened at its first use: after a fork, each process has its own."""
        with self._lock:
            if self._channel is None:
                self._channel = channels.open(self.target)
            return self._channel

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._channel is not None:
                self._channel.close()
                self._channel = None

    def __del__(self) -> None:
        with suppress(AttributeError):  # half made, or the interpreter is going
            self.close()

    def info(self, timeout: float = CONNECT_SECONDS) -> ServerInfo:
        """Its name, version and extensions; AcceleratorError where it cannot be reached."""
        reply = self.call("ServerMetadata", message("ServerMetadataRequest")(), timeout)
        return ServerInfo(reply.name, reply.version, tuple(reply.extensions))

    def is_ready(self, timeout: float = CONNECT_SECONDS) -> bool:
        """Whether it would take a call now; AcceleratorError where it cannot be reached."""
        return bool(self.call("ServerReady", message("ServerReadyRequest")(), timeout).ready)

    def load(self, artifact: Artifact, timeout: float = LOAD_SECONDS) -> RemoteModel:
        """The artifact's model, sent where it is not there yet.

        AcceleratorError: RESOURCE_EXHAUSTED where it does not fit, INVALID_ARGUMENT where the files are no model.
        """
        self.send(artifact, timeout)
        return RemoteModel(self, artifact, timeout)

    def send(self, artifact: Artifact, timeout: float) -> None:
        """See to it that the artifact's model is ready there; behind an address of many servers, on each of them."""
        end = time.monotonic() + timeout
        members = 1 if self.target.is_plain_host or self.target.path else MOST_MEMBERS
        ready = loads = 0
        while ready < members:
            if self.has(artifact.name, min(timeout, CONNECT_SECONDS)):
                ready += 1
                continue
            if loads == 2 * members:
                raise AcceleratorError(Code.UNAVAILABLE, f"{self.target.address} loses the model as often as it is sent")
            for _ in range(loads % members):  # calls take turns: so that the load comes to the one that lacks the model
                self.is_ready()
            self._load(artifact, end - time.monotonic())
            ready, loads = members == 1, loads + 1

    def has(self, name: str, timeout: float) -> bool:
        """Whether a server says that the model is ready there; one that knows only models of its own may answer NOT_FOUND."""
        request = message("ModelReadyRequest")(name=name)
        try:
            return bool(_tried_twice(lambda: self.call("ModelReady", request, timeout)).ready)
        except AcceleratorError as error:
            if error.code != Code.NOT_FOUND:
                raise
        return False

    def _load(self, artifact: Artifact, timeout: float) -> None:
        request = message("RepositoryModelLoadRequest")(model_name=artifact.name)
        request.parameters["config"].string_param = artifact.config
        for name, found in artifact.files.items():
            request.parameters[f"file:{name}"].bytes_param = found.read_bytes() if isinstance(found, Path) else found
        self.call("RepositoryModelLoad", request, timeout)

    def unload(self, name: str, timeout: float = CONNECT_SECONDS) -> None:
        """Give a model's memory back. A model that is not there is no fault."""
        try:
            self.call("RepositoryModelUnload", message("RepositoryModelUnloadRequest")(model_name=name), timeout)
        except AcceleratorError as error:
            if error.code != Code.NOT_FOUND:
                raise

    def infer(self, name: str, inputs: Inputs, outputs: Sequence[str] = (), timeout: float = CALL_SECONDS) -> Outputs:
        """One pass of a loaded model: all outputs, or those that are asked for. The arrays are read-only views of the reply."""
        began = time.perf_counter()
        try:
            pieces = tensors.request(name, inputs, outputs)
            reply = _tried_twice(lambda: self.channel.call(INFER, pieces, timeout))
            self.calls += 1
            return tensors.read_response(reply)
        finally:
            self.seconds += time.perf_counter() - began

    def call(self, method: str, request: Any, timeout: float) -> Any:
        """Any unary method of the protocol: message in, message out."""
        reply = self.channel.call(path(method), [request.SerializeToString()], timeout)
        return message(f"{method}Response").FromString(bytes(reply))


class RemoteModel:
    """A model on an accelerator. `inputs` and `outputs` are what it says of itself: (name, datatype, shape), -1 for any size."""

    def __init__(self, accelerator: Accelerator, artifact: Artifact, timeout: float) -> None:
        self.accelerator, self.artifact, self._timeout = accelerator, artifact, timeout
        reply = accelerator.call("ModelMetadata", message("ModelMetadataRequest")(name=artifact.name), CONNECT_SECONDS)
        self.inputs, self.outputs = (
            tuple([tensors.Spec(t.name, t.datatype, tuple(t.shape)) for t in told]) for told in (reply.inputs, reply.outputs)
        )

    @property
    def name(self) -> str:
        """The artifact's digest, by which the accelerator knows it."""
        return self.artifact.name

    def __call__(self, inputs: Inputs, outputs: Sequence[str] = (), timeout: float = CALL_SECONDS) -> Outputs:
        """One pass; where the accelerator has lost the model it is sent again."""
        try:
            return self.accelerator.infer(self.name, inputs, outputs, timeout)
        except AcceleratorError as error:
            if error.code != Code.NOT_FOUND:
                raise
        self.accelerator.send(self.artifact, self._timeout)
        return self.accelerator.infer(self.name, inputs, outputs, timeout)

    def close(self) -> None:
        """Give its memory on the accelerator back; other processes that use it will send it again."""
        self.accelerator.unload(self.name)


def _tried_twice(call: Callable[[], T]) -> T:
    """The call's answer; once more where the connection failed: a pass changes nothing, and a broken one was never answered."""
    try:
        return call()
    except AcceleratorError as error:
        if error.code != Code.UNAVAILABLE:
            raise
    return call()
