"""The accelerator's methods: what each call of the Open Inference Protocol does.

ModelInfer goes straight to its model's queue, without a task of its own; everything else is rare and awaited.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import Any

from google.protobuf.message import DecodeError

from serving.accelerators.errors import AcceleratorError, Code
from serving.accelerators.protocol import tensors
from serving.accelerators.protocol.messages import SERVICE, message
from serving.accelerators.protocol.tensors import Buffer
from serving.accelerators.rpc.server import Call
from serving.accelerators.server.models import READY, Model, Pending
from serving.accelerators.server.options import Options
from serving.accelerators.server.repository import Repository
from serving.accelerators.server.stream import Part, Stream

log = logging.getLogger("ei.accelerator")
INFER, STREAM = f"/{SERVICE}/ModelInfer", f"/{SERVICE}/ModelStreamInfer"
HEALTH = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
"""HealthCheckResponse with `status` SERVING [grpc/grpc src/proto/grpc/health/v1/health.proto]."""
EXTENSIONS = ("model_repository", "model_configuration", "statistics", "parameters", "binary_tensor_data")
DATA_TYPES = {"BYTES": "TYPE_STRING"}


class Front:
    """The handler of an accelerator's connections."""

    def __init__(self, options: Options, repository: Repository) -> None:
        self._options, self._repository = options, repository
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._methods: dict[str, Callable[[Any], Awaitable[Any]]] = {
            name: getattr(self, f"_{_snake(name)}")
            for name in (
                "ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelConfig", "ModelStatistics",
                "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload",
            )
        }  # fmt: skip

    def is_streaming(self, path: str) -> bool:
        """Whether calls of a path have many messages."""
        return path == STREAM

    def handle(self, call: Call, body: Buffer) -> None:
        """Answer a message: a whole call, or one of a stream's."""
        if call.path == INFER:
            self._infer(call, body)
            return
        if call.path == STREAM:
            self._infer(Part(self._stream(call)), body)
            return
        task = self._loop.create_task(self._answer(call, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def half_closed(self, call: Call) -> None:
        """The client has said the last word of a stream."""
        stream = self._stream(call)
        stream.is_said = True
        stream.end()

    def closed(self, call: Call) -> None:
        """A stream has ended before it was answered: its calls see that it is cancelled."""

    def _stream(self, call: Call) -> Stream:
        """What is known of a stream, from its first message on."""
        if call.state is None:
            call.state = Stream(call)
        stream: Stream = call.state
        return stream

    def _infer(self, call: Call | Part, body: Buffer) -> None:
        try:
            self._queue(call, body)
        except AcceleratorError as error:
            call.fail(error.code, error.message)

    def _queue(self, call: Call | Part, body: Buffer) -> None:
        head, id, contents = tensors.read_request(body)
        model = self._repository.find(head.model, head.version)
        rows = model.rows(head)
        if len(head.tensors) != len(contents):
            raise AcceleratorError(
                Code.INVALID_ARGUMENT,
                f"the message names {len(head.tensors)} tensors and holds the contents of {len(contents)}",
            )
        if model.state != READY and model.reason:
            raise AcceleratorError(Code.UNAVAILABLE, f"the model could not be loaded again: {model.reason}")
        self._repository.lane(model).put(Pending(call, model, head, id, contents, rows, time.perf_counter()))

    async def _answer(self, call: Call, body: Buffer) -> None:
        if call.path == HEALTH:
            call.reply([SERVING])
            return
        service, _, method = call.path.removeprefix("/").rpartition("/")
        run = self._methods.get(method) if service == SERVICE else None
        if run is None:
            call.fail(
                Code.UNIMPLEMENTED, f"no method {call.path[:80]}: this is an accelerator, of the Open Inference Protocol v2"
            )
            return
        try:
            request = message(f"{method}Request").FromString(body)
            reply = await run(request)
        except DecodeError:
            call.fail(Code.INVALID_ARGUMENT, f"the bytes are no {method}Request")
        except AcceleratorError as error:
            call.fail(error.code, error.message)
        except Exception as error:
            log.exception("%s failed", method)
            call.fail(Code.INTERNAL, f"{type(error).__name__}: see the accelerator's log")
        else:
            call.reply([reply.SerializeToString()])

    # ---- the server

    async def _server_live(self, request: Any) -> Any:
        return message("ServerLiveResponse")(live=True)

    async def _server_ready(self, request: Any) -> Any:
        return message("ServerReadyResponse")(ready=True)

    async def _server_metadata(self, request: Any) -> Any:
        ours = (f"ei.type={self._options.type.name}", f"ei.id={self._options.id}", f"ei.device={self._options.device}")
        return message("ServerMetadataResponse")(name="ei-accelerator", version=_version(), extensions=[*EXTENSIONS, *ours])

    # ---- models

    async def _model_ready(self, request: Any) -> Any:
        model = self._repository.models.get(request.name)
        return message("ModelReadyResponse")(ready=model is not None and not model.reason and request.version in ("", "1"))

    async def _model_metadata(self, request: Any) -> Any:
        model = self._repository.find(request.name, request.version)
        reply = message("ModelMetadataResponse")(name=model.name, versions=["1"], platform=model.framework)
        for side, told in ((reply.inputs, model.inputs), (reply.outputs, model.outputs)):
            for spec in told:
                side.add(name=spec.name, datatype=spec.datatype, shape=spec.shape)
        reply.properties["ei.device"].string_param = self._options.device
        reply.properties["ei.report"].string_param = model.report
        reply.properties["max_batch_size"].int64_param = model.max_batch
        return reply

    async def _model_config(self, request: Any) -> Any:
        model = self._repository.find(request.name, request.version)
        reply = message("ModelConfigResponse")()
        config = reply.config
        config.name, config.backend, config.max_batch_size = model.name, model.framework, model.max_batch
        for side, told in ((config.input, model.inputs), (config.output, model.outputs)):
            for spec in told:
                # Triton's dims leave the rows' axis out where it stacks.
                dims = spec.shape[1:] if model.max_batch else spec.shape
                side.add(name=spec.name, data_type=DATA_TYPES.get(spec.datatype, f"TYPE_{spec.datatype}"), dims=dims)
        for key, value in model.options.items():
            config.parameters[key].string_value = value
        return reply

    async def _model_statistics(self, request: Any) -> Any:
        found = (
            [self._repository.find(request.name, request.version)] if request.name else list(self._repository.models.values())
        )
        reply = message("ModelStatisticsResponse")()
        for model in found:
            _put_statistics(reply.model_stats.add(), model)
        return reply

    async def _repository_index(self, request: Any) -> Any:
        reply = message("RepositoryIndexResponse")()
        for model in self._repository.models.values():
            if model.state == READY or not request.ready:
                reply.models.add(name=model.name, version="1", state=model.state, reason=model.reason)
        return reply

    async def _repository_model_load(self, request: Any) -> Any:
        parameters = {
            key: getattr(value, value.WhichOneof("parameter_choice") or "string_param")
            for key, value in request.parameters.items()
        }
        for key, value in parameters.items():
            if key.startswith("file:") != isinstance(value, bytes):
                raise AcceleratorError(
                    Code.INVALID_ARGUMENT, f"parameter {key[:60]!r} is of the wrong type: files are bytes_param"
                )
        await self._repository.load(request.model_name, parameters)
        return message("RepositoryModelLoadResponse")()

    async def _repository_model_unload(self, request: Any) -> Any:
        await self._repository.unload(request.model_name)
        return message("RepositoryModelUnloadResponse")()


def _put_statistics(entry: Any, model: Model) -> None:
    told = model.statistics
    entry.name, entry.version, entry.last_inference = model.name, "1", int(told.last * 1000)
    entry.inference_count, entry.execution_count = told.rows, told.passes
    durations = (
        (entry.inference_stats.success, told.succeeded, told.success_ns),
        (entry.inference_stats.fail, told.failed, told.fail_ns),
        (entry.inference_stats.queue, told.succeeded, told.queue_ns),
        (entry.inference_stats.compute_infer, told.succeeded, told.compute_ns),
    )
    for duration, count, nanoseconds in durations:
        duration.count, duration.ns = count, nanoseconds
    for rows, (passes, nanoseconds) in sorted(told.batches.items()):
        batch = entry.batch_stats.add(batch_size=rows)
        batch.compute_infer.count, batch.compute_infer.ns = passes, nanoseconds
    entry.memory_usage.add(type="CPU", byte_size=model.needs)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _version() -> str:
    try:
        return metadata.version("ei")
    except metadata.PackageNotFoundError:
        return "0"
