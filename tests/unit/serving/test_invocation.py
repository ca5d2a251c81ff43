"""The request line: one function, for one request or many, and an error belongs to its own request alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from serving import invocation
from serving.errors import BadRequest, DeadlinePassed, MethodNotAllowed, Overloaded, UserCodeError, from_status
from serving.invocation import Reply, Request, failure, invoke


class Doubling:
    """A service that doubles whole numbers in text, and fails where its input says so: a service's own errors, on demand."""

    def __init__(self) -> None:
        self.passes: list[list[int]] = []
        self.outputs: Callable[[list[Any]], list[Any]] = lambda outputs: outputs

    def decode(self, request: Request) -> int:
        """The number; "decode:NAME" fails here."""
        text = bytes(request.body).decode()
        if text.startswith("decode:"):
            raise FAULTS[text.removeprefix("decode:")]
        return int(text)

    def predict(self, inputs: list[int], requests: list[Request]) -> list[Any]:
        """Twice the numbers; a negative one is an exception, 0 fails the whole pass."""
        assert len(inputs) == len(requests)
        self.passes.append(inputs)
        if 0 in inputs:
            raise RuntimeError("a zero in the stack")
        return self.outputs([BadRequest(f"{n} is negative") if n < 0 else 2 * n for n in inputs])

    def encode(self, output: int, request: Request) -> Reply:
        """The number as text; 26 has no text."""
        if output == 26:
            raise KeyError("no text")
        return Reply(str(output).encode(), "text/plain")


FAULTS: dict[str, BaseException] = {
    "bad": BadRequest("no number"),
    "bug": ZeroDivisionError("by zero"),
    "late": DeadlinePassed(),
}


@pytest.fixture
def service() -> Doubling:
    """A service that doubles."""
    return Doubling()


def invoked(service: Doubling, *bodies: bytes) -> list[tuple[int, bytes]]:
    """(status, body) of the answer to each body; the bodies of errors are their messages."""
    replies = invoke(service, [Request(body, id=f"id-{at}") for at, body in enumerate(bodies)])
    return [(r.status, r.body if r.status == 200 else json.loads(r.body)["message"]) for r in replies]  # type: ignore[arg-type, misc]


def test_one_and_many(service: Doubling) -> None:
    """One request and many take the same line: one pass, answers in order."""
    assert invoked(service, b"4") == [(200, b"8")]
    assert invoked(service, b"1", b"2", b"3") == [(200, b"2"), (200, b"4"), (200, b"6")]
    assert service.passes == [[4], [1, 2, 3]]


def test_errors_belong_to_their_own_request(service: Doubling, caplog: pytest.LogCaptureFixture) -> None:
    """A request that fails in decode, predict or encode leaves its neighbours' answers as they were."""
    answers = invoked(service, b"1", b"decode:bad", b"-2", b"13", b"decode:bug", b"3")
    assert answers == [
        (200, b"2"),
        (400, "no number"),
        (400, "-2 is negative"),
        (500, "KeyError: 'no text'"),
        (500, "ZeroDivisionError: by zero"),
        (200, b"6"),
    ]
    assert service.passes == [[1, -2, 13, 3]]


def test_a_failed_pass_fails_what_was_in_it(service: Doubling) -> None:
    """An exception of the pass itself answers every request that was decoded, and no other."""
    assert invoked(service, b"1", b"0", b"decode:bad") == [
        (500, "RuntimeError: a zero in the stack"),
        (500, "RuntimeError: a zero in the stack"),
        (400, "no number"),
    ]


@pytest.mark.parametrize("outputs", [lambda x: x[:-1], lambda x: [*x, 1], lambda x: []], ids=["fewer", "more", "none"])
def test_counts(service: Doubling, outputs: Callable[[list[Any]], list[Any]]) -> None:
    """As many outputs as inputs, or nobody can tell whose is whose: a 500 for all of them that says both counts."""
    service.outputs = outputs
    count = len(outputs([2, 4]))
    assert invoked(service, b"1", b"2") == [(500, f"the model answered {count} outputs for 2 inputs")] * 2


def test_nothing_to_predict(service: Doubling) -> None:
    """Where no request could be decoded the model is left alone."""
    assert [status for status, _ in invoked(service, b"decode:bad", b"decode:bad")] == [400, 400]
    assert service.passes == []


def test_deadline_within_user_code(service: Doubling) -> None:
    """Running out of time is a 504."""
    assert invoked(service, b"decode:late", b"1")[0][0] == 504


def test_stages(service: Doubling) -> None:
    """Every reply of a run, an error too, has the seconds of the run's stages."""
    replies = invoke(service, [Request(b"1"), Request(b"decode:bad")])
    assert replies[0].stages == replies[1].stages
    assert all(seconds > 0 for seconds in replies[0].stages)


def test_failure_tells_what_and_which() -> None:
    """An error's body is JSON with its status, its kind, its message and the request's id."""
    reply = failure(BadRequest("ragged"), Request(b"", id="id-9"))
    assert isinstance(reply.body, bytes)
    assert (reply.status, reply.content_type, reply.fault) == (400, "application/json", "ragged")
    assert json.loads(reply.body) == {"code": 400, "type": "BadRequest", "message": "ragged", "request_id": "id-9"}


def test_unknown_errors_keep_their_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of unknown kind is a 500 with its type and text; its traceback is in the log alone, under the id."""
    try:
        raise ValueError("boom")
    except ValueError as error:
        reply = failure(error, Request(b"", id="id-9"))
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body)["message"] == "ValueError: boom"
    assert b"Traceback" not in reply.body
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "request id-9 failed")
    assert "Traceback" in caplog.text


def test_known_errors_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A client's mistake is no matter for the error log."""
    failure(BadRequest("ragged"), Request(b""))
    assert not caplog.records


def test_hints() -> None:
    """Overload says when to come again, in the header and in the body, since the platform drops the header; 405 what to use."""
    overload = failure(Overloaded("full"), Request(b""))
    assert isinstance(overload.body, bytes)
    assert overload.headers == [("Retry-After", "1")]
    assert json.loads(overload.body)["retry_after_seconds"] == 1
    assert failure(MethodNotAllowed("PUT is not", "GET, HEAD"), Request(b"")).headers == [("Allow", "GET, HEAD")]
    assert failure(from_status(418, "teapot"), Request(b"")).status == 418


class _Mute(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (_Mute(), "_Mute"),
        (ValueError("a \udc80 name"), "ValueError: a ? name"),
        (UserCodeError("a \ud800"), "a ?"),
        (ValueError("two\nlines"), "ValueError: two\nlines"),
    ],
    ids=["a __str__ that fails", "half a surrogate pair", "of our own", "lines"],
)
def test_any_message_can_be_answered(error: Exception, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No exception's text can make its own answer fail, and with it its neighbours'."""
    monkeypatch.setattr(invocation.log, "disabled", True)  # pytest-xdist cannot send half surrogate pairs to its parent
    reply = failure(error, Request(b""))
    assert isinstance(reply.body, bytes)
    assert json.loads(reply.body)["message"] == message
    reply.fault.encode()


def test_headers() -> None:
    """A header is found by its name in any case; of several the first counts."""
    request = Request(b"", headers=[("X-A", "1"), ("x-a", "2")])
    assert (request.header("x-A"), request.header("other")) == ("1", None)
