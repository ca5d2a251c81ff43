"""What lies in a model directory: `detect` finds the files to load, or says what was expected and what was found.

    directory -> (its only subfolder) -> script? -> symbol + params -> whole? -> Layout

A `Layout` names files that were seen to be readable and whole, so that nothing after it has to doubt them. The first
`*-symbol.json` with its `*-NNNN.params` counts whatever its prefix: `model`, a Gluon export's, `image-classification`.
"""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serving.errors import ModelError
from serving.models import params_file

log = logging.getLogger("ei.models")

SYMBOL = "-symbol.json"
REPORT = "conversion.json"
"""Beside a symbol that `ei convert` wrote: what it was made of, and how it is to be run."""
PARAMS = re.compile(r"^(?P<prefix>.+)-(?P<epoch>\d{4,})\.params$")
ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")
CLUTTER = {"__MACOSX", "lost+found", "__pycache__"}
MAX_DEPTH = 4
"""Subfolders followed while each holds nothing but the next: archives are packed with their folder, or two."""

EXPECTED = (
    "model-symbol.json with model-0000.params (any prefix, any epoch; model-shapes.json beside them is optional), "
    "[NAME/]1/saved_model.pb (any number), or code/inference.py"
)


@dataclass(frozen=True)
class Layout:
    """The files of a model. `framework` is "mxnet", or "script" where the user script alone knows how to load it.

    `prefix` and `epoch` are those of MXNet's checkpoint names; `code` is the code folder, `script` the user script.
    """

    directory: Path
    framework: str
    prefix: str = ""
    symbol: Path | None = None
    params: Path | None = None
    epoch: int = 0
    shapes: Path | None = None
    code: Path | None = None
    script: Path | None = None


def is_converted(layout: Layout) -> bool:
    """Whether a model directory holds an artifact of `ei convert`."""
    return (layout.directory / REPORT).is_file()


def detect(directory: Path, program: str = "inference.py", submit_directory: str = "") -> Layout:
    """The layout of this directory; ModelError, in one message, where there is nothing whole to load.

    With a user script nothing else is needed: its `model_fn` may load what this server does not know.
    """
    directory, names = _contents(directory)
    code = directory / "code" if (directory / "code").is_dir() else None
    script = _script(directory, program, submit_directory)
    try:
        prefix = _prefix(directory, names)
    except ModelError:
        if script is None:
            raise
        log.info("%s: which of several models is served is left to %s", directory, script.name)
        prefix = ""
    if not prefix:
        if script is None:
            raise _nothing(directory, names)
        return Layout(directory, "script", code=code, script=script)
    epoch, params = _params(directory, prefix, names)
    symbol = directory / f"{prefix}{SYMBOL}"
    check_symbol(symbol)
    check_params(params)
    shapes = next((directory / name for name in (f"{prefix}-shapes.json", "model-shapes.json") if name in names), None)
    return Layout(directory, "mxnet", prefix, symbol, params, epoch, shapes, code, script)


def entries(directory: Path) -> list[str]:
    """The names in a directory, sorted, without hidden files, archives and what file managers leave; ModelError if unreadable."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        raise ModelError(
            f"the model directory {directory} does not exist: mount or unpack a model there, or name another by --model"
        ) from None
    except NotADirectoryError:
        raise ModelError(f"{directory} is a file: expected a model directory, holding {EXPECTED}") from None
    except OSError as error:
        raise denied(directory, error) from None
    return [name for name in names if not name.startswith(".") and name not in CLUTTER and not name.endswith(ARCHIVES)]


def denied(path: Path, error: OSError) -> ModelError:
    """What to say of a path that this process may not read: its mode and owner, our uid, and the remedy."""
    try:
        status = path.stat()
        owner = f"its mode is {status.st_mode & 0o7777:04o} and its owner uid {status.st_uid}"
    except OSError:
        owner = f"a folder above it is closed to uid {os.geteuid()}"
    remedy = "open it (chmod -R a+rX), or run as its owner (docker run --user)"
    return ModelError(f"{path} cannot be read by uid {os.geteuid()}: {error.strerror or error}; {owner}; {remedy}")


def check_symbol(path: Path) -> None:
    """ModelError unless the file is JSON with an MXNet graph's nodes and heads."""
    try:
        graph = json.loads(path.read_bytes())
    except OSError as error:
        raise denied(path, error) from None
    except ValueError as error:
        raise _broken(path, f"it is not whole JSON ({error})" if path.stat().st_size else "it is empty (0 bytes)") from None
    if not isinstance(graph, dict) or not isinstance(graph.get("nodes"), list) or not isinstance(graph.get("heads"), list):
        raise _broken(path, "it is JSON, but not an MXNet symbol: expected `nodes` and `heads`")


def check_params(path: Path) -> None:
    """ModelError unless the file is a complete MXNet parameter file."""
    try:
        params_file.index(path)
    except OSError as error:
        raise denied(path, error) from None
    except params_file.Broken as error:
        raise _broken(path, str(error)) from None


def _broken(path: Path, fault: str) -> ModelError:
    return ModelError(f"{path} cannot be used: {fault}; was it copied or unpacked to its end?")


def _contents(directory: Path) -> tuple[Path, list[str]]:
    """The directory that holds the model, and its names: an archive packed with its own folder is entered."""
    for _ in range(MAX_DEPTH):
        names = entries(directory)
        inner = directory / names[0] if len(names) == 1 else directory
        if len(names) != 1 or names == ["code"] or not inner.is_dir():
            return directory, names
        directory = inner
    return directory, entries(directory)


def _script(directory: Path, program: str, submit_directory: str) -> Path | None:
    """The user script, in the model's code folder or the submit directory; a missing `.py` is added."""
    name = program if program.endswith(".py") else f"{program.replace('.', '/')}.py"
    folders = [directory / "code", *([directory / submit_directory] if submit_directory else [])]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _prefix(directory: Path, names: list[str]) -> str:
    """The prefix of the model's files, empty where there are none; ModelError where there are several, or half a model."""
    symbols = {name.removesuffix(SYMBOL) for name in names if name.endswith(SYMBOL)}
    trained = {match["prefix"] for name in names if (match := PARAMS.match(name))}
    whole = symbols & trained
    if "model" in whole:
        return "model"
    if len(whole) > 1:
        raise ModelError(
            f"{directory} holds several models, {_listed(whole)}: name the one to serve model{SYMBOL} and model-0000.params"
        )
    if whole:
        return whole.pop()
    if symbols or trained:
        found = f"symbols of {_listed(symbols)}" if symbols else f"parameters of {_listed(trained)}"
        missing = f"parameters of {_listed(trained)}" if symbols and trained else f"no {'.params' if symbols else SYMBOL} file"
        raise ModelError(f"{directory} holds half a model: {found}, but {missing}; expected {EXPECTED}")
    return ""


def _params(directory: Path, prefix: str, names: list[str]) -> tuple[int, Path]:
    """The newest epoch's parameters; which one is said in the log where there are several."""
    found = {int(match["epoch"]): name for name in names if (match := PARAMS.match(name)) and match["prefix"] == prefix}
    epoch = max(found)
    if len(found) > 1:
        log.info("%s: of the epochs %s the newest, %d, is served", directory, sorted(found), epoch)
    return epoch, directory / found[epoch]


def _nothing(directory: Path, names: list[str]) -> ModelError:
    """Why a directory without MXNet files and without a script cannot be served."""
    if not names:
        return ModelError(
            f"{directory} holds no model: it is empty, or holds only archives and hidden files; expected {EXPECTED}"
        )
    foreign = _foreign(directory, names)
    found = _listed(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    return ModelError(f"{directory} holds no model that can be served{foreign}: expected {EXPECTED}; found {found}")


def _foreign(directory: Path, names: list[str]) -> str:
    """What another framework's files ask for."""
    if any((folder / "saved_model.pb").is_file() for folder in (directory, *(directory / name for name in names))):
        return " (a TensorFlow SavedModel whose folder is no version: give it a number for a name, as in NAME/1)"
    if any(name.endswith(".onnx") for name in names):
        name = next(name for name in names if name.endswith(".onnx"))
        return f" (an ONNX model: `ei convert {name} FOLDER` makes a model directory of it)"
    if any(name.endswith(".params") for name in names):
        return " (Gluon parameters without a graph; export the network, or add a user script whose model_fn builds it)"
    return ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
