"""Pickled models, of whatever framework: the object in the file says which. Unpickling runs code, so the caller has to allow it."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

from onnx_import.frameworks import child, sources
from onnx_import.frameworks.errors import ExportError, UnknownSource
from onnx_import.frameworks.options import Options


def from_file(path: Path, options: Options) -> Any:
    """A pickle's or joblib file's model."""
    if not options.is_trusted:
        raise AssertionError("the parent refuses pickles that nobody trusts")
    model = load(path)
    framework = sources.owner(model)
    if framework is None:
        raise UnknownSource(f"{path.name}, an object of {type(model).__module__}.{type(model).__qualname__},", sources.KNOWN)
    framework.require()
    return importlib.import_module(f"onnx_import.frameworks.{framework.module}").from_object(model, options)


def load(path: Path) -> Any:
    """The object in a file of pickle or joblib, which reads both; another release's writing is noted."""
    import joblib

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            model = joblib.load(path)
        except ModuleNotFoundError as error:
            raise ExportError(f"{path.name} needs the module {error.name}, which is not installed here") from error
    for message in {str(warning.message) for warning in heard if warning.category.__name__ == "InconsistentVersionWarning"}:
        child.note(message)
    return model
