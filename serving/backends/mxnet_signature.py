"""The inputs of a converted model, as exact as ONNX declares them, and the check of a request against them.

    names -> one entry for each input -> dtype -> shape -> arrays in ONNX's own dtypes

Unlike a `Signature`'s, a first axis need not count rows, and inputs may be left out. A sequence is sent as one array, whose
first axis is taken apart, or item by item as NAME.0, NAME.1, ...; a map entry by entry as NAME.KEY. Types that neither JSON
nor NPY has are sent as numbers that hold their values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnx_import.dtypes import CARRIERS, SMALL_FLOATS, bounds, is_integer, true_dtype
from onnx_import.graph import Type
from serving.errors import BadRequest, ModelError
from serving.invocation import UNNAMED, Array, Inputs
from serving.models.signature import Signature, Tensor, cast

MAX_SAMPLE_BYTES = 64 << 20
MAX_LISTED = 8
"""Optional inputs that an error message names: some exporters list every weight as one."""


@dataclass(frozen=True)
class Port(Tensor):
    """An input. `shape` is exact, `declared` is ONNX's name of the dtype, `dtype` the one that requests are read in.

    `kind` is tensor, sequence or map; `shape` and the dtypes of a sequence are its items'.
    """

    declared: str = "float32"
    kind: str = "tensor"
    is_optional: bool = False
    keys: str = ""

    def __str__(self) -> str:
        sizes = "any shape" if self.shape is None else f"({', '.join('*' if n is None else str(n) for n in self.shape)})"
        kind = "" if self.kind == "tensor" else f"{self.kind} of "
        return f"{self.name}: {kind}{self.declared} {sizes}{', optional' * self.is_optional}"


@dataclass(frozen=True)
class ExactSignature(Signature):
    """Inputs that are taken as they are declared.

    `samples` are shapes and values of one set of inputs that the model takes; `counts_rows` says that the first axes of all
    inputs that have to be there are as long.
    """

    inputs: tuple[Port, ...]
    samples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    counts_rows: bool = False

    def validate(self, inputs: Inputs) -> Inputs:
        """These inputs by name, in ONNX's dtypes, those left out left out; BadRequest otherwise.

        A sequence becomes an array of arrays, a map an array of no axis that holds a dict.
        """
        ports = {port.name: port for port in self.inputs}
        parts: dict[str, dict[str, Array]] = {name: {} for name in ports}
        for name, array in self._named(inputs).items():
            port, part = _place(ports, name)
            if port is None:
                raise BadRequest(f"unknown input {name[:40]!r}; the model has {self._listed()}")
            parts[port][part] = array
        taken = {name: _taken(ports[name], given) for name, given in parts.items() if given}
        missing = [name for name, port in ports.items() if taken.get(name) is None and not port.is_optional]
        if missing:
            raise BadRequest(f"missing inputs {missing}; the model has {self._listed()}")
        rows = {name: len(array) for name, array in taken.items() if self.counts_rows and array is not None}
        if len({count for name, count in rows.items() if not ports[name].is_optional}) > 1:
            raise BadRequest(f"the inputs differ in their number of rows: {rows}")
        return {name: array for name, array in taken.items() if array is not None}

    def sample(self, rows: int = 1) -> Inputs | None:
        """Inputs that a pass succeeds with, as far as the conversion has told; None where it has not, or where they are huge."""
        if not all(port.name in self.samples or port.is_optional for port in self.inputs):
            return None
        made = {port.name: _sampled(port, self.samples[port.name]) for port in self.inputs if port.name in self.samples}
        whole = {name: array for name, array in made.items() if array is not None}
        if len(whole) < len(made):
            return None
        return {name: np.repeat(array[:1], rows, axis=0) for name, array in whole.items()} if self.counts_rows else whole

    def _named(self, inputs: Inputs) -> Inputs:
        if set(inputs) != {UNNAMED}:
            return inputs
        if not self.inputs:  # any body asks a model that takes nothing
            return {}
        needed = [port for port in self.inputs if not port.is_optional] or list(self.inputs)
        if len(needed) != 1:
            raise BadRequest(f"name each tensor; the model has {self._listed()}")
        return {needed[0].name: inputs[UNNAMED]}

    def _listed(self) -> str:
        named = [port for port in self.inputs if not port.is_optional]
        optional = [port for port in self.inputs if port.is_optional]
        shown = "; ".join(map(str, named + (optional if len(optional) <= MAX_LISTED else [])))
        return (shown or "no inputs") + (f" and {len(optional)} optional ones" if len(optional) > MAX_LISTED else "")


@dataclass(frozen=True)
class RowSignature(Signature):
    """Inputs whose first axes count rows. `samples` are those of `ExactSignature`.

    `exact` takes the requests that name an input with a value of its own, which those of rows alone leave out.
    """

    samples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    exact: ExactSignature | None = None

    def validate(self, inputs: Inputs) -> Inputs:
        """These inputs by name, in the signature's dtypes; with those that override a value where the request names some."""
        if self.exact is not None and any(port.is_optional and port.name in inputs for port in self.exact.inputs):
            return self.exact.validate(inputs)
        return super().validate(inputs)

    def sample(self, rows: int = 1) -> Inputs | None:
        """Zeros in sizes that the model was converted with, so many rows of them; None where they would be huge."""
        made: Inputs = {}
        for tensor in self.inputs:
            sizes = self.samples.get(tensor.name, {}).get("shape") or [1] * len(tensor.shape or ())
            shape = (rows, *(size or other for size, other in zip((tensor.shape or ())[1:], sizes[1:], strict=True)))
            if math.prod(shape) * tensor.dtype.itemsize > MAX_SAMPLE_BYTES:
                return None
            made[tensor.name] = np.zeros(shape, tensor.dtype)
        return made


def port(name: str, kind: Type, is_optional: bool) -> Port:
    """The port of an ONNX input; ModelError where no request can carry its type."""
    if kind.kind == "optional" and kind.element is not None:
        return port(name, kind.element, True)
    item = kind if kind.element is None else kind.element
    if item.kind != "tensor" or item.dtype.startswith("complex"):
        what = item.dtype if item.kind == "tensor" else f"a {kind.kind} of {item.kind}s"
        raise ModelError(f"input {name!r} is {what}, which no request can carry: convert a model with another input")
    sizes = None if item.shape is None else tuple(size if isinstance(size, int) else None for size in item.shape)
    keys = kind.dtype if kind.kind == "map" else ""
    return Port(name, () if keys else sizes, served_dtype(item.dtype), item.dtype, kind.kind, is_optional, keys)


def served_dtype(dtype: str) -> np.dtype[Any]:
    """The dtype that holds an ONNX type's values in requests and answers: text as objects, what codecs lack as float32 or int8."""
    if dtype == "string":
        return np.dtype(object)
    # Not by asking numpy: where ml_dtypes is imported, it knows these names.
    return np.dtype(CARRIERS[dtype] if dtype in SMALL_FLOATS or dtype.endswith(("int4", "int2")) else dtype)


def objects(items: list[Any]) -> Array:
    """An array of objects, one for each item: numpy itself would look into arrays."""
    made = np.empty(len(items), object)
    for at, item in enumerate(items):
        made[at] = item
    return made


def single(item: Any) -> Array:
    """An array of no axis that holds an object."""
    made = np.empty((), object)
    made[()] = item
    return made


def _sampled(tensor: Port, entry: Mapping[str, Any]) -> Array | None:
    if "items" in entry:
        return objects([_sampled(tensor, item) for item in entry["items"]])
    dtype, shape = true_dtype(tensor.declared), entry["shape"]
    if "value" in entry:
        return np.array(entry["value"], dtype).reshape(shape)
    if math.prod(shape) * dtype.itemsize > MAX_SAMPLE_BYTES:
        return None
    return np.full(shape, "" if tensor.declared == "string" else 0, dtype)


def _place(ports: Mapping[str, Port], name: str) -> tuple[str | None, str]:
    """Which input a name of a request belongs to, and as which part of it."""
    if name in ports:
        return name, ""
    for known, tensor in ports.items():
        if tensor.kind != "tensor" and name.startswith(f"{known}."):
            return known, name[len(known) + 1 :]
    return None, ""


def _taken(tensor: Port, given: dict[str, Array]) -> Array | None:
    """An input's parts as the program takes it; None for JSON's null, which leaves an optional one out."""
    if tensor.is_optional and _is_null(given.get("")):
        return None
    if tensor.kind == "tensor":
        return _array(tensor, given[""])
    if tensor.kind == "sequence":
        return _sequence(tensor, given)
    return single({_key(tensor, key): _array(tensor, value).item() for key, value in given.items()})


def _is_null(array: Array | None) -> bool:
    return array is not None and not array.ndim and array.dtype == np.float64 and bool(np.isnan(array))


def _sequence(tensor: Port, given: dict[str, Array]) -> Array:
    if "" in given:
        items = [*given[""]] if given[""].ndim else [given[""]]
    elif set(given) == {str(at) for at in range(len(given))}:
        items = [given[str(at)] for at in range(len(given))]
    else:
        raise BadRequest(f"{tensor.name} is a sequence: send one array, or its items as {tensor.name}.0, {tensor.name}.1, ...")
    return objects([_array(tensor, np.asarray(item)) for item in items])


def _key(tensor: Port, key: str) -> str | int:
    if tensor.keys == "string" and key:
        return key
    try:
        return int(key)
    except ValueError:
        raise BadRequest(f"{tensor.name} is a map: send its entries as {tensor.name}.KEY, each key a {tensor.keys}") from None


def _array(tensor: Port, array: Array) -> Array:
    """The array in the input's shape and in ONNX's dtype."""
    array = _shaped(tensor, array)
    if tensor.dtype == object:
        return _text(tensor, array)
    carried = array if array.dtype == tensor.dtype else cast(tensor, array)
    if tensor.declared == tensor.dtype.name:
        return carried
    return _narrowed(tensor, carried)


def _shaped(tensor: Port, array: Array) -> Array:
    shape = tensor.shape
    if shape is None or _fits(shape, array.shape):
        return array
    # One row without its axis, or one number in brackets too many or too few.
    for tried in (array[np.newaxis], array.reshape((1,) * len(shape)) if array.size == 1 else array):
        if _fits(shape, tried.shape):
            return tried
    raise BadRequest(f"wrong shape {tuple(array.shape)}: expected {tensor}, where * is any size")


def _fits(shape: tuple[int | None, ...], found: tuple[int, ...]) -> bool:
    return len(shape) == len(found) and all(want in (None, size) for want, size in zip(shape, found, strict=True))


def _text(tensor: Port, array: Array) -> Array:
    if array.dtype.kind == "S":
        try:
            return np.char.decode(array, "utf-8").astype(object)
        except UnicodeDecodeError:
            raise BadRequest(f"{tensor.name} holds bytes that are no UTF-8") from None
    if array.dtype.kind not in "UO":
        raise BadRequest(f"wrong dtype {array.dtype}: expected {tensor}")
    return array.astype(object)


def _narrowed(tensor: Port, array: Array) -> Array:
    """Numbers in a dtype of ONNX's that numpy lacks; BadRequest where one is beyond its range."""
    low, high = _range(tensor.declared)
    finite = array[np.isfinite(array)]
    if finite.size and not low <= finite.min() <= finite.max() <= high:
        raise BadRequest(f"a value of {tensor.name} is beyond {tensor.declared}, which reaches from {low:g} to {high:g}")
    return array.astype(true_dtype(tensor.declared))


def _range(dtype: str) -> tuple[float, float]:
    if is_integer(dtype):
        return bounds(dtype)
    import ml_dtypes

    high = float(ml_dtypes.finfo(true_dtype(dtype)).max)  # type: ignore[no-untyped-call]
    return 0.0 if "e8m0" in dtype else -high, high
