"""Whether two versions of a model answer the same, and how fast each does: both run on the same inputs, in turn.

Inputs are made from a fixed seed, or given. Of numbers the error is the largest difference, and that over the output's largest
number; of strings and booleans 1 where any differ. A model whose own answers differ from one call to the next cannot be compared.
"""

from __future__ import annotations

import io
import statistics
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from serving.backends.tensorflow import SavedModel
from serving.backends.tf_features import Feature, examples
from serving.backends.tf_signatures import SignatureDef, TensorInfo
from serving.errors import ModelError, ServingError
from serving.invocation import Array, Inputs, Outputs

ROWS = (1, 4)
SIZES = (8, 32, 224, 1)
"""What is tried, in order, where a size other than the first is open."""

MAX_CALLS = 200
MIN_CALLS = 5
SECONDS = 2.0
"""Of calls to each version for the speed, where a signature is slow."""


@dataclass(frozen=True)
class Drift:
    """How far one output may be off: the largest error, and that over the output's largest number."""

    signature: str
    output: str
    absolute: float
    relative: float


@dataclass(frozen=True)
class Speed:
    """Milliseconds of one row before and after, the median of calls in turn, and how many times faster that is."""

    signature: str
    before_ms: float
    after_ms: float
    ratio: float


@dataclass(frozen=True)
class Comparison:
    """All that was found; `skipped` says of the other signatures why nothing was."""

    drifts: list[Drift] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def faults(self, tolerance: float) -> list[str]:
        """Why the second version must not take the first one's place; nothing where it may."""
        told = [
            f"{one.signature}, {one.output}: off by {one.absolute:.2g}, {one.relative:.2g} of its largest number, "
            f"over the tolerance of {tolerance:g}"
            for one in self.drifts
            if not one.relative <= tolerance
        ]
        if not self.drifts:
            told.append("no signature could be compared: give inputs that the model takes (--samples FILE.npz)")
        return told

    def text(self) -> str:
        """The tables that are printed."""
        lines = ["| signature | output | largest error | of the largest number |", "| --- | --- | ---: | ---: |"]
        lines += [f"| {one.signature} | {one.output} | {one.absolute:.2g} | {one.relative:.2g} |" for one in self.drifts]
        lines += ["", "| signature | before ms | after ms | times faster |", "| --- | ---: | ---: | ---: |"]
        lines += [f"| {one.signature} | {one.before_ms:.3f} | {one.after_ms:.3f} | {one.ratio:.2f} |" for one in self.speeds]
        lines += [""] * bool(self.skipped) + [f"not compared: {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)


@dataclass(frozen=True)
class Source:
    """Where inputs come from: those that were given, and the features of the Examples that are made up."""

    given: Inputs = field(default_factory=dict)
    features: tuple[Feature, ...] = ()


def compare(
    before: SavedModel, after: SavedModel, source: Source, say: Callable[[str], None] = lambda text: None
) -> Comparison:
    """Every signature that `after` has, on given inputs where its names are among them, else on made-up ones."""
    found = Comparison()
    for name, definition in after.signatures.items():
        say(f"signature {name}")
        try:
            tried = list(taken(before, definition, source))
            for due, got in ((checked(before, name, inputs), after.run(name, inputs)) for inputs in tried):
                merge(found.drifts, name, due, got)
            found.speeds.append(timed(before, after, name, tried[0]))
        except ServingError as error:
            found.skipped[name] = error.message.partition("\n")[0]
    return found


def samples(path: Path) -> Inputs:
    """The arrays of an .npz file by name; strings become bytes. ModelError where it is none."""
    try:
        with np.load(io.BytesIO(path.read_bytes())) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, EOFError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path} is no .npz file of arrays: {error}") from None
    return {name: strings(array) if array.dtype.kind in "US" else array for name, array in arrays.items()}


def strings(array: Array) -> Array:
    """An array of texts or bytes as TensorFlow's strings."""
    encoded = [one.encode() if isinstance(one, str) else one for one in array.ravel().tolist()]
    found = np.empty(len(encoded), object)
    found[:] = encoded
    return found.reshape(array.shape)


# --- inputs


def taken(model: SavedModel, definition: SignatureDef, source: Source) -> Iterator[Inputs]:
    """Inputs that the model answers, of one row and of several; ServingError, the model's own, where it takes none."""
    if all(info.name in source.given for info in definition.inputs):
        yield {info.name: np.asarray(source.given[info.name]).astype(info.dtype, copy=False) for info in definition.inputs}
        return
    random = np.random.default_rng(7)
    refused = ServingError("it takes no input")
    for make in attempts(definition, source.features, random):
        one = make(ROWS[0])
        try:
            model.run(definition.name, one)
        except ServingError as error:
            refused = error
            continue
        yield one
        several = make(ROWS[1])
        if accepts(model, definition.name, several):
            yield several
        return
    raise refused


def attempts(
    definition: SignatureDef, features: Sequence[Feature], random: np.random.Generator
) -> Iterator[Callable[[int], Inputs]]:
    """Ways to make inputs of so many rows, in the order in which they are tried: Examples first, where the graph parses them."""
    if features and all(info.dtype == object for info in definition.inputs):
        yield lambda rows: {
            info.name: strings(np.array(examples(features, rows, random), object)) for info in definition.inputs
        }
    for size in SIZES:
        yield lambda rows, size=size: {info.name: values(info, rows, size, random) for info in definition.inputs}  # type: ignore[misc]


def accepts(model: SavedModel, name: str, inputs: Inputs) -> bool:
    """Whether the model answers these inputs."""
    try:
        model.run(name, inputs)
    except ServingError:
        return False
    return True


def values(info: TensorInfo, rows: int, size: int, random: np.random.Generator) -> Array:
    """Numbers by chance: normal for floats, 0 or 1 for integers, since those may be places in a table."""
    shape: tuple[int | None, ...] = (None,) if info.shape is None else info.shape
    sizes = [rows if at == 0 and one is None else one or size for at, one in enumerate(shape)]
    if info.dtype == object:
        return strings(np.asarray(random.choice([b"a", b"b", b""], sizes)))
    if info.dtype.kind in "iub" or info.dtype.name.startswith(("int", "uint")):
        return random.integers(0, 2, sizes).astype(info.dtype)
    return np.asarray(random.standard_normal(sizes)).astype(info.dtype)


# --- answers


def checked(model: SavedModel, name: str, inputs: Inputs) -> Outputs:
    """The model's answer; ServingError where it answers otherwise the second time."""
    first, second = model.run(name, inputs), model.run(name, inputs)
    if any(error(first[output], second[output])[1] > 0 for output in first):
        raise ServingError("the model's own answers differ from one call to the next")
    return first


def merge(drifts: list[Drift], signature: str, due: Outputs, got: Outputs) -> None:
    """Add the errors of these answers; where an output has some already, the larger count."""
    for output in due:
        absolute, relative = error(due[output], got[output])
        at = [number for number, one in enumerate(drifts) if (one.signature, one.output) == (signature, output)]
        if at:
            known = drifts.pop(at[0])
            absolute, relative = larger(known.absolute, absolute), larger(known.relative, relative)
        drifts.append(Drift(signature, output, absolute, relative))


def larger(one: float, other: float) -> float:
    """The larger of two errors; one that is no number is the largest."""
    return other if np.isnan(other) or other > one else one


def error(due: Array, got: Array) -> tuple[float, float]:
    """The largest difference, and that over the largest number; infinite where shapes, NaNs or infinities do not agree."""
    if due.shape != got.shape or due.dtype != got.dtype:
        return np.inf, np.inf
    if due.dtype == object or due.dtype == bool:
        differ = float(not np.array_equal(due, got))
        return differ, differ
    wide = np.complex128 if due.dtype.kind == "c" else np.float64
    a, b = due.astype(wide), got.astype(wide)
    finite = np.isfinite(a)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(b[finite]).all():
        return np.inf, np.inf
    largest = float(np.abs(a[finite] - b[finite]).max(initial=0.0))
    scale = float(np.abs(a[finite]).max(initial=0.0))
    return largest, largest / scale if scale else largest


def timed(before: SavedModel, after: SavedModel, name: str, inputs: Inputs) -> Speed:
    """The medians of both, called in turn."""
    times: Mapping[SavedModel, list[float]] = {before: [], after: []}
    end = time.perf_counter() + 2 * SECONDS
    for number in range(MAX_CALLS):
        for model in (before, after) if number % 2 else (after, before):
            begin = time.perf_counter()
            model.run(name, inputs)
            times[model].append(1e3 * (time.perf_counter() - begin))
        if number >= MIN_CALLS and time.perf_counter() > end:
            break
    old, new = (statistics.median(times[model]) for model in (before, after))
    return Speed(name, old, new, old / new)
