"""Where a user script lies, and its import as a module.

    model directory, SAGEMAKER_PROGRAM, SAGEMAKER_SUBMIT_DIRECTORY -> file -> module

A script's folder, and `lib` beside it before that, are put at the front of `sys.path`, as the containers of old did. A second
load in the same process (another model, a changed file) drops what the first one imported from its folder.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import linecache
import logging
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from serving.errors import ModelError

log = logging.getLogger("ei.script")

DEFAULT_PROGRAM = "inference.py"
_OURS = Path(__file__).parents[1]
_folders: list[Path] = []


@dataclass(frozen=True)
class ScriptFile:
    """A script: its file, the name it is imported by, and the folder that name starts from (None for an installed module)."""

    path: Path
    name: str
    folder: Path | None


def find(directory: Path, program: str, submit_directory: str = "") -> ScriptFile | None:
    """The script of a model directory, or None where there is none; ModelError where one was named and is not there.

    Looked for in `code/`, in the submit directory (absolute, or inside the model directory) and beside the model, with or
    without `.py`, as a dotted module, and last among the installed modules.
    """
    program = program or DEFAULT_PROGRAM
    folders = _places(directory, submit_directory)
    for folder in folders:
        for name in _file_names(program):
            if (folder / name).is_file():
                parts = Path(name).with_suffix("").parts
                return ScriptFile(folder / name, ".".join(part for part in parts if part != "__init__"), folder)
    if program in (DEFAULT_PROGRAM, DEFAULT_PROGRAM.removesuffix(".py")):
        return None
    installed = _installed(program)
    if installed is None:
        looked = ", ".join(str(folder) for folder in folders)
        remote = (
            f" ({submit_directory} is not fetched: put the script into the model's code/)"
            if "s3://" in submit_directory
            else ""
        )
        raise ModelError(f"the user script {program} (SAGEMAKER_PROGRAM) was not found in {looked}{remote}")
    return installed


def defined(path: Path) -> set[str]:
    """Names of the functions that stand at the top of a script, found without running it; none where it is no Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return set()  # the import says what is wrong
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def import_script(script: ScriptFile, *others: Path) -> ModuleType:
    """Import a script, fresh; ModelError with file and line for whatever it raises, sys.exit included.

    `others` are folders that go on `sys.path` behind the script's own.
    """
    expose(*([script.folder] if script.folder is not None else []), *others)
    try:
        if script.folder is None or "." in script.name:
            return importlib.import_module(script.name)
        return _import_file(script.path, script.name)
    except BaseException as error:
        log.error("the import of %s failed", script.path, exc_info=error)
        raise ModelError(f"{place(error, script.path)}: {describe(error)}") from error


def expose(*folders: Path) -> None:
    """Put folders on `sys.path`, `lib` before each, and forget what earlier scripts imported from theirs."""
    _forget()
    _folders[:] = dict.fromkeys(folders)
    wanted = [str(path) for folder in _folders for path in (folder / "lib", folder) if path.is_dir()]
    sys.path[:0] = [path for path in wanted if path not in sys.path]
    importlib.invalidate_caches()
    linecache.checkcache()


def place(error: BaseException, path: Path) -> str:
    """`FILE:LINE`, the innermost line of the script's own folder that an exception came through."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(path.parent)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(path)


def describe(error: BaseException) -> str:
    """An exception in one line, without the stack trace that MXNet puts into its messages."""
    if isinstance(error, SystemExit):
        return f"sys.exit({error.code!r}) was called"
    text = str(error)
    if type(error).__name__ == "MXNetError":
        from serving.backends import mxnet as backend

        text = backend.first_line(error)
    text = text.partition("\nTraceback (most recent call last)")[0].strip()[:1000]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _places(directory: Path, submit_directory: str) -> list[Path]:
    submit = submit_directory.removeprefix("file://")
    named = [directory / submit] if submit and "://" not in submit else []  # an absolute path stays what it is
    return list(dict.fromkeys([directory / "code", *named, directory]))


def _file_names(program: str) -> list[str]:
    if program.endswith(".py"):
        return [program]
    dotted = program.replace(".", "/")
    return [f"{program}.py", f"{dotted}.py", f"{dotted}/__init__.py"]


def _installed(program: str) -> ScriptFile | None:
    name = program.removesuffix(".py").replace("/", ".")
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not (spec.origin or "").endswith(".py"):
        return None
    return ScriptFile(Path(spec.origin or ""), name, None)


def _import_file(path: Path, name: str) -> ModuleType:
    # A script called `serving.py` or `json.py` must not take the place of a module that is already in use.
    name = name if name not in sys.modules else f"user_script_{name}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _forget() -> None:
    """Drop the modules of earlier scripts' folders; packages in `lib` and site-packages stay, since C code loads once."""
    for folder in _folders:
        for name, module in list(sys.modules.items()):
            origin = getattr(module, "__file__", None)
            if origin and _is_script_code(Path(origin), folder):
                del sys.modules[name]
        gone = {str(folder), str(folder / "lib")}
        sys.path[:] = [path for path in sys.path if path not in gone]


def _is_script_code(origin: Path, folder: Path) -> bool:
    if not origin.is_relative_to(folder) or origin.is_relative_to(_OURS):
        return False
    parts = origin.relative_to(folder).parts
    return parts[0] != "lib" and "site-packages" not in parts
