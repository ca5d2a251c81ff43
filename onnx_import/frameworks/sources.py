"""Which framework a file, a folder or an object is of, told by what it is and not by importing anything.

A framework's module in this package has `from_file(path, options)` and, where its models can be handed over as objects,
`from_object(model, options)`; both give an onnx.ModelProto. They are imported in the process that exports, and nowhere else.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from onnx_import.frameworks.errors import MissingExporter

SNIFFED = 4096
"""Bytes of a file's head that are looked at where its name does not say enough."""


@dataclass(frozen=True)
class Framework:
    """How models of one kind are told, and what exports them."""

    module: str
    title: str
    needs: tuple[str, ...]
    """The exporter first: it is named where something is missing."""
    extra: str
    suffixes: tuple[str, ...] = ()
    mark: bytes = b""
    """What stands in the head of a file whose suffix other programs use as well."""
    owners: tuple[str, ...] = ()
    """Packages whose classes its objects are of."""

    def require(self) -> None:
        """MissingExporter where something that the export imports is not installed."""
        if any(importlib.util.find_spec(name) is None for name in self.needs):
            raise MissingExporter(self.title, self.needs[0], self.extra)


SAVED_MODEL = Framework("saved_model", "TensorFlow", ("tf2onnx", "tensorflow"), "onnx-tensorflow")
PICKLE = Framework("pickles", "Pickled", ("joblib",), "onnx-sklearn", (".joblib", ".pkl", ".pickle"))
FRAMEWORKS = (
    Framework(
        "keras", "Keras", ("tf2onnx", "keras", "tensorflow"), "onnx-tensorflow", (".keras", ".h5", ".hdf5"), owners=("keras",)
    ),
    SAVED_MODEL,
    Framework("tflite", "TensorFlow Lite", ("tf2onnx", "tensorflow"), "onnx-tensorflow", (".tflite",)),
    PICKLE,
    Framework("sklearn", "scikit-learn", ("skl2onnx", "sklearn"), "onnx-sklearn", owners=("sklearn",)),
    Framework(
        *("xgboost", "XGBoost", ("onnxmltools", "skl2onnx", "xgboost"), "onnx-xgboost"),
        *((".json", ".ubj", ".xgb", ".model"), b"learner", ("xgboost",)),
    ),
    Framework(
        *("lightgbm", "LightGBM", ("onnxmltools", "skl2onnx", "lightgbm"), "onnx-lightgbm"),
        *((".txt", ".lgb", ".model"), b"num_tree_per_iteration", ("lightgbm",)),
    ),
    Framework("torch", "PyTorch", ("torch", "onnxscript"), "onnx-torch", (".pt2",), owners=("torch",)),
)

KNOWN = (
    "a TensorFlow SavedModel's folder, Keras (.keras, .h5), TensorFlow Lite (.tflite), PyTorch (.pt2 of torch.export.save), "
    "scikit-learn (.joblib, .pkl), XGBoost (.json, .ubj), LightGBM (.txt)"
)

HINTS = {
    ".pt": "pickled PyTorch weights or code hold no graph: write torch.export.save(torch.export.export(module, inputs), 'model.pt2')",
    ".pth": "pickled PyTorch weights or code hold no graph: write torch.export.save(torch.export.export(module, inputs), 'model.pt2')",
    ".pdmodel": "Paddle's models are exported by its own paddle2onnx",
    ".cbm": "CatBoost exports itself: model.save_model('model.onnx', format='onnx')",
}
"""Files of frameworks that are not exported here, by suffix: what to do instead."""


def recognise(path: Path) -> Framework | None:
    """The framework of a file or folder; None where no framework here writes such a one."""
    if path.is_dir():
        return SAVED_MODEL if saved_model(path) else None
    for framework in FRAMEWORKS:
        if path.suffix.lower() in framework.suffixes and (not framework.mark or framework.mark in _head(path)):
            return framework
    return None


def owner(model: object) -> Framework | None:
    """The framework of an object: the first of its classes that a framework's package defines says it."""
    for kind in type(model).__mro__:
        package = kind.__module__.partition(".")[0]
        for framework in FRAMEWORKS:
            if package in framework.owners:
                return framework
    return None


def saved_model(folder: Path) -> Path | None:
    """The folder of a SavedModel: the given one, or its newest version where versions lie in it by number."""
    if any((folder / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        return folder
    versions = [child for child in folder.iterdir() if child.name.isdecimal() and (child / "saved_model.pb").is_file()]
    return max(versions, key=lambda child: int(child.name), default=None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SNIFFED)
