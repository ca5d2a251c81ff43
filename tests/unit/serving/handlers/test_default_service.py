"""The default handlers: what is stacked, how it is split, and that one bad request fails alone."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from serving.errors import BadRequest, ModelError, NotAcceptable, UnsupportedMediaType, UserCodeError
from serving.handlers.default_service import DefaultService
from serving.invocation import Inputs, Outputs, Request, invoke
from serving.models.signature import Signature, Tensor


class Adding:
    """A loaded model in numpy that adds up each row, and fails where a value says so: a framework's failures on demand.

    13 fails the pass; 14 is refused as a shape would be; 15 loses a row of the output.
    """

    def __init__(self, outputs: int = 1, stackable: bool = True, inputs: tuple[str, ...] = ("a",)) -> None:
        self.signature = Signature(tuple(Tensor(name, (None, None), np.dtype("float32")) for name in inputs))
        self.stackable = stackable
        self.passes: list[int] = []
        self._outputs = outputs

    def forward(self, inputs: Inputs) -> Outputs:
        """The sums; a second output holds the rows themselves."""
        array = np.concatenate(list(inputs.values()), axis=1)
        self.passes.append(len(array))
        if (array == 13).any():
            raise RuntimeError("thirteen")
        if (array == 14).any():
            raise ModelError("the model does not take fourteen")
        sums = array.sum(axis=1)[int((array == 15).any()) :]
        return {"sum": sums} if self._outputs == 1 else {"sum": sums, "rows": array * 2}

    def close(self) -> None:
        """Nothing is held."""


def stacks(*rows: list[list[float]]) -> list[Inputs]:
    """One input for each request."""
    return [{"a": np.array(value, "float32")} for value in rows]


def predicted(model: Adding, inputs: list[Inputs]) -> list[Any]:
    """The outputs as lists, or the exceptions."""
    answers = DefaultService(model).predict(inputs, [])
    return [a if isinstance(a, Exception) else {name: array.tolist() for name, array in a.items()} for a in answers]


def test_unequal_rows_share_a_pass() -> None:
    """Requests of different numbers of rows go through one pass, and each gets its own rows back, in order."""
    model = Adding()
    answers = predicted(model, stacks([[1, 2]], [[3, 4], [5, 6], [7, 8]], [[9, 9], [0, 1]]))
    assert answers == [{"sum": [3.0]}, {"sum": [7.0, 11.0, 15.0]}, {"sum": [18.0, 1.0]}]
    assert model.passes == [6]


def test_several_outputs_are_split_alike() -> None:
    """Every output is cut at the same rows."""
    answers = predicted(Adding(outputs=2), stacks([[1]], [[2], [3]]))
    assert answers == [{"sum": [1.0], "rows": [[2.0]]}, {"sum": [2.0, 3.0], "rows": [[4.0], [6.0]]}]


def test_several_inputs_are_stacked_alike() -> None:
    """Every input is stacked by its name."""
    model = Adding(inputs=("a", "b"))
    inputs = [{"a": np.full((n, 1), n, "float32"), "b": np.full((n, 2), 10, "float32")} for n in (1, 2)]
    assert predicted(model, inputs) == [{"sum": [21.0]}, {"sum": [22.0, 22.0]}]
    assert model.passes == [3]


def test_only_like_rows_are_stacked() -> None:
    """Rows of different shapes go through passes of their own; the answers stay in the requests' order."""
    model = Adding()
    answers = predicted(model, stacks([[1, 1]], [[2, 2, 2]], [[3, 3]], [[4, 4, 4]]))
    assert [answer["sum"] for answer in answers] == [[2.0], [6.0], [6.0], [12.0]]
    assert model.passes == [2, 2]


def test_a_model_that_does_not_stack() -> None:
    """Each request has a pass of its own where the model says that rows do not stack."""
    model = Adding(stackable=False)
    assert [answer["sum"] for answer in predicted(model, stacks([[1]], [[2]]))] == [[1.0], [2.0]]
    assert model.passes == [1, 1]


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [(13.0, UserCodeError, "the forward pass failed: thirteen"), (14.0, BadRequest, "does not take fourteen")],
    ids=["a failing pass", "a shape that is refused"],
)
def test_a_failing_stack(bad: float, kind: type[Exception], words: str) -> None:
    """Where a stack fails each request runs alone, and only the bad one fails."""
    model = Adding()
    answers = predicted(model, stacks([[1]], [[bad]], [[2]]))
    assert [answers[0], answers[2]] == [{"sum": [1.0]}, {"sum": [2.0]}]
    assert type(answers[1]) is kind
    assert words in str(answers[1])
    assert model.passes == [3, 1, 1, 1]


def test_rows_that_do_not_come_back() -> None:
    """A stack whose outputs have another number of rows is run again, request by request: nobody gets another's rows."""
    model = Adding(outputs=2)
    answers = predicted(model, stacks([[1], [2]], [[15], [3]]))
    assert answers[0] == {"sum": [1.0, 2.0], "rows": [[2.0], [4.0]]}
    assert answers[1]["sum"] == [3.0]
    assert model.passes == [4, 2, 2]


def test_a_lone_request_fails_by_its_own_error() -> None:
    """One request alone takes no detour."""
    model = Adding()
    with pytest.raises(UserCodeError, match="thirteen"):
        DefaultService(model).predict(stacks([[13]]), [])
    assert model.passes == [1]


def test_the_whole_line() -> None:
    """Bytes of different types in, bytes in the types that are accepted out."""
    service = DefaultService(Adding(), "text/csv")
    replies = invoke(
        service,
        [
            Request(b"[[1, 2], [3, 4]]", "application/json", "application/json"),
            Request(b"5,6\n", "text/csv", ""),
            Request(b"[[1, 2], [3]]", "application/json"),
            Request(b"?", "application/unknown"),
            Request(b"[[1, 2]]", "application/json", "image/png"),
        ],
    )
    assert [reply.status for reply in replies] == [200, 200, 400, 415, 406]
    assert (replies[0].body, replies[0].content_type) == (b"[3.0,7.0]", "application/json")
    assert (replies[1].body, replies[1].content_type) == (b"11.0\n", "text/csv")


def test_checked_by_the_headers_alone() -> None:
    """What cannot be read or answered is refused before the body, by the same rules."""
    service = DefaultService(Adding())
    service.check("text/csv; charset=utf-8", "*/*")
    service.check("", "")
    with pytest.raises(UnsupportedMediaType):
        service.check("application/unknown", "")
    with pytest.raises(NotAcceptable):
        service.check("", "image/png")


def test_unpacked_size_is_limited() -> None:
    """The limit holds for what a body unpacks to."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, a=np.random.default_rng(0).integers(0, 9, (1000, 10)).astype("float32"))
    request = Request(buffer.getvalue(), "application/x-npz")
    assert invoke(DefaultService(Adding(), limit=1 << 20), [request])[0].status == 200
    refused = invoke(DefaultService(Adding(), limit=20_000), [request])[0]
    assert (refused.status, "limit" in refused.fault) == (400, True)
