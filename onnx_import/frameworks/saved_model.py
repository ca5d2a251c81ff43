"""TensorFlow's SavedModels, by tf2onnx: the signature `serving_default`, or the only one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from onnx_import.frameworks import sources
from onnx_import.frameworks.errors import ExportError
from onnx_import.frameworks.options import Options

DEFAULT_SIGNATURE = "serving_default"
DEFAULT_TAG = "serve"


def from_file(path: Path, options: Options) -> Any:
    """A SavedModel's folder, or one with its versions."""
    import onnx
    from tf2onnx import convert

    from onnx_import.frameworks import tensorflow_ops  # noqa: F401 - registers them

    folder = sources.saved_model(path)
    assert folder is not None, "the parent has looked"
    tag, signature = _entry(folder)
    with tempfile.TemporaryDirectory(prefix="ei-export-") as place:
        target = f"{place}/model.onnx"
        words = ["--saved-model", str(folder), "--tag", tag, "--signature_def", signature, "--output", target]
        # The command is tf2onnx's public way in: from Python it takes Keras models and functions alone.
        sys.argv = ["tf2onnx", *words, *(["--opset", str(options.opset)] if options.opset else [])]
        convert.main()
        return onnx.load(target)


def _entry(folder: Path) -> tuple[str, str]:
    """The tag and the signature to export."""
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    graphs = parse_saved_model(str(folder)).meta_graphs
    graph = next((graph for graph in graphs if DEFAULT_TAG in graph.meta_info_def.tags), graphs[0])
    signatures = sorted(name for name in graph.signature_def if not name.startswith("__"))
    if DEFAULT_SIGNATURE in signatures:
        return ",".join(graph.meta_info_def.tags), DEFAULT_SIGNATURE
    if len(signatures) != 1:
        found = ", ".join(signatures) or "none"
        raise ExportError(f"it has no signature {DEFAULT_SIGNATURE}, and not exactly one other. Its signatures: {found}")
    return ",".join(graph.meta_info_def.tags), signatures[0]
