"""The way back: an MXNet artifact as an ONNX model, proved by its answers.

    model directory -> symbol, parameters, input shapes -> to_model -> both answer seeded inputs -> the file, or none

`to_model` works in memory and proves nothing; `prove` compares MXNet's own answers with those of the ONNX model; `export`
does both and writes. All operators that cannot be written are in one error.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper

from onnx_import import verify
from onnx_import.errors import InvalidInput, OnnxImportError, Problem, UnsupportedModel, VerificationError
from onnx_import.exporting import mx2onnx, source
from onnx_import.exporting.artifact import read
from onnx_import.exporting.build import Builder, Refused, Use, find
from onnx_import.exporting.sizes import Open, Shape, Sizes, label
from onnx_import.exporting.source import Source
from onnx_import.graph import Dim
from serving.backends.mxnet import Executor, first_line, numpy_shapes
from serving.backends.mxnet_import import import_mxnet

OLDEST = 13
"""The first opset that is written: MXNet's own exporter has no older one either."""

LARGE = 2**31 - 2**24
"""Bytes from which weights go into a file of their own: protobuf ends at 2 GB."""


@dataclass(frozen=True)
class Form:
    """What the ONNX model shall be: its opset, and which of its inputs' dimensions stay open."""

    opset: int = 17
    leave_open: Open = "batch"

    def __post_init__(self) -> None:
        newest = onnx.defs.onnx_opset_version()
        if not OLDEST <= self.opset <= newest:
            raise InvalidInput(f"opset {self.opset} cannot be written: choose one from {OLDEST} to {newest}")


def to_model(
    symbol: str,
    params: Mapping[str, Any],
    shapes: Mapping[str, Shape],
    dtypes: Mapping[str, str] | None = None,
    form: Form = Form(),  # noqa: B008 - it is frozen
) -> onnx.ModelProto:
    """A symbol's JSON and its parameters (MXNet or numpy arrays, with or without `arg:` and `aux:`) as an ONNX model.

    `shapes` lists the inputs in order (see `sizes`). What shall stay open does so unless MXNet can infer no other size of it.
    UnsupportedModel lists every node that cannot be written.
    """
    found, axes = _inferred(symbol, params, Sizes(shapes), dtypes, form.leave_open)
    ids = [helper.make_opsetid("", form.opset)]
    model = onnx.ModelProto(producer_name="ei", ir_version=helper.find_min_ir_version_for(ids), opset_import=ids)
    model.graph.name = "mxnet"
    builder = Builder(form.opset, model.graph)
    names = _convert_all(builder, found)
    outputs = _outputs(builder, found, names)
    model.graph.input.extend(_info(found.nodes[at].name, found, (at, 0), axes) for at in found.free)
    model.graph.output.extend(_info(name, found, entry, axes) for name, entry in outputs)
    builder.finish()
    _check(model)
    return model


def _check(model: onnx.ModelProto) -> None:
    """UnsupportedModel where the opset has an operator in another form. Weights are left out: the checker copies what it sees."""
    bare = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    bare.graph.name = model.graph.name
    bare.graph.node.extend(model.graph.node)
    bare.graph.output.extend(model.graph.output)
    bare.graph.input.extend(model.graph.input)
    weights = (helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in model.graph.initializer)
    bare.graph.input.extend(weights)
    try:
        onnx.checker.check_model(bare)
    except onnx.checker.ValidationError as error:
        said = str(error).strip().splitlines()[0]
        opset = model.opset_import[0].version
        raise UnsupportedModel([Problem("the graph", "export", f"opset {opset} does not take it: {said}")]) from None


Axes = Callable[[source.Entry], list[Dim]]
"""The dimensions to declare for a value."""


def _inferred(
    symbol: str, params: Mapping[str, Any], sizes: Sizes, dtypes: Mapping[str, str] | None, leave_open: Open
) -> tuple[Source, Axes]:
    """The symbol at the first sizes that MXNet takes, and its dimensions as they turn out at others."""
    error: OnnxImportError | None = None
    for trial in sizes.trials():
        try:
            found = source.read(symbol, params, sizes.at(trial), dtypes)
        except source.NoShapes as refusal:
            error = error or refusal
            continue
        return found, _axes((symbol, params, dtypes), found, sizes, trial, leave_open)
    raise source.NoShapes(f"{error}; name the shapes of the inputs in model-shapes.json" if sizes.kinds else str(error))


def _axes(
    what: tuple[str, Mapping[str, Any], Mapping[str, str] | None],
    found: Source,
    sizes: Sizes,
    trial: dict[str, int],
    leave_open: Open,
) -> Axes:
    """What changes at other sizes is open, as far as MXNet takes others."""
    levels: list[Open] = ["sizes", "batch"]
    for level in levels[levels.index(leave_open) :] if leave_open != "nothing" and all(trial.values()) else []:
        others = sizes.grown(trial, level)
        try:
            other = source.read(what[0], what[1], sizes.at(others), what[2], fold=False)
        except source.NoShapes:
            continue
        return lambda entry: [
            label(here, there, trial, others) for here, there in zip(found.shapes[entry], other.shapes[entry], strict=True)
        ]
    return lambda entry: list(found.shapes[entry])


def _convert_all(builder: Builder, found: Source) -> dict[source.Entry, str]:
    """The ONNX name of every value."""
    names: dict[source.Entry, str] = {}
    problems: list[Problem] = []
    for at in found.free:
        names[at, 0] = builder.name(found.nodes[at].name)
    # Nodes keep their names where they can: nothing inside may take one first.
    for at, node in enumerate(found.nodes):
        if node.op == "null" or all(entry in names or entry in found.constants for entry in [(at, 0)]):
            continue
        if not any(entry[0] == at and entry not in found.constants for entry in found.shapes) or at in found.fixed:
            continue
        inputs = [_named(builder, found, names, entry) for entry in node.inputs]
        use = Use(builder, found, at, inputs)
        try:
            results = _convert(use)
        except Refused as refusal:
            problems.append(Problem(node.name, node.op, str(refusal)))
            results = [builder.name(node.name)] * use.outputs
        names.update({(at, output): name for output, name in enumerate(results)})
    if problems:
        raise UnsupportedModel(problems)
    for entry in found.heads:
        _named(builder, found, names, entry)
    return names


def _convert(use: Use) -> list[str]:
    """The outputs of one node, by our converter or by mx2onnx's."""
    function = find(use.node.op)
    if function is None and not mx2onnx.knows(use.node.op):
        raise Refused("no ONNX form of it is known")
    if function is None:
        return mx2onnx.convert(use)
    results = function(use)
    found = results if isinstance(results, list) else [results]
    if any(use.is_used(output) for output in range(len(found), use.outputs)):
        raise Refused(f"something reads more of its outputs than {len(found)}")
    return found


def _named(builder: Builder, found: Source, names: dict[source.Entry, str], entry: source.Entry) -> str:
    """The name of a value; a constant is written when it is first read. A label, which nothing reads, has none."""
    if entry not in names and entry in found.constants:
        array = found.array(entry)
        assert array is not None  # noqa: S101 - it is among the constants
        names[entry] = builder.constant(array, found.nodes[entry[0]].name)
    return names.get(entry, "")


def _outputs(builder: Builder, found: Source, names: Mapping[source.Entry, str]) -> list[tuple[str, source.Entry]]:
    """The outputs under names of their own: an Identity where one is an input, a constant, or given twice."""
    made = {name for node in builder.graph.node for name in node.output}
    taken: set[str] = set()
    outputs = []
    for entry in found.heads:
        name = names[entry]
        if name not in made or name in taken:
            name = builder.node("Identity", [name], f"{found.nodes[entry[0]].name}_output")[0]
        taken.add(name)
        outputs.append((name, entry))
    return outputs


def _info(name: str, found: Source, entry: source.Entry, axes: Axes) -> onnx.ValueInfoProto:
    """Type and shape of an input or output."""
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(found.dtypes[entry])), axes(entry))


def prove(
    model: onnx.ModelProto, symbol: str, params: Mapping[str, Any], feeds: Sequence[Mapping[str, Any]] | None = None
) -> list[verify.Comparison]:
    """Compare MXNet's own answers with those of the ONNX model; VerificationError where they differ."""
    try:
        return verify.verify(model, _runner(model, symbol, params), feeds)
    except VerificationError as error:
        raise VerificationError(str(error).replace("the converted model does not answer as ONNX says", _DIFFERS, 1)) from None


_DIFFERS = "MXNet does not answer as the exported ONNX model does"


def _runner(model: onnx.ModelProto, symbol: str, params: Mapping[str, Any]) -> verify.Run:
    mx = import_mxnet()
    with numpy_shapes(source.is_numpy(symbol)):
        graph = mx.sym.load_json(symbol)
    plain = {name.removeprefix("arg:").removeprefix("aux:"): array for name, array in params.items()}
    arrays = {name: source.as_nd(mx, array) for name, array in plain.items()}
    states = set(graph.list_auxiliary_states())
    names = [info.name for info in model.graph.input]

    def run(feeds: dict[str, Any]) -> list[Any]:
        with numpy_shapes(source.is_numpy(symbol)):
            inputs = {name: mx.nd.array(feeds[name], dtype=feeds[name].dtype) for name in names}
            try:
                known = {name: array.shape for name, array in {**arrays, **inputs}.items() if name in wanted}
                # Labels are bound, as zeros, and read by nothing. MXNet's public form prints every argument where it fails.
                shapes, _, _ = graph._infer_shape_impl(True, **known)
                labels = {n: mx.nd.zeros(s) for n, s in zip(graph.list_arguments(), shapes, strict=True) if n not in known}
                arguments = {name: array for name, array in arrays.items() if name in wanted and name not in states}
                executor = Executor(graph, {**arguments, **labels}, {name: arrays[name] for name in states}, inputs)
                return [result.copy() for result in executor.run()]
            except (mx.MXNetError, RuntimeError) as error:
                raise VerificationError(f"MXNet does not take what the ONNX model takes: {first_line(error)}") from error

    wanted = set(graph.list_inputs())
    return run


def export(directory: str | Path, target: str | Path, opset: int | None = None) -> list[verify.Comparison]:
    """Write the MXNet model in a folder as an ONNX file, once its answers are proved; the comparisons of its outputs.

    Nothing is left where they differ. Sizes that are open to MXNet but not to the ONNX model are closed.
    """
    if Path(target).is_dir():
        raise InvalidInput(f"{target} is a folder: name the ONNX file to write")
    model = read(Path(directory))
    problem: OnnxImportError | None = None
    for level in model.levels:
        shapes = {name: info.literal if level == "nothing" else info.shape for name, info in model.inputs.items()}
        dtypes = {name: info.dtype for name, info in model.inputs.items()}
        try:
            proto = to_model(model.symbol, model.params, shapes, dtypes, Form(opset or Form.opset, level))
            _rename_outputs(proto, model.outputs)
            found = prove(proto, model.symbol, model.params)
        except UnsupportedModel:
            raise
        except OnnxImportError as error:
            problem = error
            continue
        _write(proto, Path(target))
        return found
    assert problem is not None  # noqa: S101 - the loop ends here after an error alone
    raise problem


def _rename_outputs(model: onnx.ModelProto, wanted: Mapping[int, str]) -> None:
    """Give outputs, by their number, the names that they had in the ONNX model which the artifact was converted from."""
    graph = model.graph
    fixed = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    made = {name for node in graph.node for name in node.output}
    renamed = {graph.output[at].name: name for at, name in wanted.items() if name not in fixed}
    # Who has such a name inside gives it up.
    for name in set(renamed.values()) & made - set(renamed):
        free = next(f"{name}_{count}" for count in range(1, len(made) + 2) if f"{name}_{count}" not in made | fixed)
        renamed[name] = free
        made.add(free)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for info in graph.output:
        info.name = renamed.get(info.name, info.name)


def _write(model: onnx.ModelProto, target: Path) -> None:
    """Write the file whole or not at all; weights beyond protobuf's limit lie beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        part, weights = Path(folder) / target.name, f"{target.name}.data"
        if model.ByteSize() >= LARGE:
            onnx.save(model, part, save_as_external_data=True, location=weights)
            os.replace(Path(folder) / weights, target.with_name(weights))
        else:
            part.write_bytes(model.SerializeToString())
        os.replace(part, target)
