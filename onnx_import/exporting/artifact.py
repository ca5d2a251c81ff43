"""An MXNet model directory as the exporter takes it: what the server would load, and how the inputs' sizes are named.

*-symbol.json + *-NNNN.params + (conversion.json | model-shapes.json | the parameters' own shapes) -> Artifact
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx_import.dtypes import CARRIERS
from onnx_import.errors import InvalidInput
from onnx_import.exporting.sizes import Open, Shape
from serving.backends.mxnet import numpy_shapes
from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError
from serving.models import layout as layouts
from serving.models import params_file
from serving.models import shapes as signatures


@dataclass(frozen=True)
class Input:
    """One input: its shape, the same with the number of rows that its file names, its dtype."""

    shape: Shape
    literal: Shape
    dtype: str


@dataclass(frozen=True)
class Artifact:
    """What to export; `outputs` has names for the symbol's outputs by number."""

    symbol: str
    params: dict[str, Any]
    inputs: dict[str, Input]
    outputs: dict[int, str]

    @property
    def levels(self) -> tuple[Open, ...]:
        """What to leave open, and what then: a symbol may be tied to the very sizes that its file names."""
        more = any(not isinstance(size, int) for info in self.inputs.values() for size in info.shape[1:])
        return ("sizes", "batch", "nothing") if more else ("batch", "nothing")


def read(directory: Path) -> Artifact:
    """The model of a directory; InvalidInput that says what is missing or wrong."""
    mx = import_mxnet()
    try:
        layout = layouts.detect(directory)
        if layout.symbol is None or layout.params is None:
            raise InvalidInput(f"{directory} holds no MXNet symbol to export")
        text = layout.symbol.read_text()
        report = _report(layout.directory)
        inputs = _converted(report, text) if report else _plain(layout, text)
    except ModelError as error:
        raise InvalidInput(str(error)) from None
    return Artifact(text, _loaded(mx, layout.params), inputs, _names(report))


def _loaded(mx: Any, path: Path) -> dict[str, Any]:
    """The arrays of a parameter file, which may hold scalars or not: MXNet reads either in its own mode alone."""
    try:
        found = mx.nd.load(str(path))
    except mx.MXNetError:
        with numpy_shapes():
            found = mx.nd.load(str(path))
    # An empty file is a list to MXNet.
    return dict(found) if isinstance(found, dict) else {}


def _report(directory: Path) -> dict[str, Any]:
    """What `conversion.json` says, if it is there; InvalidInput where MXNet alone cannot run the model."""
    try:
        report: dict[str, Any] = json.loads((directory / "conversion.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{directory / 'conversion.json'} cannot be read: {error}") from None
    if not report.get("portable", True):
        raise InvalidInput(
            f"{directory} was converted from ONNX and is more than one MXNet symbol: use the ONNX file that it came from"
        )
    return report


def _names(report: Mapping[str, Any]) -> dict[int, str]:
    """The names of a converted model's outputs."""
    pairs = zip(report.get("heads", []), report.get("outputs", []), strict=False)
    return {head: entry["name"] for head, entry in pairs if head is not None}


def _converted(report: Mapping[str, Any], text: str) -> dict[str, Input]:
    """The inputs of a converted model: the dimensions have their ONNX names. InvalidInput where one of them is built in."""
    found = {}
    variables = {node["name"] for node in json.loads(text)["nodes"] if node["op"] == "null"}
    for entry in report["inputs"]:
        if not entry.get("optional"):
            if entry["name"] not in variables:
                raise InvalidInput(
                    f"the model was converted for one value of its input {entry['name']}: use the ONNX file that it came from"
                )
            shape = tuple(entry["shape"] or ())
            found[entry["name"]] = Input(shape, shape, CARRIERS.get(entry["dtype"], entry["dtype"]))
    return found


def _plain(layout: layouts.Layout, text: str) -> dict[str, Input]:
    """The inputs that the server would take."""
    assert layout.params is not None  # noqa: S101 - the caller looked
    shapes = {name: entry.shape for name, entry in params_file.index(layout.params).items()}
    signature = signatures.read(layout.shapes) if layout.shapes else signatures.infer(json.loads(text), shapes)
    rows = _rows(layout.shapes) if layout.shapes else {}
    found = {}
    for tensor in signature.inputs:
        if tensor.shape is None:
            raise InvalidInput(
                f"the shape of the input {tensor.name} is unknown: say it in {layout.directory}/model-shapes.json"
            )
        literal = (*rows.get(tensor.name, tensor.shape[:1]), *tensor.shape[1:])
        found[tensor.name] = Input(tensor.shape, literal, tensor.dtype.name)
    return found


def _rows(path: Path) -> dict[str, tuple[int]]:
    """The numbers that a shapes file gives for the first dimension: the server takes any, a recurrent state does not."""
    document = json.loads(path.read_bytes())
    entries = document if isinstance(document, list) else []
    shapes = {entry["name"]: entry["shape"] for entry in entries if isinstance(entry, dict)}
    return {name: (shape[0],) for name, shape in shapes.items() if shape and isinstance(shape[0], int) and shape[0] > 0}
