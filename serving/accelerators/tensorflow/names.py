"""The names of Elastic Inference's TensorFlow builds and of its service in boto3, for scripts that import them.

    tensorflow.contrib.ei...     modules of ours in `sys.modules`: TensorFlow 2 has no `contrib`, and is not imported for it
    boto3.client("elastic-inference")     answered from this process' environment, where botocore does not know the service

`ei_for_tf` is a package of `serving.toolkit`. A genuine build wins where it is installed.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

CONTRIB = "tensorflow.contrib"
MODULES = {
    f"{CONTRIB}.ei.python.predictor.ei_predictor": "serving.accelerators.tensorflow.predictor",
    f"{CONTRIB}.ei.python.keras.ei_keras": "serving.accelerators.tensorflow.keras",
}
"""Module -> where what it offers is."""
SESSION = "boto3.session"
SERVICE = "elastic-inference"


class _Offers(ModuleType):
    """A module that takes its names from another one, when they are asked for."""

    def __init__(self, name: str, source: str) -> None:
        super().__init__(name, "Elastic Inference's module, on accelerators of today.")
        self._source = source

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(self._source), name)


def install() -> None:
    """Make the names importable; nothing heavy is imported before they are used."""
    if CONTRIB not in sys.modules and not _is_genuine():
        for name, source in MODULES.items():
            _register(name, _Offers(name, source))
    if SESSION in sys.modules:
        _answer(sys.modules[SESSION])
    elif not any(isinstance(finder, _Boto3) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Boto3())


def _is_genuine() -> bool:
    """Whether the TensorFlow that would be imported is Elastic Inference's own, of the days of TF1."""
    return any(Path(entry, *CONTRIB.split("."), "ei").is_dir() for entry in sys.path)


def _register(name: str, module: ModuleType) -> None:
    """Put a module and the packages that it is in among the imported ones: its parents are then not looked for."""
    sys.modules[name] = module
    parent, _, own = name.rpartition(".")
    if parent == CONTRIB.partition(".")[0]:
        return
    if parent not in sys.modules:
        package = ModuleType(parent)
        package.__path__ = []
        _register(parent, package)
    setattr(sys.modules[parent], own, module)


class _Boto3(MetaPathFinder):
    """Sees boto3's session being imported, and adds the service to it."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The module as it is found without us, with a word added to its execution; None for every other name."""
        if name != SESSION:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            _answer(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _answer(session: ModuleType) -> None:
    """Let sessions of boto3 have a client of the service that it has dropped."""
    kind = session.Session
    create = kind.client
    if getattr(create, "answers", None) == SERVICE:
        return

    def client(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        """A client of a service; of Elastic Inference, the accelerators of this process."""
        if service_name == SERVICE and SERVICE not in self.get_available_services():
            from serving.accelerators.describe import Client

            return Client()
        return create(self, service_name, *args, **kwargs)

    client.answers = SERVICE  # type: ignore[attr-defined]
    kind.client = client
