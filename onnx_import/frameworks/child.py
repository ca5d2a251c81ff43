"""A process that exports one file: what the framework says goes to a log, and only a failure's last line reaches the user.

export_apart -> python -c START source target options -> main -> <framework>.from_file -> target.onnx -> ModelProto
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_import.errors import OnnxImportError
from onnx_import.frameworks.errors import ExportError
from onnx_import.frameworks.options import Options

if TYPE_CHECKING:
    import onnx

ROOT = Path(__file__).resolve().parents[2]
# -P keeps the working folder off the path: a user's own `torch.py` or `json.py` there is none of the exporter's business.
START = "import sys; sys.path.append(sys.argv.pop(1)); from onnx_import.frameworks.child import main; main(sys.argv[1:])"
MAX_PROTO = 2**31 - 2**20
"""Bytes that protobuf writes in one piece, less some room; the weights of larger models go beside the file."""

NOTE, ERROR = "note: ", "error: "
SHOWN = 2000


def export_apart(path: Path, title: str, options: Options) -> onnx.ModelProto:
    """A file's model, exported in a process of its own; what that one notes comes as a warning."""
    import onnx

    with tempfile.TemporaryDirectory(prefix="ei-export-") as folder:
        target = Path(folder) / "model.onnx"
        words = json.dumps({"opset": options.opset, "is_trusted": options.is_trusted})
        command = [sys.executable, "-P", "-c", START, str(ROOT), str(path), str(target), words]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
        for line in done.stderr.splitlines():
            if line.startswith(NOTE):
                warnings.warn(line.removeprefix(NOTE), stacklevel=3)
        if done.returncode:
            raise ExportError(_reason(done, f"{title} cannot export {path}"))
        return onnx.load(target)


def main(argv: Sequence[str]) -> None:
    """Export a file, in the child; exit 1 with one line that begins with `error: ` where that fails."""
    source, target, words = argv
    try:
        _export(Path(source), Path(target), Options(**json.loads(words)))
    except OnnxImportError as error:
        sys.exit(ERROR + str(error))
    except Exception as error:
        # One boundary: every framework and exporter has exceptions of its own.
        sys.exit(ERROR + told(error))


def note(text: str) -> None:
    """Something that the user should know of, from the child."""
    print(f"{NOTE}{' '.join(text.split())}", file=sys.stderr)


def told(error: BaseException) -> str:
    """An exporter's exception in one line, cut where it goes on and on."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:SHOWN]


def _export(source: Path, target: Path, options: Options) -> None:
    import onnx

    from onnx_import.frameworks.sources import recognise

    framework = recognise(source)
    assert framework is not None, "the parent has looked"
    module = importlib.import_module(f"onnx_import.frameworks.{framework.module}")
    model: Any = module.from_file(source, options)
    onnx.save(model, target, save_as_external_data=model.ByteSize() > MAX_PROTO, location="model.data")


def _reason(done: subprocess.CompletedProcess[str], what: str) -> str:
    """What the child said last."""
    if done.returncode < 0:
        return f"{what}: its process was ended by signal {-done.returncode}"
    _, found, text = done.stderr.rpartition(f"\n{ERROR}" if f"\n{ERROR}" in done.stderr else ERROR)
    return f"{what}: {text.strip() if found else done.stderr.strip()[-SHOWN:] or f'exit {done.returncode}'}"
