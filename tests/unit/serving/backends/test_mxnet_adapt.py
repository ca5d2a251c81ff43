"""What a user's `model_fn` may return, as loaded models that answer what the object itself answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving.backends.mxnet import SymbolModel, adapt
from serving.backends.mxnet_adapt import BlockModel
from serving.errors import BadRequest, ModelError
from serving.handlers.default_service import DefaultService
from serving.models.signature import Signature, Tensor

ROWS = np.random.default_rng(3).normal(size=(5, 3)).astype("float32")
KNOWN = Signature((Tensor("data", (None, 3), np.dtype("float32")),))


def sequential(mx: Any) -> Any:
    """A hybrid network with states."""
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(4, in_units=3, activation="relu"), mx.gluon.nn.BatchNorm(in_channels=4))
    return net


def deferred(mx: Any) -> Any:
    """A hybrid network whose sizes wait for its first pass."""
    net = mx.gluon.nn.HybridSequential()
    net.add(mx.gluon.nn.Dense(4), mx.gluon.nn.Dense(2))
    return net


def plain(mx: Any) -> Any:
    """A block that cannot be traced: it looks at its input."""

    class Plain(mx.gluon.Block):  # type: ignore[misc, name-defined]
        """Adds the number of rows."""

        def __init__(self) -> None:
            super().__init__()
            self.dense = mx.gluon.nn.Dense(2, in_units=3)

        def forward(self, x: Any) -> Any:
            """The layer, plus the mean of the input."""
            return self.dense(x) + float(x.mean().asscalar() > -100)

    return Plain()


def looking(mx: Any) -> Any:
    """A hybrid block that looks at its input's shape, which a variable does not have."""

    class Looking(mx.gluon.HybridBlock):  # type: ignore[misc, name-defined]
        """Scales by the width."""

        def hybrid_forward(self, F: Any, x: Any) -> Any:
            """The input times its width."""
            return x * x.shape[1]

    return Looking()


BLOCKS = [(sequential, SymbolModel), (deferred, BlockModel), (plain, BlockModel), (looking, BlockModel)]


@pytest.mark.parametrize(("make", "kind"), BLOCKS, ids=[make.__name__ for make, _ in BLOCKS])
@pytest.mark.parametrize("signature", [None, KNOWN], ids=["open", "known"])
def test_blocks(mx: Any, make: Callable[[Any], Any], kind: type, signature: Signature | None) -> None:
    """A block is traced where it can be and called where not, and answers the same either way."""
    block = make(mx)
    block.initialize(mx.init.Uniform(1))
    model = adapt(block, signature)
    assert type(model) is kind
    expected = block(mx.nd.array(ROWS)).asnumpy()
    for rows in (5, 1, 3):
        (answer,) = model.forward({"data": ROWS[:rows]}).values()
        np.testing.assert_allclose(answer, expected[:rows], rtol=1e-5, atol=1e-6)
    model.close()


def test_symbol_block(mx: Any, tmp_path: Path) -> None:
    """An exported network that is imported again is traced, with the states it was exported with."""
    net = sequential(mx)
    net.initialize(mx.init.Uniform(1))
    net.hybridize()
    expected = net(mx.nd.array(ROWS)).asnumpy()
    net.export(str(tmp_path / "net"))
    block = mx.gluon.SymbolBlock.imports(str(tmp_path / "net-symbol.json"), ["data"], str(tmp_path / "net-0000.params"))
    model = adapt(block, None)
    assert type(model) is SymbolModel
    np.testing.assert_allclose(next(iter(model.forward({"data": ROWS}).values())), expected, rtol=1e-5)


def test_several_outputs(mx: Any) -> None:
    """A block with several outputs has several, in order."""

    class Two(mx.gluon.Block):  # type: ignore[misc, name-defined]
        """Twice and thrice."""

        def forward(self, x: Any) -> Any:
            """Both."""
            return x * 2, x * 3

    answers = adapt(Two(), None).forward({"data": ROWS})
    assert list(answers) == ["output0", "output1"]
    np.testing.assert_allclose(answers["output1"], ROWS * 3)


@pytest.mark.parametrize("make", [sequential, deferred, plain], ids=lambda make: make.__name__)
def test_a_block_without_parameters(mx: Any, make: Callable[[Any], Any]) -> None:
    """A block that was never initialized fails the load, by the name of a parameter, and not the first request."""
    with pytest.raises(ModelError, match="parameter .*weight is not initialized"):
        adapt(make(mx), None)


def bound(mx: Any) -> Any:
    """A Module bound to its shapes, with parameters."""
    symbol = mx.sym.softmax(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2))
    module = mx.mod.Module(symbol, label_names=None)
    module.bind(for_training=False, data_shapes=[("data", (4, 3))])
    module.init_params(mx.init.Uniform(1))
    return module


def test_module(mx: Any) -> None:
    """A Module answers any number of rows as it answers its own, by the names and shapes it was bound with."""
    module = bound(mx)
    model = adapt(module, None)
    assert [str(tensor) for tensor in model.signature.inputs] == ["data: float32 (*, 3)"]
    expected = module.predict(mx.io.NDArrayIter(ROWS[:4], batch_size=4)).asnumpy()
    for rows in (4, 1, 3):
        (answer,) = model.forward({"data": ROWS[:rows]}).values()
        np.testing.assert_allclose(answer, expected[:rows], rtol=1e-5)


def test_module_without_parameters(mx: Any) -> None:
    """A Module that has none fails the load, with what to call."""
    module = mx.mod.Module(mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2), label_names=None)
    with pytest.raises(ModelError, match="set_params or init_params"):
        adapt(module, None)


@pytest.mark.parametrize("made", [None, 3, {}, object, "a net"])
def test_anything_else(mx: Any, made: Any) -> None:
    """A value that is neither is refused by its type."""
    with pytest.raises(ModelError, match="expected a Gluon block or a Module"):
        adapt(made, None)


@pytest.mark.parametrize("make", [sequential, plain], ids=lambda make: make.__name__)
def test_wrong_shapes(mx: Any, make: Callable[[Any], Any]) -> None:
    """Rows that the network does not take are the request's fault, in one line without MXNet's stack trace."""
    block = make(mx)
    block.initialize()
    service = DefaultService(adapt(block, None))
    with pytest.raises(BadRequest, match=r"does not take inputs of shape \{'data': \(2, 7\)\}") as caught:
        service.predict([{"data": np.zeros((2, 7), "float32")}], [])
    assert "\n" not in caught.value.message
    assert "src/" not in caught.value.message
    (answer,) = service.predict([{"data": ROWS}], [])
    assert len(next(iter(answer.values()))) == 5
