"""ONNX file -> verified MXNet artifact: the whole line, and the questions that can be asked without walking it.

    load -> read -> passes -> trace at sample sizes -> write -> verify

Nothing is left in the output folder unless every step held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnx_import import artifact, feeds, lower, passes, verify, weights
from onnx_import.dtypes import true_dtype
from onnx_import.errors import InvalidInput, InvalidModel, OnnxImportError, Problem, UnsupportedModel
from onnx_import.graph import Graph, Type, ValueInfo
from onnx_import.loader import load
from onnx_import.nd.value import MOST_KNOWN
from onnx_import.program import Program
from onnx_import.reader import read

Progress = Callable[[str], None]

MORE = (32, 1, 2, 3, 5, 7)
"""What is added to open sizes, in turn, to see whether a symbol holds for any."""


@dataclass(frozen=True)
class Options:
    """How to convert. `input_shapes` fixes sizes of inputs by name (None keeps one open); `opset` converts the model to it first.

    `values` are inputs to trace with, for those whose numbers determine shapes.
    """

    input_shapes: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    opset: int | None = None
    verify: bool = True
    pack: bool = False


@dataclass(frozen=True)
class Conversion:
    """What came of it: the folder, what conversion.json says, and the comparisons with the oracle."""

    directory: Path
    report: dict[str, Any]
    comparisons: list[verify.Comparison]


def convert(source: Any, out: str | Path, options: Options | None = None, progress: Progress = lambda _: None) -> Conversion:
    """Convert a model file (or bytes, or a ModelProto) into the folder `out`.

    InvalidModel, UnsupportedModel (every node in one) or VerificationError where it does not hold; the folder is then as before.
    """
    options = options or Options()
    progress("reading")
    model = _prepared(source, options)
    graph = read(model)
    problems = lower.missing(graph)
    if problems:
        raise UnsupportedModel(problems)
    progress("optimising")
    graph, names = passes.run(graph)
    progress("lowering")
    program = Program(graph)
    lowered, sample = _lower(program, options)
    report = {**artifact.report(graph, lowered, _source(source, model), names), "sample": artifact.sampled(sample)}
    comparisons: list[verify.Comparison] = []
    if options.verify:
        progress("verifying")
        weights.forget_all(model)  # as far as lowering looked at them
        cases = [sample] if options.values else None
        comparisons = verify.verify(model, program.run, cases, path=_untouched(source, options))
        report["verification"] = _verified(comparisons)
        program.parameters.keep(set())  # MXNet's copy of the weights: what is written are the file's
        del program
        verify.trim()
    progress("writing")
    artifact.write(Path(out), graph, lowered, report, options.pack)
    return Conversion(Path(out), report, comparisons)


def check(source: Any, options: Options | None = None) -> list[Problem]:
    """Every node that keeps a model from being converted, without converting it; InvalidModel where it is none."""
    options = options or Options()
    graph = read(_prepared(source, options))
    problems = lower.missing(graph)
    if not problems:
        try:
            _lower(Program(graph), options)
        except UnsupportedModel as error:
            problems = list(error.problems)
    return problems


def _prepared(source: Any, options: Options) -> onnx.ModelProto:
    model = load(source, mapped=True)
    if options.input_shapes:
        if model is source:
            model = onnx.ModelProto.FromString(model.SerializeToString())
        _shape(model, options.input_shapes)
    if options.opset is None:
        return model
    try:
        return onnx.version_converter.convert_version(weights.whole(model), options.opset)
    except (RuntimeError, ValueError) as error:  # what its C++ raises
        raise InvalidModel(f"ONNX cannot convert the model to opset {options.opset}: {str(error).splitlines()[0]}") from None


def _untouched(source: Any, options: Options) -> Path | None:
    """The file that holds the very model that is converted, if one does."""
    return None if options.input_shapes or options.opset or not isinstance(source, (str, Path)) else Path(source)


def _shape(model: onnx.ModelProto, shapes: Mapping[str, tuple[int | None, ...]]) -> None:
    """Write the given sizes into the model's inputs."""
    infos = {info.name: info for info in model.graph.input}
    for name, wanted in shapes.items():
        if name not in infos:
            raise InvalidInput(f"the model has no input {name!r}; it has {list(infos)}")
        kind = infos[name].type.tensor_type
        dims = list(kind.shape.dim) if kind.HasField("shape") else [onnx.TensorShapeProto.Dimension() for _ in wanted]
        # Old exporters of Paddle write -1 for an open size.
        declared = [
            dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else dim.dim_param or None for dim in dims
        ]
        if len(declared) != len(wanted) or any(
            isinstance(d, int) and w not in (None, d) for d, w in zip(declared, wanted, strict=True)
        ):
            raise InvalidInput(f"input {name!r} is declared {declared}; {list(wanted)} does not fit")
        for dim, size in zip(dims, wanted, strict=True):
            if size is not None:
                dim.dim_value = size
        kind.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))


def _lower(program: Program, options: Options) -> tuple[artifact.Lowered, dict[str, Any]]:
    """The graph traced at the first sizes that it takes, and at others to see what its symbol covers; and the feeds used."""
    loose = Program(_with_open_rows(program.graph), program.parameters)
    dims, values = feeds.open_dims(loose.graph), _typed(program.graph, options.values)
    if feeds.largest(loose.graph, next(feeds.ladder(loose.graph))) > MOST_KNOWN:
        raise InvalidModel(f"an input of more than {MOST_KNOWN} elements is declared")
    problem: OnnxImportError | None = None
    for sizes in feeds.ladder(loose.graph, batch=1):
        two, rows = ({name: size + more * (dims[name] == "batch") for name, size in sizes.items()} for more in (1, 2))
        grown = [_grown(rows, dims, at) for at in range(len(MORE))] if set(dims.values()) - {"batch"} else [rows]
        one, *fed = ({**feeds.seeded(loose.graph, 0, each), **values} for each in (sizes, two, rows, *grown))
        probes = {"two": fed[:1], "rows": fed[1:2], "any": fed[2:]}
        try:
            return artifact.widen(loose, artifact.lower(loose, one, probes), one, probes), one
        except (InvalidInput, InvalidModel) as error:
            problem = problem or error
    assert problem is not None
    if isinstance(problem, InvalidInput) and not feeds.open_dims(program.graph) and not feeds.has_whole_numbers(program.graph):
        raise InvalidModel(str(problem)) from problem  # no other sizes or values would help
    raise problem


def _grown(sizes: Mapping[str, int], dims: Mapping[str, str], at: int) -> dict[str, int]:
    """Other sizes of all open dimensions but the batch, unlike each other: padding and strides make much of odd and even."""
    inner = [name for name in sizes if dims[name] != "batch"]
    return {**sizes, **{name: sizes[name] + MORE[(at + place) % len(MORE)] for place, name in enumerate(inner)}}


def _typed(graph: Graph, values: Mapping[str, Any]) -> dict[str, Any]:
    """Given values in the dtypes of their inputs: JSON knows neither float32 nor int32."""
    kinds = {info.name: info.type for info in graph.inputs}
    unknown = sorted(set(values) - set(kinds))
    if unknown:
        raise InvalidInput(f"the model has no input {unknown[0]!r}; it has {list(kinds)}")
    return {
        name: np.asarray(value).astype(true_dtype(kinds[name].dtype)) if kinds[name].kind == "tensor" else value
        for name, value in values.items()
    }


def _with_open_rows(graph: Graph) -> Graph:
    """The graph with an open first axis where every input declares one row: many exporters write the batch that they traced."""
    shapes = [info.type.shape for info in graph.feeds]
    if not shapes or not all(shape and shape[0] == 1 for shape in shapes):
        return graph
    fed = {info.name for info in graph.feeds}
    inputs = [
        ValueInfo(info.name, Type("tensor", info.type.dtype, (None, *(info.type.shape or ())[1:])))
        if info.name in fed
        else info
        for info in graph.inputs
    ]
    return Graph(graph.nodes, inputs, graph.outputs, graph.initializers, graph.name)


def _source(source: Any, model: onnx.ModelProto) -> dict[str, Any]:
    opsets = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
    found: dict[str, Any] = {"producer": f"{model.producer_name} {model.producer_version}".strip(), "opsets": opsets}
    if isinstance(source, (str, Path)):
        with open(source, "rb") as file:
            found = {"file": Path(source).name, "sha256": hashlib.file_digest(file, "sha256").hexdigest(), **found}
    return {**found, "ir_version": model.ir_version}


def _verified(comparisons: list[verify.Comparison]) -> dict[str, Any]:
    worst: dict[str, verify.Comparison] = {}
    for each in comparisons:
        if each.output not in worst or each.absolute > worst[each.output].absolute:
            worst[each.output] = each
    return {
        "oracle": comparisons[0].oracle if comparisons else "",
        "cases": sorted({each.case for each in comparisons}),
        "largest_errors": {
            name: {"absolute": _finite(each.absolute), "relative": _finite(each.relative)} for name, each in worst.items()
        },
    }


def _finite(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
