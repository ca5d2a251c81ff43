"""External data of a model file: found in the file's own folder or refused, then mapped, or copied where it is small."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

import onnx
from onnx import TensorProto

from onnx_import import weights
from onnx_import.errors import InvalidModel
from onnx_import.outline import LARGE, TOKEN, Span

MAX_COPIED = 1 << 31
"""Bytes of external data, in all, that are copied into a model: those of small tensors and of graphs inside nodes."""


def attach(model: onnx.ModelProto, folder: Path) -> None:
    """Map or copy the bytes of every external tensor; InvalidModel names the tensor whose bytes cannot be had."""
    copied = 0
    for tensor, may_stay in _tensors(model):
        if not weights.is_external(tensor):
            continue
        path, start, size = _place(tensor, folder)
        weights.place(tensor, path, start, size)
        if size < LARGE or not may_stay:
            copied += size
            if copied > MAX_COPIED:
                raise InvalidModel(f"tensor {tensor.name!r}: more than {MAX_COPIED} bytes of external data inside nodes")
            weights.embed(tensor)


def restore(model: onnx.ModelProto, path: Path, spans: Mapping[bytes, Span]) -> None:
    """Map or copy the large weights that `outline` left in the model's own file."""
    for tensor, may_stay in _tensors(model):
        span = spans.get(tensor.raw_data) if len(tensor.raw_data) == TOKEN else None
        if span is None:
            continue
        if span[1] != weights.byte_size(tensor):
            raise weights.misfit(f"tensor {tensor.name!r}", tensor, span[1])
        weights.place(tensor, path.absolute(), *span)
        if not may_stay:
            weights.embed(tensor)


def refuse(model: onnx.ModelProto) -> None:
    """InvalidModel where a model that came without a file has external data."""
    for tensor, _ in _tensors(model):
        if weights.is_external(tensor):
            raise InvalidModel(
                f"tensor {tensor.name!r} has external data: give the model as a file, not as a proto or as bytes"
            )


def _tensors(model: onnx.ModelProto) -> Iterator[tuple[TensorProto, bool]]:
    """Every tensor, and whether it may stay in its file: what `weights.detach` takes out."""
    yield from ((tensor, True) for tensor in model.graph.initializer)
    yield from ((tensor, False) for graph in weights.inner_graphs(model) for tensor in graph.initializer)
    for graph in (model.graph, *weights.inner_graphs(model)):
        yield from ((tensor, False) for sparse in graph.sparse_initializer for tensor in (sparse.values, sparse.indices))
    for node in model.graph.node:
        is_constant = weights.constant(node) is not None
        yield from ((tensor, is_constant) for attribute in node.attribute for tensor in weights.of_attribute(attribute))
    for node in weights.inner_nodes(model):
        yield from ((tensor, False) for attribute in node.attribute for tensor in weights.of_attribute(attribute))


def _place(tensor: TensorProto, folder: Path) -> tuple[Path, int, int]:
    """The file of an external tensor, its first byte in it and its size."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    path = _file(tensor.name, entries.get("location", ""), folder)
    whole = path.stat().st_size
    start, size = _count(tensor.name, entries.get("offset", "0")), weights.byte_size(tensor)
    given = _count(tensor.name, entries.get("length", str(size)))
    if given != size:
        raise weights.misfit(f"tensor {tensor.name!r}, with external data,", tensor, given)
    if start + size > whole:
        raise InvalidModel(
            f"tensor {tensor.name!r} is bytes {start} to {start + size} of its external data, but {path.name} has {whole}"
        )
    return path, start, size


def _count(name: str, text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InvalidModel(f"tensor {name!r}: its external data has the offset or length {text[:40]!r}")
    return int(text)


def _file(name: str, location: str, folder: Path) -> Path:
    """The regular file below the model's folder that a location names, links followed."""
    ways = (PurePosixPath(location), PureWindowsPath(location))
    if not location or "\0" in location or any(way.is_absolute() or way.drive or ".." in way.parts for way in ways):
        raise InvalidModel(f"tensor {name!r}: its external data {location[:200]!r} is not a file below the model's folder")
    root = Path(os.path.realpath(folder))
    path = Path(os.path.realpath(root / location))
    if not path.is_relative_to(root):
        raise InvalidModel(
            f"tensor {name!r}: its external data {location!r} leads out of the model's folder; copy the file there"
        )
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InvalidModel(f"tensor {name!r}: its external data {location[:200]!r} is missing ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise InvalidModel(f"tensor {name!r}: its external data {location!r} is no regular file")
    return path
