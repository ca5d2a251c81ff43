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
