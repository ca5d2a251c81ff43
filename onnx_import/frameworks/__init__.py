"""From another framework's model to ONNX, by that framework's own maintained exporter.

    file or folder -> sources.recognise -> a process of its own: child -> <framework>.from_file   } -> onnx.ModelProto
    object         -> sources.owner     -> in this process:               <framework>.from_object }

A file is exported in a process of its own: frameworks are large and noisy, some do not share a process with MXNet, and what
they take of memory is given back before the conversion begins. None of them is imported until a model of its kind comes.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnx_import.frameworks import child, sources
from onnx_import.frameworks.errors import ExportError, UnknownSource, UntrustedSource
from onnx_import.frameworks.options import Options
from onnx_import.frameworks.sources import KNOWN, recognise

if TYPE_CHECKING:
    import onnx

__all__ = ["export", "is_foreign", "recognise"]


def is_foreign(path: Path) -> bool:
    """Whether a path is another framework's, to be exported before it is converted."""
    return path.suffix.lower() in sources.HINTS or (path.exists() and recognise(path) is not None)


def export(source: Any, *, opset: int | None = None, trust: bool = False, example: Any = None) -> onnx.ModelProto:
    """The model of a path, or a framework's object, as ONNX.

    trust: loading a pickle runs the code in it; without this, one is refused.
    example: for an object, an input or a tuple of inputs: PyTorch traces with it, scikit-learn takes types from it.
    """
    options = Options(opset, trust, example)
    if not isinstance(source, (str, os.PathLike)):
        return _of_object(source, options)
    path = Path(source)
    if not path.exists():
        raise ExportError(f"{path} does not exist")
    framework = recognise(path)
    if framework is None:
        hint = sources.HINTS.get(path.suffix.lower())
        raise ExportError(f"{path.name} cannot be exported here: {hint}") if hint else UnknownSource(str(path), KNOWN)
    framework.require()
    if framework is sources.PICKLE and not trust:
        raise UntrustedSource(path.name, "is a pickle: loading it runs whatever code it holds")
    return child.export_apart(path, framework.title, options)


def _of_object(model: Any, options: Options) -> onnx.ModelProto:
    """Whatever an exporter raises becomes one error: each has exceptions of its own, and many."""
    framework = sources.owner(model)
    if framework is None:
        raise UnknownSource(f"an object of {type(model).__module__}.{type(model).__qualname__}", KNOWN)
    framework.require()
    module = importlib.import_module(f"onnx_import.frameworks.{framework.module}")
    try:
        exported: onnx.ModelProto = module.from_object(model, options)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{framework.title} cannot export this model: {child.told(error)}") from error
    return exported
