"""A model file -> a ModelProto that holds what ONNX promises, or one InvalidModel that names the node or tensor.

    path -> outline -> parsed -> external data -> checks -> onnx's checker -> ModelProto

Memory is bounded by the file: large weights stay in it (`weights`), and no size that it states is believed before it is compared.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
from functools import cache
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError

from onnx_import import checks, external, outline, schemas, weights
from onnx_import.errors import InvalidModel

Source = str | os.PathLike[str] | bytes | onnx.ModelProto

_REMEDY = "export the model for an older one, or upgrade onnx"

_OTHERS = (
    (0, b"PK\x03\x04", "a zip archive (of PyTorch or Keras?)"),
    (0, b"\x89HDF", "an HDF5 file (of Keras?)"),
    (0, b"\x80\x02", "a Python pickle (of PyTorch?)"),
    (4, b"TFL3", "a TFLite model"),
    (4, b"ORTM", "a model in onnxruntime's own format"),
    (0, b"\x1f\x8b", "a gzip file: unpack it first"),
    (0, b"version https://git-lfs", "a pointer of git lfs: fetch the file itself"),
    (0, b"<", "a web page or XML"),
    (0, b"{", "JSON"),
)


def load(source: Source, *, mapped: bool = False, allow_nan: bool = False) -> onnx.ModelProto:
    """The checked model of a path, of bytes, or of a proto.

    `mapped` leaves large weights of a path in its file; `weights.array` and `reader.read` know how to get at them.
    """
    faults = _own_faults()
    if faults:
        raise RuntimeError("converters disagree with ONNX's schemas:\n" + "\n".join(faults))
    where = "" if isinstance(source, (bytes, onnx.ModelProto)) else f"{os.fspath(source)}: "
    try:
        model = _checked(_read(source), allow_nan)
    except InvalidModel as error:
        raise InvalidModel(where + _line(error)) from None
    except UnicodeDecodeError as error:  # protobuf reads a name only when it is asked for
        raise InvalidModel(f"{where}the name {error.object[:80]!r} is not UTF-8") from None
    return model if mapped else weights.whole(model)


@cache
def _own_faults() -> list[str]:
    return schemas.check()


def _read(source: Source) -> onnx.ModelProto:
    """A model before any check of its content, with all its data at hand."""
    if isinstance(source, (bytes, onnx.ModelProto)):
        model = source if isinstance(source, onnx.ModelProto) else _parsed(source, memoryview(source))
        checks.depth(model)
        checks.texts(model)
        external.refuse(model)
        return model
    return _of_file(Path(source))


def _of_file(path: Path) -> onnx.ModelProto:
    """The model of a file, its large weights mapped and the external ones found."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidModel("not a file")
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise InvalidModel("the file is empty") from None
    except OSError as error:
        raise InvalidModel(error.strerror or "cannot be read") from None
    with memoryview(data) as view:
        try:
            text, spans = outline.outline(view)
        except outline.Damaged as error:
            raise _no_model(view, str(error)) from None
        model = _parsed(text, view)
    checks.depth(model)
    checks.texts(model)
    external.attach(model, path.parent)
    external.restore(model, path, spans)
    return model


def _parsed(text: bytes, data: memoryview) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(text)
    except DecodeError as error:
        raise _no_model(data, str(error)) from None
    if not model.HasField("graph"):
        raise _no_model(data, "it holds no graph")
    return model


def _no_model(data: memoryview, reason: str) -> InvalidModel:
    """Why bytes are no ONNX model, in words for who chose the file."""
    for at, mark, kind in _OTHERS:
        if bytes(data[at : at + len(mark)]) == mark:
            return InvalidModel(f"not ONNX but {kind}")
    level = outline.depth(data)
    if level > checks.MAX_DEPTH:
        return checks.too_deep(level)
    return InvalidModel(f"not an ONNX model, or one that is cut off or damaged ({reason})")


def _checked(model: onnx.ModelProto, allow_nan: bool) -> onnx.ModelProto:
    _name_domain(model)
    _versions(model)
    checks.functions(model)
    checks.names(model.graph)
    checks.tensors(model, allow_nan)
    bare, _ = weights.detach(model)
    for node in (*bare.graph.node, *weights.inner_nodes(bare)):
        node.name = node.name or next(iter(node.output), "")  # the checker names nodes by their names alone
    # Old exporters state IR 3 and leave initializers out of the inputs, which IR 4 allows; nothing else is different.
    bare.ir_version = 4 if bare.ir_version == 3 else bare.ir_version
    try:
        onnx.checker.check_model(bare.SerializeToString(), skip_opset_compatibility_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise InvalidModel(_line(error)) from None
    if not model.opset_import:  # before IR 3 there was one opset, and no place to state it
        for each in (model, bare):
            each.ir_version = max(each.ir_version, 3)
            each.opset_import.add(version=1)
    _types(bare)
    return model


def _name_domain(model: onnx.ModelProto) -> None:
    """Spell ONNX's own domain in the one way that onnx's checker knows."""
    named: list[Any] = [*model.opset_import, *model.functions, *model.graph.node, *weights.inner_nodes(model)]
    named += [entry for function in model.functions for entry in function.opset_import]
    for each in named:
        if each.domain == "ai.onnx":
            each.domain = ""


def _versions(model: onnx.ModelProto) -> None:
    """Neither the format nor an operator set is newer than what the installed onnx knows."""
    if model.ir_version > onnx.IR_VERSION:
        raise InvalidModel(
            f"IR version {model.ir_version} is newer than {onnx.IR_VERSION}, the newest that onnx {onnx.__version__} knows; {_REMEDY}"
        )
    known = _newest()
    for entry in model.opset_import:
        newest = known.get(entry.domain)
        if newest is not None and not 1 <= entry.version <= newest:
            raise InvalidModel(
                f"opset {entry.version} of {entry.domain or 'ai.onnx'} is not among 1 to {newest}, which onnx {onnx.__version__} knows; {_REMEDY}"
            )


@cache
def _newest() -> dict[str, int]:
    found: dict[str, int] = {"": onnx.defs.onnx_opset_version()}
    for schema in onnx.defs.get_all_schemas_with_history():
        found[schema.domain] = max(found.get(schema.domain, 1), schema.since_version)
    return found


_TYPE_FAULT = re.compile(r"inconsistent type|unsupported type|elem type differs")


def _types(bare: onnx.ModelProto) -> None:
    """Operators get the element types that they take. Shapes are left to the trace: files often state them loosely."""
    try:
        onnx.shape_inference.infer_shapes(bare, check_type=True, strict_mode=True)
    except onnx.shape_inference.InferenceError as error:
        faults = [line for line in str(error).splitlines() if _TYPE_FAULT.search(line)]
        if faults:
            raise InvalidModel(_line(faults[0])) from None
    except (RuntimeError, ValueError, onnx.checker.ValidationError):
        return  # what inference cannot follow, the trace will


def _line(error: Any) -> str:
    """What onnx's C++ says, in one line."""
    text = re.sub(r"\[\w+Error\] |Inference error\(s\): |==> Context: ", "", str(error))
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ?Bad node spec for node\. Name: (.*) OpType: (\w*)$", r": node '\1' (\2)", text)[:500]
