"""The files of a TensorFlow artifact: the names that they may have, and the graph that is in them, read and not run."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.accelerators.artifact import GRAPH_DEF, SAVED_MODEL
from serving.accelerators.engines import tensorflow_check
from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends import tensorflow_import
from serving.backends.tf_signatures import TAG
from serving.models.saved_models import FILE

NAMES = re.compile(
    r"saved_model\.pb|fingerprint\.pb|keras_metadata\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})|assets(\.extra)?/.+"
)
"""What a SavedModel's folder holds. There are other names that TensorFlow would prefer to saved_model.pb, so none but these are let in."""
MAX_ENDS = 1024


@dataclass(frozen=True)
class Ends:
    """The tensors that an artifact's options name: alias -> tensor."""

    inputs: dict[str, str]
    outputs: dict[str, str]


def check(config: Config) -> None:
    """INVALID_ARGUMENT where the files are no model, or one that does more than compute. Nothing of them is run."""
    path = place(config)
    named = ends(config)
    if path.is_file():
        if named is None:
            raise _invalid("a frozen graph has no signatures: name its inputs and outputs")
        graph = read(path, "GraphDef")
        tensorflow_check.check_graph(graph, [*named.inputs.values(), *named.outputs.values()])
        return
    wanted, found = set(tags(config)), []
    for meta in read(path / FILE, "SavedModel").meta_graphs:
        found.append("+".join(sorted(meta.meta_info_def.tags)) or "none")
        if set(meta.meta_info_def.tags) == wanted:
            tensorflow_check.check_meta_graph(meta)
            if named is not None:
                tensorflow_check.check_graph(meta.graph_def, [*named.inputs.values(), *named.outputs.values()])
            wanted.clear()
    if wanted:
        raise _invalid(
            f"the model has no graph with the tags {'+'.join(sorted(wanted))[:80]}: it has {', '.join(found)[:200] or 'none'}"
        )


def place(config: Config) -> Path:
    """Where the SavedModel's folder, or the frozen graph's file, lies; INVALID_ARGUMENT where there is none, or more beside it."""
    folder, graph = config.folder / SAVED_MODEL, config.folder / GRAPH_DEF
    names = [path.relative_to(config.folder).as_posix() for path in config.folder.rglob("*") if not path.is_dir()]
    if names == [GRAPH_DEF] and not graph.is_symlink():
        return graph
    strange = [name for name in names if not (name.startswith(SAVED_MODEL) and NAMES.fullmatch(name.removeprefix(SAVED_MODEL)))]
    if strange or any(path.is_symlink() for path in config.folder.rglob("*")):
        raise _invalid(f"{(strange or ['a link'])[0][:120]!r} is no file of a SavedModel, nor is it {GRAPH_DEF}")
    if not (folder / FILE).is_file():
        raise _invalid(f"there is neither {SAVED_MODEL}{FILE} nor {GRAPH_DEF}")
    return folder


def ends(config: Config) -> Ends | None:
    """The tensors that the options name; None where they name a signature."""
    if not (config.option("inputs") or config.option("outputs")):
        return None
    return Ends(_names(config.option("inputs")), _names(config.option("outputs")))


def tags(config: Config) -> tuple[str, ...]:
    """The tags of the graph that is asked for."""
    try:
        found = json.loads(config.option("tags") or json.dumps([TAG]))
    except ValueError:
        found = None
    if not isinstance(found, list) or not found or not all(isinstance(tag, str) for tag in found):
        raise _invalid("the option `tags` is a JSON list of strings")
    return tuple(found)


def read(path: Path, kind: str) -> Any:
    """A SavedModel or a GraphDef; INVALID_ARGUMENT where the bytes are none."""
    tensorflow_import.protos()
    from google.protobuf.message import DecodeError
    from tensorflow.core.framework import graph_pb2
    from tensorflow.core.protobuf import saved_model_pb2

    message = {"SavedModel": saved_model_pb2.SavedModel, "GraphDef": graph_pb2.GraphDef}[kind]
    try:
        return message.FromString(path.read_bytes())
    except DecodeError:
        raise _invalid(f"{path.name} is no {kind}: was it sent to its end?") from None


@contextmanager
def as_saved_model(graph: Path) -> Iterator[Path]:
    """A folder that holds a frozen graph as a SavedModel without signatures, until it is loaded."""
    tensorflow_import.protos()
    from tensorflow.core.protobuf import meta_graph_pb2

    info = meta_graph_pb2.MetaGraphDef.MetaInfoDef(tags=[TAG])
    with (
        tempfile.TemporaryDirectory(prefix="ei-graph-") as folder,
        (Path(folder) / FILE).open("wb") as file,
        graph.open("rb") as data,
    ):
        size = graph.stat().st_size
        meta = meta_graph_pb2.MetaGraphDef(meta_info_def=info).SerializeToString() + b"\x12" + _varint(size)
        file.write(
            b"\x08\x01\x12" + _varint(len(meta) + size) + meta
        )  # version 1, then the only meta graph, which the graph ends
        while piece := data.read(1 << 24):
            file.write(piece)
        file.flush()
        yield Path(folder)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _names(text: str) -> dict[str, str]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if (
        not isinstance(found, dict)
        or not 0 < len(found) <= MAX_ENDS
        or not all(isinstance(name, str) for name in found.values())
    ):
        raise _invalid('the options `inputs` and `outputs` are JSON objects, {"alias": "tensor:0"}, and come together')
    return found


def _invalid(why: str) -> AcceleratorError:
    return AcceleratorError(Code.INVALID_ARGUMENT, why)
