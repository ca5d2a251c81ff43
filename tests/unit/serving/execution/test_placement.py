"""Which placement is chosen, and how models are warmed for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.execution import placement
from serving.handlers.default_service import DefaultService
from serving.invocation import Inputs, Outputs
from serving.models import warmup
from serving.models.signature import Signature, Tensor
from serving.settings import Settings

KNOWN = Signature((Tensor("a", (None, 3), np.dtype("float32")),))


class Model:
    """A loaded model that only counts its passes; how long one takes is what the test says `warmup` measured."""

    def __init__(self, parameter_bytes: int = 0, max_batch: int = 64, stackable: bool = True) -> None:
        self.signature = KNOWN
        self.parameter_bytes, self.max_batch, self.stackable = parameter_bytes, max_batch, stackable
        self.passes: list[int] = []

    def forward(self, inputs: Inputs) -> Outputs:
        """The input."""
        self.passes.append(len(inputs["a"]))
        return inputs

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> dict[int, float | None]:
    """Seconds of a pass by its rows, in place of measuring."""
    times: dict[int, float | None] = {}
    monkeypatch.setattr(warmup, "time_pass", lambda service, rows, times_=5, **_: times.get(rows))
    monkeypatch.setattr(warmup, "time_script", lambda service, signature, times_=5, **_: times.get(0))
    return times


@pytest.mark.parametrize("kind", ["inline", "pool"])
def test_as_the_setting_says(kind: str) -> None:
    """A set placement is taken without measuring."""
    model = Model()
    chosen = placement.choose(DefaultService(model), Settings(placement=kind))
    assert (chosen.kind, chosen.why) == (kind, "as EI_PLACEMENT says")
    assert model.passes == []


@pytest.mark.parametrize(("taken", "kind"), [(0.0002, "inline"), (0.00099, "inline"), (0.001, "pool"), (0.05, "pool")])
def test_measured(seconds: dict[int, float | None], taken: float, kind: str) -> None:
    """A warm pass under a millisecond stays on the loop; a longer one would hold it. The log says the time."""
    seconds[1] = taken
    chosen = placement.choose(DefaultService(Model()), Settings())
    assert (chosen.kind, chosen.seconds) == (kind, taken)
    assert f"{taken * 1e3:.2f} ms" in chosen.why


def test_a_large_model_is_not_measured() -> None:
    """Parameters that alone take longer than a millisecond to read decide without a pass."""
    model = Model(parameter_bytes=placement.MAX_INLINE_BYTES + 1)
    assert placement.choose(DefaultService(model), Settings()).kind == "pool"
    assert model.passes == []


def test_what_cannot_be_measured(seconds: dict[int, float | None]) -> None:
    """Without a sample the loop is not put at risk."""
    seconds[1] = None
    chosen = placement.choose(DefaultService(Model()), Settings())
    assert (chosen.kind, chosen.seconds) == ("pool", None)


@pytest.mark.parametrize(("taken", "kind"), [(0.0005, "inline"), (0.5, "pool"), (None, "pool")])
def test_scripts_are_measured_whole(seconds: dict[int, float | None], service: Any, taken: float | None, kind: str) -> None:
    """A user script's whole way from body to answer counts."""
    seconds[0] = taken
    assert placement.choose(service, Settings()).kind == kind


@pytest.mark.parametrize(("setting", "kind"), [("auto", "pool"), ("pool", "pool"), ("inline", "inline")])
def test_where_every_process_loads_for_itself(setting: str, kind: str) -> None:
    """What this process has not loaded it cannot measure: a pool, unless the setting says otherwise."""
    assert placement.unmeasured(Settings(placement=setting)).kind == kind


def test_where_tf_serving_runs_the_models() -> None:
    """An event loop does not wait for another process, whatever the setting says."""
    chosen = placement.unmeasured(Settings(placement="inline", tfs_address="127.0.0.1:9000"))
    assert (chosen.kind, chosen.why) == ("pool", "TF Serving at 127.0.0.1:9000 runs the models")


@pytest.mark.parametrize(
    ("max_batch", "rows"), [(64, {1, 2, 4, 8, 16, 32, 64}), (8, {1, 2, 4, 8}), (1, {1}), (1 << 40, {1, 2, 4, 8, 16, 32, 64})]
)
def test_inline_models_are_warmed_for_every_batch(max_batch: int, rows: set[int]) -> None:
    """Every batch that a turn of the loop can bring has run before the first request."""
    model = Model(max_batch=max_batch)
    placement.warm_inline(DefaultService(model))
    assert set(model.passes) == rows


@pytest.mark.parametrize(
    ("times", "batch"),
    [
        ({1: 0.010, 4: 0.012, 16: 0.015, 64: 0.019}, 64),
        ({1: 0.010, 4: 0.012, 16: 0.015, 64: 0.030}, 16),
        ({1: 0.010, 4: 0.040, 16: 0.001, 64: 0.001}, 1),
        ({1: 0.004, 4: 0.011, 16: 0.001}, 1),
        ({1: 0.004, 4: 0.010, 16: 0.015, 64: None}, 16),
        ({1: 0.030, 4: 0.001}, 1),
        ({1: None, 4: 0.001}, 1),
    ],
)
def test_batches_in_the_pool(seconds: dict[int, float | None], times: dict[int, float | None], batch: int) -> None:
    """A pool's process asks for as many requests at once as were measured to pay, in passes that keep nobody waiting."""
    seconds.update(times)
    assert placement.warm_pool(DefaultService(Model())) == batch


def test_what_does_not_stack_is_not_batched(seconds: dict[int, float | None]) -> None:
    """A model whose rows do not stack gets one request at a time, however fast."""
    seconds.update(dict.fromkeys((1, 4, 16, 64), 0.001))
    assert placement.warm_pool(DefaultService(Model(stackable=False))) == 1


def test_scripts_are_not_batched(seconds: dict[int, float | None], service: Any) -> None:
    """A user script answers one request at a time."""
    assert placement.warm_pool(service) == 1
