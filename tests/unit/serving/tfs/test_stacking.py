"""Which models' requests may share a pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.backends.tensorflow import SignatureDef, TensorInfo
from serving.errors import BadRequest
from serving.invocation import Inputs, Outputs
from serving.tfs.service import TfsService
from serving.tfs.stacking import Stacking

FLOAT = np.dtype("float32")


class Model:
    """A function of one array behind the interface of a loaded model; it counts its passes."""

    def __init__(self, function: Any) -> None:
        self.function, self.passes = function, 0

    def run(self, signature: str, inputs: Inputs, outputs: tuple[str, ...] = ()) -> Outputs:
        """One pass."""
        self.passes += 1
        return {"y": self.function(inputs["x"])}


def signature(shape: tuple[int | None, ...] | None = (None, 3), dtype: Any = FLOAT, out: Any = (None, 3)) -> SignatureDef:
    """x in, y out."""
    return SignatureDef(
        "serving_default",
        "tensorflow/serving/predict",
        (TensorInfo("x", "x:0", np.dtype(dtype), 1, shape),),
        (TensorInfo("y", "y:0", FLOAT, 1, out),),
    )


def test_independent_rows() -> None:
    """Rows that give the same alone and together may share a pass; three passes find it out, once."""
    model = Model(lambda x: x * 2)
    stacking = Stacking(model)
    assert [stacking.allows(signature()), stacking.allows(signature())] == [True, True]
    assert model.passes == 3


@pytest.mark.parametrize(
    "function",
    [lambda x: x - x.mean(), lambda x: x.sum(keepdims=True), lambda x: np.concatenate([x, x])],
    ids=["mixes rows", "sums rows up", "doubles rows"],
)
def test_dependent_rows(function: Any) -> None:
    """Rows that change each other's outputs, or their number, have passes of their own."""
    assert Stacking(Model(function)).allows(signature()) is False


def test_a_state() -> None:
    """A model whose answers depend on earlier passes is not stacked."""
    calls = iter(range(100))
    assert Stacking(Model(lambda x: x + next(calls))).allows(signature()) is False


@pytest.mark.parametrize(
    "known",
    [
        signature(None),
        signature((3,)),
        signature((2, 3)),
        signature(out=(3,)),
        signature((None, 3), object),
        signature((None, 1 << 30)),
    ],
    ids=["unknown rank", "fixed size", "fixed rows", "fixed output", "strings", "huge rows"],
)
def test_what_cannot_be_found_out(known: SignatureDef) -> None:
    """Without an open first axis everywhere, or without samples, no pass is made and nothing is stacked."""
    model = Model(lambda x: x)
    assert Stacking(model).allows(known) is False
    assert model.passes == 0


def test_a_refused_sample() -> None:
    """A model that refuses random rows is not stacked."""

    def refuse(x: Any) -> Any:
        raise BadRequest("not these")

    assert Stacking(Model(refuse)).allows(signature()) is False


def test_the_users_word() -> None:
    """SAGEMAKER_TFS_ENABLE_BATCHING says that rows may be stacked: strings too, but not what has no rows."""
    trusting = Stacking(Model(lambda x: x - x.mean()), trusted=True)
    assert trusting.allows(signature()) is True
    assert Stacking(Model(lambda x: x), trusted=True).allows(signature(dtype=object)) is True
    assert Stacking(Model(lambda x: x), trusted=True).allows(signature(None)) is False


@pytest.mark.parametrize(
    ("name", "stacks"), [("half", True), ("pair", True), ("counter", False), ("unknown", False), ("strings", False)]
)
def test_models(service: TfsService, name: str, stacks: bool) -> None:
    """TensorFlow's own models are told apart."""
    servable = service.servables.find(name, None)
    assert servable.default_signature is not None
    assert servable.stacking.allows(servable.default_signature) is stacks


def test_signatures_are_told_apart(service: TfsService) -> None:
    """One signature of a model may stack where another does not."""
    pair = service.servables.find("pair", None)
    assert pair.stacking.allows(pair.signature("total")) is False
