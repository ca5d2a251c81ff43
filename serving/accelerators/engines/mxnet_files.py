"""What an MXNet artifact may hold: data, never code. Read and refused here without MXNet, which trusts a symbol's JSON.

names of files -> params: every header and length -> symbol: see `mxnet_symbol`
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from serving.accelerators.engines import mxnet_symbol, mxnet_trial
from serving.accelerators.engines.base import Config
from serving.accelerators.errors import AcceleratorError, Code
from serving.backends.mxnet import numpy_shapes
from serving.models import params_file
from serving.models.layout import REPORT

VERSION = "1"
SYMBOL, PARAMS, SHAPES = f"{VERSION}/model-symbol.json", f"{VERSION}/model-0000.params", f"{VERSION}/model-shapes.json"
CONVERSION = f"{VERSION}/{REPORT}"
FILES = {SYMBOL, PARAMS, SHAPES, f"{VERSION}/model-graph.json", CONVERSION}
"""The names of an artifact's files, those of `ei convert` among them."""

MAX_SYMBOL = 64 << 20
"""The largest symbol seen is 8 MB of JSON."""


def check(config: Config) -> None:
    """AcceleratorError where the folder holds no model that may be run here."""
    found = {path.relative_to(config.folder).as_posix() for path in config.folder.rglob("*") if not path.is_dir()}
    strange = sorted(found - FILES)
    if strange:
        raise _invalid(f"{strange[0][:100]} is no file of an MXNet model: {', '.join(sorted(FILES))} may be sent")
    lacking = [name for name in (SYMBOL, PARAMS) if name not in found]
    if lacking:
        raise _invalid(f"the model lacks {' and '.join(lacking)}")
    if any((config.folder / name).is_symlink() for name in found):
        raise _invalid("a file of the model is a link")
    _check_params(config)
    mxnet_trial.run("the symbol", lambda: mxnet_symbol.check(symbol_text(config)))


def symbol_text(config: Config) -> str:
    """The symbol's JSON; AcceleratorError where it is no text, or too much."""
    path = config.folder / SYMBOL
    if path.stat().st_size > MAX_SYMBOL:
        raise _invalid(f"the symbol is {path.stat().st_size >> 20} MiB of JSON: {MAX_SYMBOL >> 20} are taken")
    try:
        return path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise _invalid(f"the symbol is no JSON: {error}") from None


def is_converted(config: Config) -> bool:
    """Whether `ei convert` wrote the model."""
    return (config.folder / CONVERSION).is_file()


def weights(config: Config) -> int:
    """Bytes of the params file."""
    return (config.folder / PARAMS).stat().st_size


def need(symbol: Any, shapes: Mapping[str, tuple[int, ...]], is_numpy: bool) -> int:
    """Bytes that a pass's values take at least, if each goes when nothing reads it any more; 0 where shapes are not told."""
    inner = symbol.get_internals()
    names = set(inner.list_arguments()) | set(inner.list_auxiliary_states())
    with numpy_shapes(is_numpy):
        _, found, _ = inner.infer_shape_partial(**{name: shape for name, shape in shapes.items() if name in names})
    graph = json.loads(inner.tojson())
    size: dict[int, int] = {}
    for head, shape in zip(graph["heads"], found or (), strict=False):
        if graph["nodes"][head[0]]["op"] != "null":
            size[head[0]] = size.get(head[0], 0) + 4 * math.prod(shape or (0,))
    last: dict[int, list[int]] = {}
    for at, users in _last_use(graph["nodes"]).items():
        last.setdefault(users, []).append(at)
    now = most = 0
    for at in range(len(graph["nodes"])):
        now += size.get(at, 0)
        most = max(most, now)
        now -= sum(size.get(done, 0) for done in last.get(at, ()))
    return most


def _last_use(nodes: list[dict[str, Any]]) -> dict[int, int]:
    return {entry[0]: at for at, node in enumerate(nodes) for entry in node["inputs"]}


def _check_params(config: Config) -> None:
    path = config.folder / PARAMS
    if not path.stat().st_size:
        return  # a symbol without parameters
    try:
        params_file.index(path)
    except params_file.Broken as error:
        raise _invalid(f"the parameters are damaged: {error}") from None


def _invalid(message: str) -> AcceleratorError:
    return AcceleratorError(Code.INVALID_ARGUMENT, message)
