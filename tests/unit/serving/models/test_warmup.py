"""Passes before the first request: what they are made of, and what they tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from serving.errors import BadRequest, ModelError
from serving.handlers.default_service import DefaultService
from serving.invocation import Inputs, Outputs, Reply, Request
from serving.models import warmup
from serving.models.signature import Signature, Tensor


def signature(*shapes: tuple[int | None, ...] | None, dtype: str = "float32") -> Signature:
    """A signature of inputs a, b, ..."""
    return Signature(tuple(Tensor(name, shape, np.dtype(dtype)) for name, shape in zip("abc", shapes, strict=False)))


class Clock:
    """Time as passes spend it: real passes take what the machine pleases."""

    def __init__(self) -> None:
        self.now = 0.0
        self.durations: list[float] = []

    def spend(self) -> None:
        """One pass."""
        self.now += self.durations.pop(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that passes are timed by."""
    made = Clock()
    monkeypatch.setattr(warmup, "perf_counter", lambda: made.now)
    return made


class Model:
    """A loaded model that answers its input, and refuses what it is told to refuse."""

    def __init__(self, inputs: Signature, fails: bool = False, stackable: bool = True) -> None:
        self.signature, self.stackable, self._fails = inputs, stackable, fails
        self.seen: list[Inputs] = []
        self.spend: Callable[[], None] = lambda: None

    def forward(self, inputs: Inputs) -> Outputs:
        """The inputs."""
        self.seen.append(inputs)
        self.spend()
        if self._fails:
            raise ModelError("it does not take these")
        return inputs

    def close(self) -> None:
        """Nothing is held."""


def test_a_sample() -> None:
    """Zeros of the signature's shapes and dtypes, with as many rows as asked for and 1 where a size is open."""
    inputs = warmup.sample(signature((None, 3), (None, None, 2), (None,)), rows=4)
    assert inputs is not None
    assert {name: array.shape for name, array in inputs.items()} == {"a": (4, 3), "b": (4, 1, 2), "c": (4,)}
    assert not any(array.any() for array in inputs.values())
    whole = warmup.sample(signature((None, 3), dtype="int64"))
    assert whole is not None
    assert whole["a"].dtype == np.int64


@pytest.mark.parametrize(
    "known",
    [
        None,
        Signature(()),
        signature(None),
        signature((None, 3), None),
        signature((None, 1 << 20, 1 << 20)),
        signature((None, 1 << 40, 1 << 40)),
    ],
    ids=["none", "no inputs", "open rank", "one of two open", "a terabyte", "more than can be counted"],
)
def test_no_sample(known: Signature | None) -> None:
    """Where a rank is open nothing is guessed, and no sample fills the memory."""
    assert warmup.sample(known) is None


def test_time_of_a_pass(clock: Clock) -> None:
    """The fastest of the passes after the first, which builds what the others use."""
    clock.durations = [0.001, 0.004, 0.002, 0.003]
    model = Model(signature((None, 3)))
    model.spend = clock.spend
    assert warmup.time_pass(DefaultService(model), rows=8, times=3) == pytest.approx(0.002)
    assert [inputs["a"].shape for inputs in model.seen] == [(8, 3)] * 4


def test_time_of_a_pass_without_a_sample() -> None:
    """No sample, no time, and no pass."""
    model = Model(signature(None))
    assert warmup.time_pass(DefaultService(model), rows=1) is None
    assert model.seen == []


def test_a_pass_that_fails() -> None:
    """A model that does not take its own signature fails the start with what to look at, and not the first request."""
    with pytest.raises(ModelError, match="it does not take these; check the shapes file"):
        warmup.time_pass(DefaultService(Model(signature((None, 3)), fails=True)), rows=1)


def test_a_model_that_wants_its_own_rows() -> None:
    """A model whose rows do not stack may refuse one row alone: that is no fault of its files, only no sample."""
    assert warmup.time_pass(DefaultService(Model(signature((None, 3)), fails=True, stackable=False)), rows=1) is None


class Script:
    """A user script's service that reads only one content type."""

    def __init__(self, reads: str, status: int = 200, stream: bool = False) -> None:
        self.reads, self.status, self.stream = reads, status, stream
        self.seen: list[tuple[str, bytes]] = []
        self.spend: Callable[[], None] = lambda: None

    def decode(self, request: Request) -> Any:
        """The body, or a refusal."""
        self.seen.append((request.content_type, bytes(request.body)))
        if request.content_type != self.reads:
            raise BadRequest("not read")
        return request.body

    def predict(self, inputs: list[Any], requests: list[Request]) -> list[Any]:
        """The bodies."""
        self.spend()
        return inputs

    def encode(self, output: Any, request: Request) -> Reply:
        """An answer, or a stream."""
        return Reply(iter([b"x"]) if self.stream else b"x", status=self.status)


@pytest.mark.parametrize(
    ("reads", "body"),
    [("application/json", b"[[0.0,0.0,0.0]]"), ("application/x-npy", b"\x93NUMPY"), ("text/csv", b"0.0,0.0,0.0\n")],
)
def test_scripts_are_timed_in_a_type_that_they_read(clock: Clock, reads: str, body: bytes) -> None:
    """The first of the usual types that is answered with a 200 is timed; the median counts, not a hiccup."""
    clock.durations = [5.0, 0.001, 0.9, 0.002]
    script = Script(reads)
    script.spend = clock.spend
    assert warmup.time_script(script, signature((None, 3)), times=3) == pytest.approx(0.002)
    assert script.seen[-1][1].startswith(body)
    assert [content_type for content_type, _ in script.seen].count(reads) == 4


@pytest.mark.parametrize(
    "script",
    [Script("image/png"), Script("application/json", status=500), Script("application/json", stream=True)],
    ids=["type", "status", "stream"],
)
def test_scripts_that_answer_no_sample(script: Script) -> None:
    """A script that reads other things, fails or streams is not timed."""
    assert warmup.time_script(script, signature((None, 3))) is None


def test_scripts_that_fail_on_samples_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """A script that raises over our samples has nothing wrong with it: no traceback of it is in the log."""

    class Particular(Script):
        def decode(self, request: Request) -> Any:
            raise ValueError("not what I read")

    assert warmup.time_script(Particular("application/json"), signature((None, 3))) is None
    assert caplog.records == []


def test_scripts_without_a_known_input() -> None:
    """Nothing is sent to a script of which nothing is known, or of several inputs."""
    script = Script("application/json")
    for known in (None, signature(None), signature((None, 3), (None, 3))):
        assert warmup.time_script(script, known) is None
    assert script.seen == []
