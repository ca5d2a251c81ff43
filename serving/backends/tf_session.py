"""A session of TensorFlow's: a SavedModel's graph with its variables, run by the C library.

A pass runs in the thread that asks for it, and a session may be run from several threads at once. Its kernels use as many threads
as the first session of the process was given. A session belongs to the process that made it: make it after a fork.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from serving.backends import tf_tensors
from serving.backends.tensorflow_import import library, protos
from serving.backends.tf_library import Failure, Output, check, status
from serving.backends.tf_signatures import TAG, TensorInfo
from serving.errors import ServingError
from serving.invocation import Array


class End(NamedTuple):
    """A tensor that is fed or fetched: its place in the graph, and TensorFlow's DataType."""

    place: Output
    dtype: int


class Means(NamedTuple):
    """What a session may use: threads of a pass, and bytes of a GPU's memory (0: no GPU is used)."""

    threads: int = 1
    gpu_memory: int = 0


class Session:
    """A loaded graph; Failure where TensorFlow cannot load it."""

    def __init__(self, directory: Path, means: Means, tags: Collection[str] = (TAG,)) -> None:
        self._library = opened = library()
        graph = opened.TF_NewGraph()
        try:
            self._session: int | None = _load(directory, means, graph, sorted(tags))
        except Failure:
            opened.TF_DeleteGraph(graph)
            raise
        self._graph = graph
        self._delete = weakref.finalize(self, _delete, self._session, graph, os.getpid())
        self._delete.atexit = False

    def prepare(self, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]) -> Call:
        """A pass of these inputs to these outputs; KeyError names a tensor that the graph does not have."""
        return Call(self, [self._find(info) for info in inputs], [self._find(info) for info in outputs])

    def dtype(self, info: TensorInfo) -> int:
        """TensorFlow's DataType of a tensor in the graph; KeyError as above."""
        return self._find(info).dtype

    def _find(self, info: TensorInfo) -> End:
        assert self.handle
        name, _, index = info.tensor.partition(":")
        operation = self._library.TF_GraphOperationByName(self._graph, name.encode())
        number = int(index or 0) if (index or "0").isdecimal() else -1
        if not operation or not 0 <= number < self._library.TF_OperationNumOutputs(operation):
            raise KeyError(info.tensor)
        place = Output(operation, number)
        return End(place, self._library.TF_OperationOutputType(place) % tf_tensors.REFERENCE)

    @property
    def handle(self) -> int:
        """What the library knows it by; ServingError once it is closed."""
        if self._session is None:
            raise ServingError("the model was unloaded")
        return self._session

    def close(self) -> None:
        """Give back what it holds; no pass may be under way."""
        self._session = None
        self._delete()


class Call:
    """A prepared pass: the graph's ends are looked up, so that a pass is a few calls of the library."""

    def __init__(self, session: Session, feeds: Sequence[End], fetches: Sequence[End]) -> None:
        self._session = session
        self._library = library()
        self._feeds = (Output * len(feeds))(*(end.place for end in feeds))
        self._fetches = (Output * len(fetches))(*(end.place for end in fetches))
        self._inputs, self._outputs = tuple(end.dtype for end in feeds), tuple(end.dtype for end in fetches)
        self._run, self._code, self._delete = (
            self._library.TF_SessionRun,
            self._library.TF_GetCode,
            self._library.TF_DeleteTensor,
        )
        self._idle: list[_Frame] = []

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """One pass; Failure where TensorFlow refuses it."""
        opened, session = self._library, self._session.handle
        try:
            frame = self._idle.pop()
        except IndexError:
            frame = _Frame(opened, len(self._inputs), len(self._outputs))
        given, got, status = frame.given, frame.got, frame.status
        tensors: list[Any] = []
        try:
            for array, enum in zip(arrays, self._inputs, strict=True):
                tensors.append(tf_tensors.make(opened, array, enum))
            given[:] = tensors
            self._run(session, None, self._feeds, given, len(given), self._fetches, got, len(got), None, 0, None, status)
            results = list(got)
            tensors += results
            if self._code(status):
                check(opened, status)
            return [tf_tensors.read(opened, tensor, enum) for tensor, enum in zip(results, self._outputs, strict=True)]
        finally:
            for tensor in tensors:
                self._delete(tensor)
            self._idle.append(frame)


class _Frame:
    """What one pass at a time writes to: places for its tensors, and a status."""

    def __init__(self, opened: ctypes.CDLL, inputs: int, outputs: int) -> None:
        self.given = (ctypes.c_void_p * inputs)()
        self.got = (ctypes.c_void_p * outputs)()
        self.status = opened.TF_NewStatus()
        weakref.finalize(self, opened.TF_DeleteStatus, self.status).atexit = False


def _config(means: Means) -> bytes:
    protos()
    from tensorflow.core.protobuf import config_pb2

    # Inter-op threads below 0: in the thread that asks. Threads of the session's own (use_per_session_threads) would undo it.
    config = config_pb2.ConfigProto(intra_op_parallelism_threads=means.threads, inter_op_parallelism_threads=-1)
    if means.gpu_memory:  # a logical device of that size: what does not fit fails, and the device's other users do not notice
        config.allow_soft_placement = True
        virtual = config.gpu_options.experimental.virtual_devices.add()
        virtual.memory_limit_mb.append(means.gpu_memory >> 20)
    return bytes(config.SerializeToString())


def _load(directory: Path, means: Means, graph: int, tags: Sequence[str]) -> int:
    opened = library()
    config = _config(means)
    options = opened.TF_NewSessionOptions()
    try:
        with status(opened) as code:
            opened.TF_SetConfig(options, config, len(config), code)
            check(opened, code)
            names = (ctypes.c_char_p * len(tags))(*(tag.encode() for tag in tags))
            session: int = opened.TF_LoadSessionFromSavedModel(
                options, None, os.fsencode(directory), names, len(names), graph, None, code
            )
            check(opened, code)
            return session
    finally:
        opened.TF_DeleteSessionOptions(options)


def _delete(session: int, graph: int, process: int) -> None:
    """Free a session in the process that made it: its threads are not there in a fork of that."""
    if os.getpid() != process:
        return
    opened = library()
    code = opened.TF_NewStatus()
    opened.TF_CloseSession(session, code)
    opened.TF_DeleteSession(session, code)
    opened.TF_DeleteGraph(graph)
    opened.TF_DeleteStatus(code)
