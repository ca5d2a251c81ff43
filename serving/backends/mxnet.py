"""MXNet behind the backend protocol: symbols and parameters, and what user scripts return from `model_fn`.

One thread of a process touches MXNet: an executor used by two threads gives wrong answers. Executors are bound per batch
size (powers of two) over shared parameter arrays; inputs are written into their bound memory, and outputs are read out of it.
"""

from __future__ import annotations

import ctypes
import json
import logging
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from serving.backends import mxnet_import
from serving.backends.base import LoadedModel
from serving.backends.mxnet_import import import_mxnet
from serving.backends.mxnet_reshape import Reshapes
from serving.backends.mxnet_tuning import tuned
from serving.backends.rounding import agree
from serving.errors import ModelError
from serving.invocation import Array, Inputs, Outputs
from serving.models import params_file, shapes
from serving.models.layout import Layout, is_converted
from serving.models.signature import Signature, Tensor

log = logging.getLogger("ei.models")
MAX_EXECUTORS = 24
MAX_BATCH_BYTES = 4 << 20
"""Input bytes of the largest batch that one pass takes: beyond it a batch gains nothing and costs memory."""


def load(layout: Layout, signature: Signature | None = None) -> LoadedModel:
    """The model of a layout's symbol and parameters; ModelError where MXNet cannot make one of them."""
    if signature is None and is_converted(layout):
        from serving.backends import mxnet_converted

        model: LoadedModel = mxnet_converted.load(layout)
        return model
    mx = import_mxnet()
    assert layout.symbol is not None and layout.params is not None
    try:
        symbol = mx.sym.load(str(layout.symbol))
        arrays = load_arrays(layout.params)
    except (mx.MXNetError, UnicodeDecodeError) as error:
        raise ModelError(f"MXNet cannot read {layout.symbol.name} and {layout.params.name}: {first_line(error)}") from None
    args, aux = split_params(arrays)
    if signature is None:
        known = {name: tuple(array.shape) for name, array in {**args, **aux}.items()}
        graph = json.loads(layout.symbol.read_text())
        signature = shapes.read(layout.shapes) if layout.shapes else shapes.infer(graph, known)
        shapes.check_complete(graph, known, signature)
    return SymbolModel(symbol, args, aux, signature)


def adapt(made: Any, signature: Signature | None) -> LoadedModel:
    """A loaded model around what a user's `model_fn` returned (`mxnet_adapt`)."""
    from serving.backends import mxnet_adapt

    return mxnet_adapt.adapt(made, signature)


def load_arrays(path: Path) -> Any:
    """The arrays of a params file by name, or a list of those without names.

    MXNet reads a file only with shapes taken as they were when it was written: as numpy does, or not.
    """
    with path.open("rb") as file:
        first = file.read(28)[24:]
    with numpy_shapes(first == params_file.V3.to_bytes(4, "little")):
        return import_mxnet().nd.load(str(path)) or {}


def split_params(arrays: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Argument and auxiliary arrays by name, from a params file's `arg:NAME` and `aux:NAME` entries (or bare names)."""
    if not isinstance(arrays, dict):
        raise ModelError("the params file holds arrays without names; expected arg:NAME and aux:NAME entries")
    args = {k.removeprefix("arg:"): v for k, v in arrays.items() if not k.startswith("aux:")}
    aux = {k.removeprefix("aux:"): v for k, v in arrays.items() if k.startswith("aux:")}
    return args, aux


def first_line(error: BaseException) -> str:
    """The first telling line of an MXNet error, without its C++ stack trace."""
    # MXNet's own wrapper fails on a message that quotes a byte of a broken file.
    text = error.object.decode(errors="replace") if isinstance(error, UnicodeDecodeError) else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line or "Check failed" in line or "shape" in line]
    return (telling or lines or [type(error).__name__])[0][:300]


@contextmanager
def numpy_shapes(wanted: bool = True) -> Iterator[None]:
    """Within it, MXNet takes shapes as numpy does: () has one element, (0, 3) none. As `mx.util.np_shape`, which logs a remark."""
    before = ctypes.c_int()
    _library().MXSetIsNumpyShape(int(wanted), ctypes.byref(before))
    try:
        yield
    finally:
        _library().MXSetIsNumpyShape(before, ctypes.byref(before))


class Executor:
    """A symbol bound for one batch size: views of its input memory, and of its outputs' after a pass."""

    def __init__(self, symbol: Any, arrays: dict[str, Any], aux: dict[str, Any], inputs: dict[str, Any]) -> None:
        mx = import_mxnet()
        self._inputs = inputs  # the views below are into these arrays' memory
        fast = tuned(symbol, {**arrays, **inputs})
        everything = {**arrays, **inputs, **fast.arguments}
        self._bound = fast.symbol.bind(mx.cpu(), everything, aux_states={**aux, **fast.states}, grad_req="null")
        self.views = {name: _view(array) for name, array in inputs.items()}
        self._handle = self._bound.handle
        self._forward = _library().MXExecutorForward
        self._outputs: list[Any] = []
        self._pointers: list[int] = []
        self._results: list[Array] = []

    def run(self) -> list[Array]:
        """One pass over what the views hold. The arrays are the executor's own memory: the next pass overwrites them."""
        if self._forward(self._handle, 0) != 0:
            raise RuntimeError(first_line(import_mxnet().base.MXNetError(_library_error())))
        if not mxnet_import.synchronous:
            import_mxnet().nd.waitall()
        if not self._outputs:
            self._outputs = list(self._bound._get_outputs())
        # A oneDNN layout is turned back to the plain one by the call that asks for the pointer.
        pointers = [_pointer(array.handle) for array in self._outputs]
        if pointers != self._pointers:
            self._pointers, self._results = pointers, [_view(array) for array in self._outputs]
        return self._results


class SymbolModel:
    """A symbol, its parameters and its signature as a loaded model.

    `heads`, of a converted model, say which of the symbol's outputs each of the signature's outputs is. Its symbol need not
    read all of the inputs.
    """

    def __init__(
        self, symbol: Any, args: dict[str, Any], aux: dict[str, Any], signature: Signature, *, heads: tuple[int, ...] = ()
    ) -> None:
        self._symbol, self._aux, self._heads = symbol, aux, heads
        names = set(symbol.list_arguments())
        self._args = {name: array for name, array in args.items() if name in names}
        feeds = [tensor for tensor in signature.inputs if tensor.name in names]
        absent = [tensor.name for tensor in signature.inputs if tensor.name not in names]
        if absent and not heads:
            raise ModelError(
                f"the signature names inputs that the symbol does not have: {absent}; it has {sorted(names - set(args))}"
            )
        self._others = sorted(names - set(self._args) - {tensor.name for tensor in feeds})
        outputs = tuple(Tensor(name, None, np.dtype("float32")) for name in symbol.list_outputs())
        self.signature = signature if heads else Signature(tuple(feeds), outputs)
        self._unread = set(absent)
        self._reshapes = Reshapes(symbol)
        self._executors: OrderedDict[tuple[Any, ...], Executor] = OrderedDict()
        self._stacks: dict[tuple[Any, ...], bool] = {}
        rows = {tensor.name: tensor.shape[1:] for tensor in feeds if tensor.shape and None not in tensor.shape[1:]}
        self._independent: dict[tuple[Any, ...], bool] = {}
        self._is_known = len(rows) == len(feeds)
        # Where sizes are open `stacks` tells of each request.
        self.stackable = self._do_stack(rows) if self._is_known else True  # type: ignore[arg-type]
        self.max_batch = self._max_batch()

    def forward(self, inputs: Inputs) -> Outputs:
        """One pass over stacked rows, in as many batches as memory asks for."""
        if self._unread:
            inputs = {name: array for name, array in inputs.items() if name not in self._unread}
        rows = len(next(iter(inputs.values())))
        stacks = self._counts_rows(inputs) if rows == 1 else self.stacks(inputs)
        if rows <= self.max_batch or not stacks:
            return self._pass(inputs, rows, stacks)
        parts = [
            self._pass({k: v[at : at + self.max_batch] for k, v in inputs.items()}, min(self.max_batch, rows - at), stacks)
            for at in range(0, rows, self.max_batch)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def stacks(self, inputs: Inputs) -> bool:
        """Whether rows like these may share a pass with other requests', and with rows that only fill a batch up.

        Asked for the first time, of each row shape, it runs three small passes: two rows together, and each alone.
        """
        if not self._counts_rows(inputs):
            return False
        key = () if self._is_known else tuple(array.shape[1:] for array in inputs.values())
        if key not in self._independent:
            if len(self._independent) >= MAX_EXECUTORS:
                self._independent.clear()
            self._independent[key] = self._are_independent(inputs)
        return self._independent[key]

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all parameters."""
        return sum(int(np.prod(a.shape, dtype=np.int64)) * np.dtype(a.dtype).itemsize for a in self._args.values())

    def close(self) -> None:
        """Drop the executors and the parameters."""
        self._executors.clear()
        self._args = {}

    def _pass(self, inputs: Inputs, rows: int, stacks: bool) -> Outputs:
        size = 1 << (rows - 1).bit_length() if stacks else rows
        key = (size, *[array.shape[1:] for array in inputs.values()])
        executor = self._executors.get(key)
        if executor is None:
            executor = self._bind(key, {name: (size, *array.shape[1:]) for name, array in inputs.items()})
        for name, view in executor.views.items():
            view[:rows] = inputs[name]
        results = executor.run()
        if self._heads:
            results = [results[head] for head in self._heads]
        tensors = self.signature.outputs
        if not stacks:
            return {tensor.name: result.copy() for tensor, result in zip(tensors, results, strict=True)}
        return {tensor.name: result[:rows].copy() for tensor, result in zip(tensors, results, strict=True)}

    def _bind(self, key: tuple[Any, ...], wanted: dict[str, tuple[int, ...]]) -> Executor:
        mx = import_mxnet()
        if not self._heads:  # of a converted model, sizes were tried when it was converted
            self._reshapes.check(wanted)
        dtypes = {tensor.name: tensor.dtype for tensor in self.signature.inputs}
        inputs = {name: mx.nd.zeros(shape, dtype=dtypes[name]) for name, shape in wanted.items()}
        others = {}
        if self._others:  # labels of a loss layer: read by no forward pass, but bound all the same
            known, _, _ = self._symbol.infer_shape_partial(**wanted)
            by_name = dict(zip(self._symbol.list_arguments(), known, strict=True))
            others = {name: mx.nd.zeros(by_name[name] or (1,)) for name in self._others}
        try:
            with numpy_shapes(bool(self._heads)):
                executor = Executor(self._symbol, {**self._args, **others}, self._aux, inputs)
        except mx.MXNetError as error:
            raise ModelError(f"the model does not take inputs of shape {wanted}: {first_line(error)}") from None
        self._executors[key] = executor
        if len(self._executors) > MAX_EXECUTORS:
            self._executors.popitem(last=False)
        return executor

    def _counts_rows(self, inputs: Inputs) -> bool:
        return self.stackable if self._is_known else self._do_stack({k: v.shape[1:] for k, v in inputs.items()})

    def _are_independent(self, inputs: Inputs) -> bool:
        """Whether a row's outputs are the same beside another row as alone: shapes do not show a softmax over the rows."""
        random = np.random.default_rng(0)
        two = {name: random.integers(0, 2, (2, *array.shape[1:])).astype(array.dtype) for name, array in inputs.items()}
        two = {k: v * random.random(v.shape, np.float32).astype(v.dtype) if v.dtype.kind == "f" else v for k, v in two.items()}
        try:
            together = self._pass(two, 2, True)
            alone = [self._pass({name: array[at : at + 1] for name, array in two.items()}, 1, True) for at in (0, 1)]
        except (ModelError, RuntimeError):
            return False
        same = all(agree(array[at : at + 1], alone[at][name]) for name, array in together.items() for at in (0, 1))
        if not same:
            log.warning("rows of one batch change each other's outputs: every request has a pass of its own")
        return same

    def _do_stack(self, row_shapes: dict[str, tuple[int, ...]]) -> bool:
        """Whether rows of two requests may share a pass: every output's first axis counts the inputs' rows."""
        key = tuple(row_shapes.items())
        if key not in self._stacks:
            if len(self._stacks) >= MAX_EXECUTORS:
                self._stacks.clear()
            self._stacks[key] = all(self._counts(row_shapes, rows) for rows in (2, 3))
        return self._stacks[key]

    def _counts(self, row_shapes: dict[str, tuple[int, ...]], rows: int) -> bool:
        """Whether so many rows in are so many rows out, in every output."""
        # A converted model's with the parameters' own shapes: what they are added to does not tell them. Of any other model a
        # shape that the parameters contradict is found by the first pass, which says so.
        known = {name: array.shape for name, array in self._args.items() if name not in row_shapes} if self._heads else {}
        fed = {name: (rows, *shape) for name, shape in row_shapes.items()}
        try:
            with numpy_shapes(bool(self._heads)):
                _, found, _ = self._symbol.infer_shape_partial(**known, **fed)
        except import_mxnet().MXNetError:
            return False
        return all(shape and shape[0] == rows for shape in found)

    def _max_batch(self) -> int:
        if not self.stackable:
            return sys.maxsize
        sizes = [
            np.prod([size or 1 for size in t.shape[1:]], dtype=np.int64) * t.dtype.itemsize
            for t in self.signature.inputs
            if t.shape and None not in t.shape[1:]
        ]
        fitting = MAX_BATCH_BYTES // max(1, int(sum(sizes))) if sizes else 8
        return 1 << (max(1, min(64, fitting)).bit_length() - 1)


def set_threads(count: int) -> None:
    """OpenMP threads of the calling thread's passes: right after a fork, before its first pass, or it has no effect."""
    ctypes.CDLL("libgomp.so.1").omp_set_num_threads(ctypes.c_int(count))


def _library() -> Any:
    """A handle of MXNet's library of our own, with the prototypes of the calls that every pass makes."""
    global _LIBRARY
    if _LIBRARY is None:
        _LIBRARY = ctypes.CDLL(import_mxnet().base._LIB._name)
        _LIBRARY.MXExecutorForward.argtypes = [ctypes.c_void_p, ctypes.c_int]
        _LIBRARY.MXNDArrayGetData.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)]
        _LIBRARY.MXGetLastError.restype = ctypes.c_char_p
    return _LIBRARY


_LIBRARY: Any = None
_POINTER = ctypes.c_void_p()


def _library_error() -> str:
    return bytes(_library().MXGetLastError() or b"").decode(errors="replace")


def _pointer(handle: Any) -> int:
    """The address of an NDArray's memory, in the plain layout."""
    if _library().MXNDArrayGetData(handle, ctypes.byref(_POINTER)) != 0:
        raise RuntimeError(first_line(RuntimeError(_library_error())))
    return _POINTER.value or 0


def _view(array: Any) -> Array:
    """A numpy array over an NDArray's own memory; the NDArray must outlive it."""
    dtype, shape = np.dtype(array.dtype), tuple(array.shape)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory = (ctypes.c_char * size).from_address(_pointer(array.handle))
    return np.asarray(np.frombuffer(memoryview(memory), dtype)).reshape(shape)
