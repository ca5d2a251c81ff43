"""Passes that fail, alone and for many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from serving.errors import BadRequest, UserCodeError
from serving.tfs import calls
from serving.tfs.calls import Call
from serving.tfs.service import TfsService
from tests.unit.serving.tfs.conftest import loaded


def call(service: TfsService, value: float, size: int = 64) -> Call:
    """A call of the model half."""
    return Call(
        service.servables.find("half", None), "serving_default", {"x": np.full((1, size), value, np.float32)}, lambda o: b""
    )


@pytest.fixture
def half() -> TfsService:
    """The model half, known to be stackable."""
    service = TfsService(loaded("half"))
    assert service.stackable
    return service


def test_one_that_fails_for_all(half: TfsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a shared pass fails each request is run alone, and only the guilty one fails."""
    model = half.servables.find("half", None).model
    run = model.run

    def refuse(name: str, inputs: Any, only: Any = ()) -> Any:
        if (inputs["x"] == 13).any():
            raise BadRequest("unlucky")
        return run(name, inputs, only)

    monkeypatch.setattr(model, "run", refuse)
    first, second, third = calls.run([call(half, 1), call(half, 13), call(half, 3)])
    assert [first[1]["y"][0, 0], third[1]["y"][0, 0]] == [2.5, 3.5]
    assert isinstance(second, BadRequest)


def test_an_unknown_fault_is_a_500(half: TfsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else a pass raises is an error of the server's, with its words."""
    model = half.servables.find("half", None).model
    monkeypatch.setattr(model, "run", lambda *args: 1 / 0)
    [found] = calls.run([call(half, 1)])
    assert isinstance(found, UserCodeError)
    assert "division by zero" in found.message


def test_outputs_that_lost_rows(half: TfsService, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the rows that come out are not those that went in every request gets a pass of its own."""
    model = half.servables.find("half", None).model
    run = model.run
    monkeypatch.setattr(model, "run", lambda name, inputs, only=(): {"y": run(name, inputs, only)["y"][:1]})
    found = calls.run([call(half, 1), call(half, 3)])
    assert [outputs["y"][0, 0] for _, outputs in found] == [2.5, 3.5]


def test_order_and_shapes(half: TfsService) -> None:
    """Answers come in the order of the calls, whatever shared a pass."""
    found = calls.run([call(half, 1), call(half, 3, size=2), call(half, 5), call(half, 7, size=2)])
    assert [outputs["y"].ravel()[0] for _, outputs in found] == [2.5, 3.5, 4.5, 5.5]


def test_an_answer_that_is_there(half: TfsService) -> None:
    """A call that runs nothing keeps its answer."""
    done = call(half, 1)
    done.done = b"answer"
    found = calls.run([done, call(half, 1)])
    assert found[0] == (done, {})
    assert found[1][1]["y"][0, 0] == 2.5


def pair(service: TfsService, a: tuple[int, float], b: tuple[int, float]) -> Call:
    """A call of the model pair: so many rows of a value for each input."""
    inputs = {"a": np.full((a[0], 2), a[1], np.float32), "b": np.full((b[0], 2), b[1], np.int32)}
    return Call(service.servables.find("pair", None), "serving_default", inputs, lambda outputs: b"")


def test_inputs_of_several_numbers_of_rows_shift_nobody(service: TfsService) -> None:
    """Requests whose inputs differ in their rows, and would even one another out in a shared pass, fail by themselves."""
    found = calls.run([pair(service, (3, 1), (2, 2)), pair(service, (1, 100), (1, 7)), pair(service, (2, 1), (3, 3))])
    assert isinstance(found[0], BadRequest)
    assert found[1][1]["sum"].tolist() == [[107, 107]]
    assert isinstance(found[2], BadRequest)


def test_single_values_share_no_pass(service: TfsService) -> None:
    """A value without rows has a pass of its own, and its neighbours theirs."""
    add = service.servables.find("add", 1)
    made = [Call(add, "serving_default", {"x": np.full(shape, 2, np.float32)}, lambda o: b"") for shape in ((), (), (1,), (1,))]
    assert [outputs["y"].tolist() for _, outputs in calls.run(made)] == [3, 3, [3], [3]]


def test_other_dtypes_are_not_converted_in_a_shared_pass(service: TfsService) -> None:
    """An input of a dtype that the model does not take is refused, however the request was batched."""
    other = call(service, 1)
    other.inputs["x"] = other.inputs["x"].astype(np.int16)
    refused, answered = calls.run([other, call(service, 3)])
    assert isinstance(refused, BadRequest)
    assert answered[1]["y"][0, 0] == 3.5
