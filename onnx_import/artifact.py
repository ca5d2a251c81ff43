"""A converted model on disk: what MXNet loads, what our server adds to it, and where it came from.

model-symbol.json   one MXNet symbol, for the sizes that it was traced at, or for any size where it turned out the same for others;
                    with custom operators (`onnx_import.custom`) where host functions have a part; only its first stage where
                    sizes or the way through the graph are told by values (conversion.json says so under "staged")
model-0000.params   its parameters, and the larger tensors of the graph
model-shapes.json   the inputs, as the MXNet backend reads them
model-graph.json    the graph itself, where the symbol does not cover every input: lowered anew for sizes not seen before
conversion.json     source, operators, inputs and outputs, passes, whether stock MXNet alone can run it, largest errors
"""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnx_import.dtypes import Array, carry, deliver
from onnx_import.errors import InvalidModel, OnnxImportError
from onnx_import.graph import Graph, Type
from onnx_import.graph_file import Store, from_document, to_document
from onnx_import.joining import Joined, NotJoined, join
from onnx_import.program import Program
from onnx_import.stages import Block, HostStage, Slot, SymbolStage
from onnx_import.trace import STATIC_SIZE
from serving.backends.mxnet import load_arrays
from serving.backends.mxnet_converted import needs_graph
from serving.backends.mxnet_import import import_mxnet
from serving.models import params_file

SYMBOL, PARAMS, SHAPES, GRAPH, REPORT = (
    "model-symbol.json",
    "model-0000.params",
    "model-shapes.json",
    "model-graph.json",
    "conversion.json",
)
FORMAT = 1
Probes = Mapping[str, Sequence[Mapping[str, Any]]]
"""Feeds of other sizes, by what they are to show."""


@dataclass(frozen=True)
class Lowered:
    """What a graph became at one choice of sizes.

    `symbol` is its only stage where it is one MXNet symbol; `covers` says for which sizes: "any", "rows" (any number of rows) or "these".
    Else `joined` is its stages as one symbol with custom operators, or the reason why there is none.
    """

    blocks: list[Block]
    symbol: SymbolStage | None
    covers: str
    custom: tuple[str, ...] = ()
    joined: Joined | str = ""


def lower(program: Program, feeds: Mapping[str, Any], others: Probes) -> Lowered:
    """Trace a program for feeds, and for `others` (under "rows" and "any") to see for which sizes the symbol holds."""
    blocks = program.blocks(dict(feeds))
    stages = [stage for block in blocks for stage in block.stages]
    custom = tuple(sorted({stage.operator for stage in stages if isinstance(stage, HostStage)}))
    first = stages[0] if len(stages) == 1 and len(blocks) == 1 and isinstance(stages[0], SymbolStage) else None
    if first is None:
        return Lowered(blocks, None, "these", custom, _joined(blocks))
    if program.static:
        return Lowered(blocks, first, "these")
    covers = "these"
    for name in ("rows", "any"):
        if not all(_is_same(program, first, blocks[0], probe) for probe in others.get(name, ())):
            break
        covers = name
    return Lowered(blocks, first, covers)


def _joined(blocks: list[Block]) -> Joined | str:
    try:
        return join(blocks)
    except NotJoined as reason:
        return str(reason)


def widen(program: Program, lowered: Lowered, feeds: Mapping[str, Any], others: Probes) -> Lowered:
    """What was lowered for `feeds` of one row, or the symbol of more rows where that alone is a symbol for any number.

    Traced with one row, what lies beside the rows looks like one of them (an embedding of positions, a largest row). The
    symbol of more rows must answer for one row what the first does: `others` has such feeds under "two" too.
    """
    if lowered.covers != "these" or lowered.symbol is None or program.static:
        return lowered
    if not all(isinstance(value, np.ndarray) for value in feeds.values()):
        return lowered
    try:
        wide = lower(program, others["two"][0], others)
        if wide.covers == "these" or wide.symbol is None or not _is_right(program, wide.symbol, wide.blocks[0], feeds):
            return lowered
    except OnnxImportError:
        return lowered
    return wide


def _is_right(program: Program, stage: SymbolStage, block: Block, feeds: Mapping[str, Any]) -> bool:
    """Whether the symbol, bound for other feeds than those that it was traced with, answers for them what the program does."""
    probe = Program(program.graph)  # its weights are gone again when this is known
    expected = probe.run(dict(feeds))
    arrays = [carry(feeds[info.name]) for info in program.graph.inputs if info.name in feeds]
    bound = [(name, slot, arrays[slot].shape, dtype) for name, slot, _, dtype in stage.feeds]
    other = SymbolStage(stage.text, stage.constants, bound, stage.outputs, stage.places, probe.parameters)
    try:
        executor = other.executor
        for name, slot, _, _ in bound:
            executor.views[name][...] = arrays[slot]
        results = executor.run()
    except (import_mxnet().MXNetError, RuntimeError):
        return False
    for template, wanted in zip(block.outputs or [], expected, strict=True):
        if isinstance(template, tuple) and isinstance(template[0], Slot):
            found = deliver(results[template[0].number - len(arrays)], template[1])
            if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-4, atol=1e-5, equal_nan=True):
                return False
    return True


def _is_same(program: Program, stage: SymbolStage, block: Block, feeds: Mapping[str, Any]) -> bool:
    """Whether other feeds give the same symbol with the same constants and outputs."""
    try:
        (other, *more) = program.blocks(dict(feeds))
    except OnnxImportError:  # the graph does not take these sizes
        return False
    if more or len(other.stages) != 1 or not isinstance(other.stages[0], SymbolStage):
        return False
    second = other.stages[0]
    return (
        second.text == stage.text
        and second.constants.keys() == stage.constants.keys()
        and all(_equal(array, second.constants[name]) for name, array in stage.constants.items())
        and [_fixed(template) for template in block.outputs or []] == [_fixed(template) for template in other.outputs or []]
    )


def _equal(one: Array, other: Array) -> bool:
    return one is other or (
        one.dtype == other.dtype and one.shape == other.shape and np.array_equal(one, other, equal_nan=False)
    )


def _fixed(template: Any) -> Any:
    """An output's template in a form that compares: a known output is different at other sizes, or may be."""
    return id(template[0]) if isinstance(template, tuple) and isinstance(template[0], np.ndarray) else repr(template)


def write(out: Path, graph: Graph, lowered: Lowered, report: dict[str, Any], pack: bool = False) -> None:
    """Write the artifact to a folder, all of it or nothing; `pack` adds model.tar.gz."""
    out.parent.mkdir(parents=True, exist_ok=True)
    # A folder that is there may be a mount, or the only place that may be written.
    part = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out if out.is_dir() else out.parent))
    try:
        _write(part, graph, lowered, report)
        if pack:
            with tarfile.open(part / "model.tar.gz", "w:gz") as archive:
                for path in sorted(part.iterdir()):
                    if path.name != "model.tar.gz":
                        archive.add(path, path.name)
        part.chmod(0o755)
        out.mkdir(exist_ok=True)
        for name in (SYMBOL, PARAMS, SHAPES, GRAPH, REPORT, "model.tar.gz"):
            (out / name).unlink(missing_ok=True)
        for path in part.iterdir():
            os.replace(path, out / path.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _write(part: Path, graph: Graph, lowered: Lowered, report: dict[str, Any]) -> None:
    mx = import_mxnet()
    store = Store()
    symbols = [stage for block in lowered.blocks for stage in block.stages if isinstance(stage, SymbolStage)]
    stage = lowered.joined if isinstance(lowered.joined, Joined) else lowered.symbol or (symbols[0] if symbols else None)
    arrays: dict[str, Array] = {}
    if stage is not None:
        states = _states(mx, stage.text)
        for name, array in stage.constants.items():
            key = f"aux:{name}" if name in states else f"arg:{name}"
            arrays[key] = array
            store.put(key, array)
        text = stage.text
    else:
        text = _NOTHING
    if lowered.covers != "any" or needs_graph(report):
        (part / GRAPH).write_text(json.dumps(to_document(graph, store), allow_nan=False))
        arrays.update({key: array for key, array in store.arrays.items() if key not in arrays})
    (part / SYMBOL).write_text(text, encoding="utf-8")
    params_file.write(part / PARAMS, arrays)
    (part / SHAPES).write_text(json.dumps(_shapes(graph), indent=1))
    (part / REPORT).write_text(json.dumps(report, indent=1, allow_nan=False))


def _states(mx: Any, text: str) -> set[str]:
    """The symbol's auxiliary states."""
    if '"Custom"' in text:
        from onnx_import import custom  # noqa: F401 - registers the operator
    return set(mx.sym.load_json(text).list_auxiliary_states())


_NOTHING = json.dumps(
    {
        "nodes": [{"op": "null", "name": "nothing", "inputs": []}],
        "arg_nodes": [0],
        "heads": [[0, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }
)
"""The symbol of a model that computes nothing in MXNet."""


def _shapes(graph: Graph) -> list[dict[str, Any]]:
    """The inputs as `model-shapes.json` lists them: null for what may have any size."""
    found = []
    for info in graph.feeds:
        if info.type.kind == "tensor" and info.type.dtype != "string":
            sizes = [size if isinstance(size, int) else None for size in info.type.shape or ()]
            found.append({"name": info.name, "shape": sizes, "dtype": info.type.dtype})
    return found


def report(graph: Graph, lowered: Lowered, source: dict[str, Any], passes: list[str]) -> dict[str, Any]:
    """What conversion.json says before verification."""
    return {
        "format": FORMAT,
        "source": source,
        "operators": dict(sorted(Counter(f"{n.domain}.{n.op}" if n.domain else n.op for n in graph.walk()).items())),
        "passes": passes,
        "portable": not lowered.custom and lowered.symbol is not None,
        "custom_operators": list(lowered.custom),
        "staged": lowered.joined if isinstance(lowered.joined, str) else "",
        "covers": lowered.covers,
        "heads": _heads(graph, lowered),
        "inputs": [_described(info.name, info.type, info.name in graph.initializers) for info in graph.inputs],
        "outputs": [_described(info.name, info.type, False) for info in graph.outputs],
        "verification": None,
    }


def sampled(feeds: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Feeds by their shapes, small ones by their values too: inputs that a server can warm up with. Maps are left out."""
    return {name: _sampled(value) for name, value in feeds.items() if isinstance(value, (np.ndarray, list))}


def _sampled(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"items": [_sampled(item) for item in value]}
    shape = list(value.shape)
    is_small = (
        value.size <= STATIC_SIZE and value.dtype.kind in "biufO" and (value.dtype.kind != "f" or np.isfinite(value).all())
    )
    return {"shape": shape, "value": value.tolist()} if is_small else {"shape": shape}


def _heads(graph: Graph, lowered: Lowered) -> list[int | None]:
    """Which output of the symbol each output of the graph is; None where it is none: a constant, or an input handed through."""
    if isinstance(lowered.joined, Joined):
        return lowered.joined.heads
    if lowered.symbol is None:
        return [None] * len(graph.outputs)
    fed = sum(1 for _ in graph.feeds)
    templates = lowered.blocks[-1].outputs or []
    slots = [t[0].number - fed if isinstance(t, tuple) and isinstance(t[0], Slot) else -1 for t in templates]
    return [slot if slot >= 0 else None for slot in slots]


def _described(name: str, kind: Type, has_default: bool) -> dict[str, Any]:
    shape = None if kind.shape is None else list(kind.shape)
    inner = kind if kind.element is None else kind.element
    entry = {"name": name, "kind": kind.kind, "dtype": inner.dtype, "shape": shape if kind.element is None else None}
    return {**entry, "optional": True} if has_default or kind.kind == "optional" else entry


def load(directory: Path) -> Program:
    """The program of an artifact that holds a graph; InvalidModel where its files do not belong together."""
    try:
        document = json.loads((directory / GRAPH).read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidModel(f"{directory / GRAPH} cannot be read: {error}") from None
    loaded = load_arrays(directory / PARAMS)
    arrays = {key: array.asnumpy() for key, array in loaded.items()} if isinstance(loaded, dict) else {}
    return Program(from_document(document, arrays))
