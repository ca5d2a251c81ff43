"""Proof that a converted model answers as ONNX says: both sides run on seeded inputs, and every output is compared.

    model + run -> feeds that the oracle takes, at two sizes where dimensions are open -> answers of both -> Comparisons

Whole numbers, booleans and text must be equal. Floats may differ by what rounding in another order explains: `TOLERANCES`,
the loosest of the types that a model computes in. What random operators draw is compared by shape and type alone.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from onnx_import import feeds as seeds
from onnx_import import oracle
from onnx_import.dtypes import ONNX_NAMES, Array, is_integer, name_of
from onnx_import.errors import InvalidInput, InvalidModel, OnnxImportError, VerificationError

Feeds = Mapping[str, Any]
Run = Callable[[dict[str, Any]], Sequence[Any]]

TOLERANCES = {
    "float64": (1e-5, 1e-7),
    "float32": (1e-3, 5e-5),
    "complex64": (1e-3, 5e-5),
    "complex128": (1e-5, 1e-7),
    "float16": (2e-2, 2e-3),
    "bfloat16": (8e-2, 1e-2),
    "quantized": (8e-2, 2e-2),
}
"""Relative tolerance, and absolute tolerance per unit of an output's largest value."""

QUANTIZING = {"QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"}
RANDOM = {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
MOST_GROWTH = 16
"""How much larger the second case's inputs may be: what takes few sizes is asked for all of them, and large ones take long."""
FLOOR = 5e-2
"""The least magnitude that absolute tolerance counts with: an output of zeros has none of its own."""


@dataclass(frozen=True)
class Comparison:
    """One output in one case: how far it is off, and whether that is within what is allowed."""

    output: str
    dtype: str
    shape: tuple[int, ...]
    absolute: float
    relative: float
    ok: bool
    fault: str = ""
    case: str = ""
    oracle: str = ""

    def __str__(self) -> str:
        """One line for the user."""
        sizes = "x".join(map(str, self.shape)) or "scalar"
        said = self.fault or f"largest error {self.absolute:.2g} (relative {self.relative:.2g})"
        return f"{self.output} ({self.dtype}, {sizes}): {said}"


def verify(
    model: onnx.ModelProto, run: Run, feeds_list: Sequence[Feeds] | None = None, *, path: Path | None = None
) -> list[Comparison]:
    """Compare what `run` answers with what ONNX says, for every output in every case; VerificationError if one is off.

    Without `feeds_list` the cases are `cases(model)`. `path` is a file of the very same model (`oracle.prepare`).
    """
    refused: dict[str, OnnxImportError] = {}
    while True:
        judge, pairs = _asked(model, path, feeds_list, refused)
        found: list[Comparison] = []
        try:
            for feeds, wanted in pairs:
                case = sizes_of(feeds)
                found += _compared(model, (run(dict(feeds)), wanted), case, judge)
            break
        except (InvalidInput, InvalidModel) as refusal:
            if feeds_list is not None:
                raise
            refused[case] = refusal  # onnxruntime pools over more than there is: such sizes have no answer to compare
    wrong = [each for each in found if not each.ok]
    if wrong:
        raise VerificationError(_report(wrong, judge))
    return found


def _asked(
    model: onnx.ModelProto, path: Path | None, feeds_list: Sequence[Feeds] | None, refused: Mapping[str, OnnxImportError]
) -> tuple[str, list[tuple[Feeds, list[Any]]]]:
    """The judge's name, and cases with its answers: the given ones, or others than those refused; the first refusal if there are none."""
    judge = oracle.prepare(model, path)
    try:
        if feeds_list is not None:
            pairs = [(feeds, judge.run(feeds)) for feeds in feeds_list]
        else:
            pairs = list(cases(model, judge, skipped=refused))
    except oracle.OracleError as error:
        raise next(iter(refused.values()), error) from None
    name = judge.name
    del judge  # its copy of the weights is not needed beside ours
    trim()
    return name, pairs


def _compared(model: onnx.ModelProto, answers: tuple[Sequence[Any], Sequence[Any]], case: str, judge: str) -> list[Comparison]:
    """The outputs of one case beside those that they should be."""
    given, wanted = answers
    names = [info.name for info in model.graph.output]
    if len(given) != len(names):
        raise VerificationError(f"the converted model gives {len(given)} outputs, ONNX's {len(names)}")
    loose = loosest(model)
    pairs = zip(names, given, wanted, strict=True)
    return [each for name, got, want in pairs for each in compare(name, got, want, loose, (case, judge))]


def trim() -> None:
    """Give back to the system what C code has freed: copies of the weights, of which glibc would keep the room."""
    ctypes.CDLL(None).malloc_trim(0)


def cases(
    model: onnx.ModelProto, judge: oracle.Oracle, seed: int = 0, skipped: Container[str] = ()
) -> Iterator[tuple[Feeds, list[Any]]]:
    """Seeded feeds that the oracle takes, with its answers: at two sizes where dimensions are open, none of them `skipped`.

    OracleError where it takes none of the sizes that are tried.
    """
    rungs = list(seeds.ladder(model))
    at, feeds, answers = _first_taken(model, judge, rungs, (1, seed), skipped)
    yield feeds, answers
    if seeds.open_dims(model):
        # Another size of every open dimension, unless the one that was taken is the last there is.
        most = seeds.largest(model, rungs[at]) * MOST_GROWTH
        others = [rung for rung in rungs[at + 1 :] if seeds.largest(model, rung) <= most]
        _, feeds, answers = _first_taken(model, judge, [*others, rungs[at]], (3, seed + 1), skipped)
        yield feeds, answers


def _first_taken(
    model: onnx.ModelProto,
    judge: oracle.Oracle,
    rungs: Sequence[dict[str, int]],
    batch_and_seed: tuple[int, int],
    skipped: Container[str],
) -> tuple[int, Feeds, list[Any]]:
    """The first sizes whose feeds the oracle takes, with its answers; its first refusal where it takes none.

    The slow evaluator is asked only where the quick way takes none at all.
    """
    batch, seed = batch_and_seed
    dims = seeds.open_dims(model)
    refusals: list[OnnxImportError] = []
    ways = [judge.run] if judge.quick is None else [judge.quick, judge.run]
    largest = (seeds.MOST, 1, 0) if seeds.has_whole_numbers(model) else (seeds.MOST,)
    for ask, (at, rung), most in itertools.product(ways, enumerate(rungs), largest):
        sizes = {name: batch if dims[name] == "batch" else size for name, size in rung.items()}
        feeds = seeds.seeded(model, seed, sizes, most)
        if sizes_of(feeds) in skipped:
            continue
        try:
            return at, feeds, ask(feeds)
        except OnnxImportError as refusal:
            refusals.append(refusal)
    raise refusals[0] if refusals else oracle.OracleError("no sizes are left that the converted model takes")


def sizes_of(feeds: Feeds) -> str:
    """The shapes of a case's inputs, for a report."""
    return ", ".join(
        f"{name} {'x'.join(map(str, value.shape))}" for name, value in feeds.items() if isinstance(value, np.ndarray)
    )


def loosest(model: onnx.ModelProto) -> str:
    """The coarsest arithmetic in a model, a key of TOLERANCES; `random` where operators draw numbers."""
    nodes = [*walk(model.graph), *(node for function in model.functions for node in function.node)]
    ops = {node.op_type for node in nodes}
    # Dropout takes a flag as its third input: it may train.
    if ops & RANDOM or any(node.op_type == "Dropout" and len(node.input) > 2 and node.input[2] for node in nodes):
        return "random"
    if ops & QUANTIZING:
        return "quantized"
    numbers = {tensor.data_type for tensor in model.graph.initializer}
    numbers |= {info.type.tensor_type.elem_type for info in (*model.graph.input, *model.graph.output)}
    numbers |= {a.i for node in walk(model.graph) if node.op_type == "Cast" for a in node.attribute if a.name == "to"}
    names = {ONNX_NAMES.get(number, "") for number in numbers}
    if any(name.startswith(("float8", "float4", "bfloat")) for name in names):
        return "bfloat16"
    return "float16" if "float16" in names else "float64"


def walk(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from walk(attribute.g)


def compare(output: str, got: Any, want: Any, loose: str = "float64", where: tuple[str, str] = ("", "")) -> list[Comparison]:
    """One output, or each element of a sequence or a map."""
    if want is None or got is None:
        fault = "" if got is want else "one side has a value, the other none"
        return [Comparison(output, "none", (), 0.0, 0.0, not fault, fault, *where)]
    if isinstance(want, list | dict):
        keys = list(want) if isinstance(want, dict) else list(range(len(want)))
        if type(got) is not type(want) or len(got) != len(want) or (isinstance(want, dict) and set(got) != set(want)):
            fault = f"a {type(got).__name__} of {np.size(got)} where ONNX gives a {type(want).__name__} of {len(want)}"
            return [Comparison(output, type(want).__name__, (len(want),), 0.0, 0.0, False, fault, *where)]
        return [c for key in keys for c in compare(f"{output}[{key}]", got[key], want[key], loose, where)]
    return [_compare_arrays(output, np.asarray(got), np.asarray(want), loose, where)]


def _compare_arrays(output: str, got: Array, want: Array, loose: str, where: tuple[str, str]) -> Comparison:
    dtype, shape = name_of(want), tuple(want.shape)

    def verdict(absolute: float, relative: float, fault: str) -> Comparison:
        return Comparison(output, dtype, shape, absolute, relative, not fault, fault, *where)

    if name_of(got) != dtype or got.shape != shape:
        return verdict(0.0, 0.0, f"{name_of(got)} of shape {tuple(got.shape)} where ONNX gives {dtype} of shape {shape}")
    if loose == "random":
        return verdict(0.0, 0.0, "")
    if dtype in ("string", "bool"):
        wrong = int((got != want).sum())
        return verdict(float(wrong > 0), 0.0, f"{wrong} of {want.size} elements are others" if wrong else "")
    if is_integer(dtype):
        return verdict(*_integers(got, want, 1 if loose == "quantized" else 0))
    return verdict(*_floats(got, want, _tolerance(dtype, loose)))


def _tolerance(dtype: str, loose: str) -> tuple[float, float]:
    return max(TOLERANCES.get(dtype, TOLERANCES["bfloat16"]), TOLERANCES[loose])


def _integers(got: Array, want: Array, step: int) -> tuple[float, float, str]:
    """Errors of whole numbers. A quantizing model may round one value in a hundred to the other side."""
    off = np.abs(got.astype(object) - want.astype(object)) if want.dtype == np.uint64 else _distance(got, want)
    largest, wrong = int(off.max(initial=0)), int((off > 0).sum())
    allowed = largest <= step and wrong <= max(1, want.size // 100)
    fault = "" if not wrong or allowed else f"{wrong} of {want.size} elements are others, by up to {largest}"
    return float(largest), 0.0, fault


def _distance(got: Array, want: Array) -> Array:
    wide = (got.astype(np.int64), want.astype(np.int64))
    return np.asarray(np.maximum(*wide) - np.minimum(*wide))


def _floats(got: Array, want: Array, tolerance: tuple[float, float]) -> tuple[float, float, str]:
    """Errors of floats; infinities and NaN must lie in the same places."""
    wide = np.complex128 if want.dtype.kind == "c" else np.float64
    a, b = got.astype(wide), want.astype(wide)
    finite = np.isfinite(b)
    same = np.isfinite(a) == finite
    if not bool(same.all() and ((a == b) | (np.isnan(a) & np.isnan(b)))[~finite].all()):
        return np.inf, np.inf, "infinities or NaN lie in other places"
    a, b = a[finite], b[finite]
    if not b.size:
        return 0.0, 0.0, ""
    off, size = np.abs(a - b), np.abs(b)
    rtol, atol = tolerance
    limit = atol * max(float(size.max()), FLOOR) + rtol * size
    worst = int((off / limit).argmax())
    relative = float(off.max() / max(float(size.max()), FLOOR))
    if off[worst] <= limit[worst]:
        return float(off.max()), relative, ""
    return float(off.max()), relative, f"{a[worst]:.6g} where ONNX gives {b[worst]:.6g}; {limit[worst]:.2g} off is allowed"


def _report(wrong: Sequence[Comparison], judge: str) -> str:
    worst = sorted(wrong, key=lambda each: -each.absolute)[:5]
    more = f"\nand {len(wrong) - 5} more" if len(wrong) > 5 else ""
    lines = [f"  {each}" + (f" [{each.case}]" if each.case else "") for each in worst]
    return f"the converted model does not answer as ONNX says (by {judge}):\n" + "\n".join(lines) + more
