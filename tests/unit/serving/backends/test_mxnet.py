"""Symbols as loaded models: whatever the rows, the answers of a plain executor bound for exactly these rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends import mxnet as backend
from serving.backends.mxnet import SymbolModel
from serving.errors import BadRequest, ModelError
from serving.handlers.default_service import DefaultService
from serving.models.layout import Layout
from serving.models.signature import Signature, Tensor

RNG = np.random.default_rng(7)
Inputs = dict[str, Any]


def tensors(**shapes: Any) -> Signature:
    """A signature of float32 inputs; a pair is (shape, dtype)."""
    known = {
        name: shape if isinstance(shape, tuple) and isinstance(shape[-1], str) else (shape, "float32")
        for name, shape in shapes.items()
    }
    return Signature(tuple(Tensor(name, shape, np.dtype(dtype)) for name, (shape, dtype) in known.items()))


class Case:
    """A symbol with random parameters, as our model and as a plain executor."""

    def __init__(self, mx: Any, symbol: Any, signature: Signature, **feeds: tuple[int, ...]) -> None:
        self.mx, self.symbol, self.feeds = mx, symbol, feeds
        self.args, self.aux = self._arrays({name: (2, *shape) for name, shape in feeds.items()})
        self.model = SymbolModel(symbol, self.args, self.aux, signature)

    def _arrays(self, known: dict[str, tuple[int, ...]]) -> tuple[dict[str, Any], dict[str, Any]]:
        shapes, _, states = self.symbol.infer_shape(**known)
        names = [name for name in self.symbol.list_arguments() if not name.endswith("label")]
        sizes = dict(zip(self.symbol.list_arguments(), shapes, strict=True))
        draw = lambda shape: self.mx.nd.array(RNG.uniform(0.1, 1, shape))  # noqa: E731
        args = {name: draw(sizes[name]) for name in names if name not in known}
        return args, {n: draw(s) for n, s in zip(self.symbol.list_auxiliary_states(), states, strict=True)}

    def inputs(self, rows: int) -> Inputs:
        """Random rows for every input, small whole numbers where it takes whole numbers."""
        made = {}
        for tensor in self.model.signature.inputs:
            shape = (rows, *self.feeds[tensor.name])
            values = RNG.integers(0, 5, shape) if tensor.dtype.kind == "i" else RNG.normal(size=shape)
            made[tensor.name] = values.astype(tensor.dtype)
        return made

    def expected(self, inputs: Inputs) -> list[Any]:
        """What an executor bound afresh for these very inputs answers."""
        feeds = {name: self.mx.nd.array(value, dtype=value.dtype) for name, value in inputs.items()}
        shapes, _, _ = self.symbol.infer_shape_partial(**{name: value.shape for name, value in inputs.items()})
        labels = {
            name: self.mx.nd.zeros(shape)
            for name, shape in zip(self.symbol.list_arguments(), shapes, strict=True)
            if name.endswith("label")
        }
        bound = self.symbol.bind(self.mx.cpu(), {**self.args, **labels, **feeds}, aux_states=self.aux, grad_req="null")
        return [output.asnumpy() for output in bound.forward(is_train=False)]

    def check(self, rows: int) -> None:
        """Our answer is the plain executor's."""
        inputs = self.inputs(rows)
        outputs = self.model.forward(inputs)
        assert list(outputs) == self.symbol.list_outputs()
        for ours, plain in zip(outputs.values(), self.expected(inputs), strict=True):
            np.testing.assert_allclose(ours, plain, rtol=1e-5, atol=1e-6)


def dense(mx: Any) -> Case:
    """One layer, its input's width known."""
    symbol = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    return Case(mx, symbol, tensors(data=(None, 3)), data=(3,))


def several(mx: Any) -> Case:
    """Two inputs of different ranks, three outputs."""
    a, b = mx.sym.var("a"), mx.sym.var("b")
    left = mx.sym.FullyConnected(a, num_hidden=2, name="left")
    both = mx.sym.broadcast_add(left, b.expand_dims(1), name="both")
    signature = tensors(a=(None, 3), b=((None,), "float32"))
    return Case(mx, mx.sym.Group([left, both, b * 2]), signature, a=(3,), b=())


def embedding(mx: Any) -> Case:
    """Whole numbers in, as indices."""
    symbol = mx.sym.Embedding(mx.sym.var("ids"), input_dim=5, output_dim=3, name="words")
    return Case(mx, symbol, tensors(ids=((None, 4), "int32")), ids=(4,))


def loss(mx: Any) -> Case:
    """A training symbol, whose loss layer has a label that no request brings."""
    hidden = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    return Case(mx, mx.sym.SoftmaxOutput(hidden, name="softmax"), tensors(data=(None, 3)), data=(3,))


def states(mx: Any) -> Case:
    """Auxiliary states, and a convolution whose output oneDNN keeps in a layout of its own."""
    conv = mx.sym.Convolution(mx.sym.var("data"), kernel=(3, 3), num_filter=8, name="conv")
    symbol = mx.sym.Activation(mx.sym.BatchNorm(conv, name="bn"), act_type="relu")
    return Case(mx, symbol, tensors(data=(None, 3, 8, 8)), data=(3, 8, 8))


def unknown(mx: Any) -> Case:
    """Shapes that nobody knows before the first request."""
    symbol = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=4, name="fc")
    return Case(mx, symbol, tensors(data=None), data=(3,))


STACKING = (dense, several, embedding, loss, states, unknown)


@pytest.mark.parametrize("make", STACKING, ids=lambda make: make.__name__)
def test_any_number_of_rows(mx: Any, make: Callable[[Any], Case]) -> None:
    """From 1 to 70 rows, up and down, executors of powers of two answer as fresh ones of exact sizes do."""
    case = make(mx)
    assert case.model.stackable
    for rows in (1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 63, 64, 65, 70, 64, 17, 2, 1):
        case.check(rows)


def test_every_number_of_rows(mx: Any) -> None:
    """Each of 1 to 70 rows, one after the other."""
    case = dense(mx)
    for rows in range(1, 71):
        case.check(rows)


def test_what_another_request_left_behind_does_not_show(mx: Any) -> None:
    """Rows of a larger batch before, not-a-number among them, stay out of the next answer."""
    case = dense(mx)
    case.model.forward({"data": np.full((4, 3), np.nan, "float32")})
    case.check(3)


def test_outputs_are_the_callers(mx: Any) -> None:
    """An answer does not change when the next pass runs."""
    case = dense(mx)
    (first,) = case.model.forward({"data": np.ones((2, 3), "float32")}).values()
    kept = first.copy()
    case.model.forward({"data": np.zeros((2, 3), "float32")})
    np.testing.assert_array_equal(first, kept)


def test_rows_that_do_not_stack(mx: Any) -> None:
    """A symbol that fixes its batch says so, is run with exactly its rows, and refuses others as the request's fault."""
    symbol = mx.sym.Reshape(mx.sym.var("data"), shape=(2, 6))
    case = Case(mx, symbol, tensors(data=(None, 3)), data=(3,))
    assert not case.model.stackable
    case.check(4)
    case.check(4)
    with pytest.raises(BadRequest, match=r"does not take inputs of shape \{'data': \(3, 3\)\}"):
        DefaultService(case.model).predict([case.inputs(3)], [])


@pytest.mark.parametrize("shape", [(None, 3), (None, None)], ids=["known", "open"])
def test_rows_that_change_each_other(mx: Any, shape: tuple[int | None, ...]) -> None:
    """A symbol that mixes rows but keeps their count is found out by numbers: rows of two requests never meet in it."""
    case = Case(mx, mx.sym.softmax(mx.sym.var("data"), axis=0), tensors(data=shape), data=(3,))
    for rows in (1, 2, 3, 5):
        case.check(rows)
    requests = [case.inputs(1), case.inputs(2), case.inputs(1)]
    answers = DefaultService(case.model).predict(requests, [])
    for inputs, outputs in zip(requests, answers, strict=True):
        np.testing.assert_allclose(next(iter(outputs.values())), case.expected(inputs)[0], rtol=1e-5)


def test_outputs_without_rows(mx: Any) -> None:
    """A symbol whose output does not count rows is not stacked."""
    case = Case(mx, mx.sym.sum(mx.sym.var("data") * 2), tensors(data=(None, 3)), data=(3,))
    assert not case.model.stackable
    case.check(5)


@pytest.mark.parametrize("make", [lambda mx, x: mx.sym.sum(x), lambda mx, x: mx.sym.transpose(x)], ids=["sum", "transpose"])
def test_open_shapes_that_do_not_stack(mx: Any, make: Callable[[Any, Any], Any]) -> None:
    """Where shapes are known by the request alone, rows that do not stack meet neither padding nor other requests' rows."""
    model = SymbolModel(make(mx, mx.sym.var("data")), {}, {}, tensors(data=None))
    service = DefaultService(model)
    service.predict([{"data": np.full((8, 4), 100, "float32")}], [])
    inputs = [{"data": RNG.normal(size=(rows, 4)).astype("float32")} for rows in (3, 1, 9, 3)]
    expected = [next(iter(model.forward(one).values())) for one in inputs]
    plain = [one["data"].sum() if "sum" in model.signature.outputs[0].name else one["data"].T for one in inputs]
    for answer, alone, right in zip(service.predict(inputs, []), expected, plain, strict=True):
        np.testing.assert_allclose(next(iter(answer.values())), alone)
        np.testing.assert_allclose(np.squeeze(alone), np.squeeze(right), rtol=1e-5)


def test_other_sizes_of_open_axes(mx: Any) -> None:
    """Sizes that the signature leaves open may change from request to request."""
    symbol = mx.sym.sum(mx.sym.var("data"), axis=2)
    model = SymbolModel(symbol, {}, {}, tensors(data=(None, 3, None)))
    for size in (1, 5, 2, 5):
        (answer,) = model.forward({"data": np.ones((3, 3, size), "float32")}).values()
        np.testing.assert_array_equal(answer, np.full((3, 3), size))


def test_executors_are_bounded(mx: Any) -> None:
    """However many shapes clients send, no more executors are kept than the limit; answers stay right."""
    model = SymbolModel(mx.sym.sum(mx.sym.var("data"), axis=1), {}, {}, tensors(data=(None, None)))
    for size in range(1, backend.MAX_EXECUTORS + 20):
        (answer,) = model.forward({"data": np.ones((1, size), "float32")}).values()
        assert answer.tolist() == [size]
        assert len(model._executors) <= backend.MAX_EXECUTORS
    assert next(iter(model.forward({"data": np.ones((1, 3), "float32")}).values())).tolist() == [3.0]


def test_large_rows_are_taken_in_parts(mx: Any) -> None:
    """Rows beyond what a batch may hold in bytes go through several passes, and come back in order."""
    wide = backend.MAX_BATCH_BYTES // 8
    model = SymbolModel(mx.sym.sum(mx.sym.var("data"), axis=1), {}, {}, tensors(data=(None, wide)))
    assert model.max_batch == 2
    data = np.zeros((5, wide), "float32")
    data[:, 0] = range(5)
    (answer,) = model.forward({"data": data}).values()
    assert answer.tolist() == [0, 1, 2, 3, 4]


def test_inputs_that_the_symbol_lacks(mx: Any) -> None:
    """A signature with a name that the symbol does not have fails the load, with both."""
    with pytest.raises(ModelError, match=r"\['dat'\]; it has \['data'\]"):
        SymbolModel(mx.sym.var("data") * 2, {}, {}, tensors(dat=(None, 3)))


def test_parameter_bytes(mx: Any) -> None:
    """The size of the parameters is known without a pass."""
    assert dense(mx).model.parameter_bytes == (4 * 3 + 4) * 4


def test_close(mx: Any) -> None:
    """A closed model holds neither executors nor parameters."""
    model = dense(mx).model
    model.forward({"data": np.ones((1, 3), "float32")})
    model.close()
    assert (model.parameter_bytes, len(model._executors)) == (0, 0)


# ---- from files


@pytest.fixture
def saved(mx: Any, tmp_path: Path) -> Layout:
    """A model directory of one layer with its shapes, as MXNet saves it."""
    case = dense(mx)
    case.symbol.save(str(tmp_path / "model-symbol.json"))
    mx.nd.save(str(tmp_path / "model-0000.params"), {f"arg:{name}": array for name, array in case.args.items()})
    (tmp_path / "model-shapes.json").write_text(json.dumps([{"name": "data", "shape": [1, 3]}]))
    layout = Layout(tmp_path, "mxnet")
    fields = {"symbol": "model-symbol.json", "params": "model-0000.params", "shapes": "model-shapes.json"}
    for field, name in fields.items():
        object.__setattr__(layout, field, tmp_path / name)
    return layout


def test_load(mx: Any, saved: Layout) -> None:
    """Symbol, parameters and shapes make a model that answers as the symbol does."""
    model = backend.load(saved)
    data = np.ones((3, 3), "float32")
    weights = mx.nd.load(str(saved.params))
    expected = data @ weights["arg:fc_weight"].asnumpy().T + weights["arg:fc_bias"].asnumpy()
    np.testing.assert_allclose(next(iter(model.forward({"data": data}).values())), expected, rtol=1e-5)
    assert [str(tensor) for tensor in model.signature.inputs] == ["data: float32 (*, 3)"]


@pytest.mark.parametrize("broken", ["symbol", "params"])
@pytest.mark.parametrize("content", [b"", b"{}", b"nonsense", b"\0" * 100])
def test_load_broken_files(mx: Any, saved: Layout, broken: str, content: bytes) -> None:
    """A file that MXNet cannot read is one line with both names, without its C++ stack trace."""
    getattr(saved, broken).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        backend.load(saved)
    assert "model-symbol.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "args", "aux"), [(["arg:a", "aux:b"], ["a"], ["b"]), (["a", "b"], ["a", "b"], []), (["arg:arg:a"], ["arg:a"], [])]
)
def test_split_params(names: list[str], args: list[str], aux: list[str]) -> None:
    """`arg:` and `aux:` tell the two kinds apart; bare names are arguments."""
    found = backend.split_params(dict.fromkeys(names, 0))
    assert (sorted(found[0]), sorted(found[1])) == (args, aux)


def test_params_without_names() -> None:
    """A file of arrays without names is no parameter file."""
    with pytest.raises(ModelError, match="without names"):
        backend.split_params([1, 2])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Traceback\n  File x\nMXNetError: Check failed: a\nStack trace:\n  [bt] 1", "MXNetError: Check failed: a"),
        ("\n plain \n", "plain"),
        ("", "RuntimeError"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_first_line(text: str, line: str) -> None:
    """An MXNet error is told by its one telling line."""
    assert backend.first_line(RuntimeError(text)) == line
