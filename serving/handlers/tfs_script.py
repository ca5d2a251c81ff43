"""A TensorFlow model's user script: found, imported and checked once at load, then run as AWS's container runs it.

    handler(data, context) -> (body, content_type)                    it asks TF Serving by itself, on this process' own ports
    input_handler(data, context) -> document for TF Serving           the document goes down the request line, over no network
    output_handler(response, context) -> (body, content_type)

`code/inference.py` in the model directory is the script of all models; `code/inference.py` in a model's own folder stands
before it [aws/sagemaker-tensorflow-serving-container python_service.py; aws/deep-learning-containers python_service.py].
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from serving.backends import tensorflow_import
from serving.errors import ModelError
from serving.handlers import script_file
from serving.handlers.script_file import DEFAULT_PROGRAM, ScriptFile

log = logging.getLogger("ei.script")

PARAMETERS = {
    "handler": ("data", "context"),
    "input_handler": ("data", "context"),
    "output_handler": ("response", "context"),
}
"""The functions of a script and their parameters, given by position."""
MISSING = "expected handler(data, context), or both input_handler(data, context) and output_handler(response, context)"
NAMES_GRPC = re.compile(rb"\b(?:channel|grpc\w*)\b")

UserFunction = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class TfsFunctions:
    """One script's functions: `handler` alone, or the other two."""

    path: Path
    handler: UserFunction | None = None
    input_handler: UserFunction | None = None
    output_handler: UserFunction | None = None
    uses_grpc: bool = False
    """Whether it may ask the models over gRPC."""


@dataclass(frozen=True)
class Scripts:
    """The scripts of a model directory: the one of all models, and those of single models by their names."""

    universal: TfsFunctions | None
    own: Mapping[str, TfsFunctions] = field(default_factory=dict)

    def of(self, model: str) -> TfsFunctions | None:
        """The script that a model's requests go through, its own before the universal one."""
        return self.own.get(model, self.universal)

    @property
    def all(self) -> tuple[TfsFunctions, ...]:
        """Every script."""
        return (*([self.universal] if self.universal else []), *self.own.values())


def load(directory: Path, program: str, submit_directory: str = "", models: Mapping[str, Path] | None = None) -> Scripts | None:
    """Import the scripts of a model directory, whose models lie in these folders; None where there is no script.

    ModelError, with file and line, where one cannot be imported, lacks a function or has one that cannot be called.
    """
    universal = _universal(directory, program, submit_directory)
    own = {name: found for name, folder in (models or {}).items() if (found := _own(folder, directory)) is not None}
    files = [*([universal] if universal else []), *own.values()]
    if not files:
        return None
    tensorflow_import.protos()  # a script that imports TF Serving's messages alone does not load TensorFlow with them
    folders = list(dict.fromkeys(file.folder for file in files if file.folder is not None))
    made = {file.path: _import(file, folders) for file in dict.fromkeys(files)}
    return Scripts(made[universal.path] if universal else None, {name: made[file.path] for name, file in own.items()})


def from_module(module: ModuleType, path: Path) -> TfsFunctions:
    """The checked functions of an imported script; all faults in one ModelError."""
    found = {name: getattr(module, name) for name in PARAMETERS if getattr(module, name, None) is not None}
    if "handler" in found:
        found = {"handler": found["handler"]}
    elif len(found) < 2:
        only = f"it has {next(iter(found))} alone" if found else "it has none of them"
        raise ModelError(f"the user script {path} cannot be used: {only}; {MISSING}")
    faults = [fault for name, function in found.items() if (fault := _fault(name, function, path))]
    if faults:
        raise ModelError("the user script cannot be used:\n" + "\n".join(f"  {fault}" for fault in faults))
    return TfsFunctions(path, **found)


def _universal(directory: Path, program: str, submit_directory: str) -> ScriptFile | None:
    """The script of all models: the program that is named, else `code/inference.py`, which AWS's container always takes."""
    try:
        return script_file.find(directory, program, submit_directory)
    except ModelError:
        found = script_file.find(directory, DEFAULT_PROGRAM, submit_directory)
        if found is None:
            raise
        log.warning("%s is not there; %s is the user script", program, found.path)
        return found


def _own(folder: Path, directory: Path) -> ScriptFile | None:
    """The script of one model: in the `code` beside its versions, or of a folder between that and the model directory."""
    for place in (folder, *folder.parents):
        if place == directory or not place.is_relative_to(directory):
            return None
        if (place / "code" / DEFAULT_PROGRAM).is_file():
            return ScriptFile(place / "code" / DEFAULT_PROGRAM, Path(DEFAULT_PROGRAM).stem, place / "code")
    return None


def _import(file: ScriptFile, folders: list[Path]) -> TfsFunctions:
    module = script_file.import_script(file, *folders)
    functions = replace(from_module(module, file.path), uses_grpc=_names_grpc(file))
    names = ", ".join(name for name in PARAMETERS if getattr(functions, name) is not None)
    log.info("user script %s: %s", file.path, names)
    return functions


def _names_grpc(file: ScriptFile) -> bool:
    """Whether a script, or a module beside it, may use the context's channel; code in `lib`, if any, is not read for it."""
    folder = file.path.parent if file.folder is None else file.folder
    if (folder / "lib").is_dir():
        return True
    return any(NAMES_GRPC.search(path.read_bytes()) for path in {file.path, *folder.rglob("*.py")} if path.is_file())


def _fault(name: str, function: Any, path: Path) -> str:
    """`FILE:LINE: what is wrong` of a function that cannot be called as it will be; empty where it can."""
    wanted = f"{name}({', '.join(PARAMETERS[name])})"
    if not callable(function):
        return f"{path}: {name} is a {type(function).__name__}; expected the function {wanted}"
    code = getattr(inspect.unwrap(function), "__code__", None)
    at = f"{code.co_filename}:{code.co_firstlineno}" if code is not None else str(path)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return f"{at}: {name} is an async function, which nothing awaits; expected a plain one, {wanted}"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature: called as it is documented
        return ""
    try:
        signature.bind(None, None)
    except TypeError:
        return f"{at}: {name}{signature} cannot be called with two arguments; expected {wanted}"
    return ""
