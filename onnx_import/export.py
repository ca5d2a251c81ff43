"""The way back: an MXNet artifact as an ONNX model, proved by its answers.

    model directory -> symbol, parameters, input shapes -> to_model -> both answer seeded inputs -> the file, or none

`to_model` works in memory and proves nothing; `prove` compares MXNet's own answers with those of the ONNX model; `export`
does both and writes. All operators that cannot be written are in one error.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import helper

from onnx_import import verify
from onnx_import.errors import InvalidInput, OnnxImportError, Problem, UnsupportedModel, VerificationError
from onnx_import.exporting import mx2onnx, source
from onnx_import.exporting.build import Builder, Refused, Use, find
from onnx_import.exporting.source import Source
from serving.backends.mxnet import Executor, first_line, numpy_shapes
from serving.backends.mxnet_import import import_mxnet
from serving.errors import ModelError
from serving.models import layout as layouts
from serving.models import params_file
from serving.models import shapes as signatures

Shape = Sequence[int | None]

OPSET, OLDEST = 17, 13
GUESSES = (224, 64, 16, 8, 128, 299, 320, 1)
"""Sizes to try for dimensions that are open beside the batch."""

Open = Literal["sizes", "batch", "nothing"]
"""Which dimensions of the ONNX model are open: all that the symbol's inputs leave open, the batch alone, or none."""

LARGE = 2**31 - 2**24
"""Bytes from which weights go into a file of their own: protobuf ends at 2 GB."""


def to_model(
    symbol: str,
    params: Mapping[str, Any],
    shapes: Mapping[str, Shape],
    dtypes: Mapping[str, str] | None = None,
    *,
    opset: int | None = None,
    leave_open: Open = "batch",
) -> onnx.ModelProto:
    """A symbol's JSON and its parameters (MXNet or numpy arrays, with or without `arg:` and `aux:`) as an ONNX model.

    `shapes` lists the inputs in order, with None for what is open; the first dimension counts rows, whatever stands there, and
    is open unless MXNet can infer no other. UnsupportedModel lists every node that cannot be written.
    """
    opset = _checked(opset)
    sizes, found = _inferred(symbol, params, shapes, dtypes)
    other = _other_sizes((symbol, params, dtypes), shapes, sizes, leave_open)
    ids = [helper.make_opsetid("", opset)]
    model = onnx.ModelProto(producer_name="ei", ir_version=helper.find_min_ir_version_for(ids), opset_import=ids)
    model.graph.name = "mxnet"
    builder = Builder(opset, model.graph)
    names = _convert_all(builder, found)
    outputs = _outputs(builder, found, names)
    model.graph.input.extend(_info(found.nodes[at].name, found, (at, 0), other) for at in found.free)
    model.graph.output.extend(_info(name, found, entry, other) for name, entry in outputs)
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


def _checked(opset: int | None) -> int:
    newest = onnx.defs.onnx_opset_version()
    if opset is not None and not OLDEST <= opset <= newest:
        raise InvalidInput(f"opset {opset} cannot be written: choose one from {OLDEST} to {newest}")
    return opset or OPSET


def _inferred(
    symbol: str, params: Mapping[str, Any], shapes: Mapping[str, Shape], dtypes: Mapping[str, str] | None
) -> tuple[dict[str, tuple[int, ...]], Source]:
    """The symbol at one row and, where more is open, at the first sizes that MXNet takes."""
    is_open = any(size is None for shape in shapes.values() for size in shape[1:])
    error: OnnxImportError | None = None
    for guess in GUESSES if is_open else GUESSES[:1]:
        sizes = {
            name: tuple((1 if at == 0 else guess) if size is None else size for at, size in enumerate(shape))
            for name, shape in shapes.items()
        }
        try:
            return sizes, source.read(symbol, params, sizes, dtypes)
        except source.NoShapes as refusal:
            error = error or refusal
    assert error is not None  # noqa: S101 - there is a guess
    raise error


def _other_sizes(
    what: tuple[str, Mapping[str, Any], Mapping[str, str] | None],
    shapes: Mapping[str, Shape],
    sizes: Mapping[str, tuple[int, ...]],
    leave_open: Open,
) -> Source | None:
    """The symbol at other sizes of what shall be open; None where it takes no others."""
    if leave_open == "nothing" or not all(sizes.values()):
        return None
    for more in (32, 0) if leave_open == "sizes" else (0,):
        others = {
            name: (
                2 * sizes[name][0],
                *(size + more * (given is None) for size, given in zip(sizes[name][1:], shape[1:], strict=True)),
            )
            for name, shape in shapes.items()
        }
        try:
            return source.read(what[0], what[1], others, what[2], fold=False)
        except source.NoShapes:
            continue
    return None


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
    return results if isinstance(results, list) else [results]


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


def _info(name: str, found: Source, entry: source.Entry, other: Source | None) -> onnx.ValueInfoProto:
    """Type and shape of an input or output: what changes with the batch is open."""
    shape: list[int | str | None] = list(found.shapes[entry])
    if other is not None:
        first = (found.free[0], 0)
        rows = (found.shapes[first][0], other.shapes[first][0])
        for axis, (here, there) in enumerate(zip(found.shapes[entry], other.shapes[entry], strict=True)):
            if here != there:
                shape[axis] = "batch" if axis == 0 and (here, there) == rows else None
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(found.dtypes[entry])), shape)


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
    symbol, params, inputs = _read(Path(directory))
    problem: OnnxImportError | None = None
    for level in _levels(inputs):
        shapes = {name: literal if level == "nothing" else shape for name, (shape, literal, _) in inputs.items()}
        try:
            model = to_model(
                symbol, params, shapes, {n: kind for n, (_, _, kind) in inputs.items()}, opset=opset, leave_open=level
            )
            _rename_outputs(model, Path(directory))
            found = prove(model, symbol, params)
        except UnsupportedModel:
            raise
        except OnnxImportError as error:
            problem = problem or error
            continue
        _write(model, Path(target))
        return found
    assert problem is not None  # noqa: S101 - the loop ends here after an error alone
    raise problem


def _levels(inputs: Mapping[str, tuple[Shape, Shape, str]]) -> tuple[Open, ...]:
    """What to leave open, and what then: a model may be tied to the very sizes that its file names."""
    return ("sizes", "batch", "nothing") if any(None in shape[1:] for shape, _, _ in inputs.values()) else ("batch", "nothing")


def _read(directory: Path) -> tuple[str, dict[str, Any], dict[str, tuple[Shape, Shape, str]]]:
    """The symbol, the parameters, and of each input the shape, the shape with the number of rows that its file names, the dtype."""
    mx = import_mxnet()
    try:
        layout = layouts.detect(directory)
        if layout.symbol is None or layout.params is None:
            raise InvalidInput(f"{directory} holds no MXNet symbol to export")
        text = layout.symbol.read_text()
        shapes = {name: entry.shape for name, entry in params_file.index(layout.params).items()}
        signature = signatures.read(layout.shapes) if layout.shapes else signatures.infer(json.loads(text), shapes)
    except ModelError as error:
        raise InvalidInput(str(error)) from None
    with numpy_shapes(source.is_numpy(text)):
        params = mx.nd.load(str(layout.params))
    rows = _rows(layout.shapes) if layout.shapes else {}
    inputs: dict[str, tuple[Shape, Shape, str]] = {}
    for tensor in signature.inputs:
        if tensor.shape is None:
            raise InvalidInput(f"the shape of the input {tensor.name} is unknown: say it in {directory}/model-shapes.json")
        inputs[tensor.name] = (tensor.shape, (*rows.get(tensor.name, tensor.shape[:1]), *tensor.shape[1:]), tensor.dtype.name)
    return text, params, inputs


def _rows(path: Path) -> dict[str, tuple[int]]:
    """The numbers that a shapes file gives for the first dimension: the server takes any, a recurrent state does not."""
    document = json.loads(path.read_bytes())
    entries = document if isinstance(document, list) else []
    shapes = {entry["name"]: entry["shape"] for entry in entries if isinstance(entry, dict)}
    return {name: (shape[0],) for name, shape in shapes.items() if shape and isinstance(shape[0], int) and shape[0] > 0}


def _rename_outputs(model: onnx.ModelProto, directory: Path) -> None:
    """Give outputs the names that they had in the ONNX model which the artifact was converted from."""
    try:
        report = json.loads((directory / "conversion.json").read_bytes())
        heads, names = report["heads"], [entry["name"] for entry in report["outputs"]]
    except (OSError, ValueError, KeyError):
        return
    wanted = {model.graph.output[head].name: name for head, name in zip(heads, names, strict=True) if head is not None}
    taken = {name for node in model.graph.node for name in node.output} | {info.name for info in model.graph.input}
    renamed = {old: new for old, new in wanted.items() if new not in taken}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
    for info in model.graph.output:
        info.name = renamed.get(info.name, info.name)


def _write(model: onnx.ModelProto, target: Path) -> None:
    """Write the file whole or not at all; weights beyond protobuf's limit lie beside it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if model.ByteSize() >= LARGE:
        onnx.save(model, target, save_as_external_data=True, location=f"{target.name}.data")
        return
    part = target.with_name(f".{target.name}.part")
    try:
        part.write_bytes(model.SerializeToString())
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
