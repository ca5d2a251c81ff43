"""Log lines: what they say, that nobody can forge one, and that a reader who stops reading holds nothing up."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from serving.invocation import Reply, Request
from serving.settings import Settings
from serving.telemetry import logging as logs
from serving.telemetry.logging import AccessLog

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Pipe:
    """A real pipe, the size of one page, with an access log at its writing end."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, 4096)

    def close(self) -> None:
        """Close what is still open."""
        for fd in (self.reading, self.writing):
            if fd >= 0:
                os.close(fd)

    def end(self) -> str:
        """Everything up to the end of what was written."""
        os.close(self.writing)
        self.writing = -1
        with os.fdopen(self.reading, "rb") as file:
            self.reading = -1
            return file.read().decode()

    def read(self, length: int) -> bytes:
        """The next bytes, as many as asked for."""
        data = b""
        while len(data) < length:
            data += os.read(self.reading, length - len(data))
        return data


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A small pipe."""
    made = Pipe()
    yield made
    made.close()


@pytest.fixture
def line(pipe: Pipe) -> Callable[..., str]:
    """A function from one invocation to its line: keywords go to the request, `as_json` and `fault` elsewhere."""

    def written(as_json: bool = False, fault: str = "", status: int = 200, **request: Any) -> str:
        log = AccessLog("digits", as_json, pipe.writing)
        reply = Reply(b"{}", status=status, fault=fault)
        reply.stages = (0.001, 0.002, 0.003)
        log.add(Request(request.pop("body", b"12345"), id=request.pop("id", "id-1"), **request), reply, 0.0005, 0.0075)
        log.close()
        return pipe.end()

    return written


def test_text_line(line: Callable[..., str]) -> None:
    """One line has the time, the id, the model, the status, the size and the milliseconds of each stage."""
    stamp, _, rest = line().partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    assert rest == ("id-1 model=digits status=200 in=5 queue=0.500 decode=1.000 forward=2.000 encode=3.000 total=7.500\n")


def test_json_line(line: Callable[..., str]) -> None:
    """The same as one JSON document a line."""
    document = json.loads(line(as_json=True, content_type="text/csv"))
    assert document.pop("time").endswith("Z")
    assert document == {
        "request_id": "id-1",
        "model": "digits",
        "status": 200,
        "content_type": "text/csv",
        "bytes_in": 5,
        "queue_ms": 0.5,
        "decode_ms": 1.0,
        "forward_ms": 2.0,
        "encode_ms": 3.0,
        "total_ms": 7.5,
    }


@pytest.mark.parametrize("headers", [[], [("Host", "h")] * 5], ids=["alone", "among others"])
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_traceparent(line: Callable[..., str], as_json: bool, headers: list[tuple[str, str]]) -> None:
    """A trace context is carried into the line, however few headers the request has, in any case."""
    said = line(as_json=as_json, headers=[*headers, ("Traceparent", TRACE)])
    assert (json.loads(said)["traceparent"] if as_json else said.split(" trace=")[1].strip()) == TRACE


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("evil", ["a\r\n2023 forged", "a\nb", "a\x85b", "a\u2028b", "\x1b[2J", "a\0b", "\udc80", "x" * 1000])
def test_lines_cannot_be_forged(line: Callable[..., str], evil: str, as_json: bool) -> None:
    """Whatever a client's header or a script's fault holds, an invocation is one line of printable characters."""
    said = line(as_json=as_json, fault=evil, headers=[("traceparent", evil)] if "\udc80" not in evil else [])
    assert said.endswith("\n")
    body = said[:-1]
    assert len(body.splitlines()) == 1 or (as_json and json.loads(body))
    assert "\n" not in body
    assert "\r" not in body
    assert as_json or (body.isprintable() and len(body) < 2000)


def test_spaces_are_quoted(line: Callable[..., str]) -> None:
    """A fault with spaces is one quoted field: it cannot pass for another one."""
    assert line(fault='said "x" status=200', status=400).endswith(r' fault="said \"x\" status=200"' + "\n")


def test_a_reader_who_stops(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody reads, lines beyond the limit are dropped at once; who reads again is told how many."""
    monkeypatch.setattr(logs, "MAX_WAITING", 2)
    log = AccessLog("digits", False, pipe.writing)
    request, reply, kept = Request(b"", id="i" * 4000), Reply(b""), 0
    for _ in range(50):
        log.add(request, reply, 0, 0)
        waiting = len(log._waiting)
        log.flush()
        kept += waiting < 2
    assert kept < 50
    first = pipe.read(4000)
    rest = b""
    while (first + rest).count(b"\n") < kept:
        rest += os.read(pipe.reading, 1 << 16)
    log.close()
    said = (first + rest).decode() + pipe.end()
    assert said.count("iiii model=digits") == kept
    assert re.findall(r"- (\d+) invocation lines were dropped: the log was not read\n", said) == [str(50 - kept)]


def test_a_reader_who_has_gone(pipe: Pipe) -> None:
    """A closed pipe ends neither the process nor the log."""
    os.close(pipe.reading)
    pipe.reading = -1
    log = AccessLog("digits", False, pipe.writing)
    for _ in range(3):
        log.add(Request(b""), Reply(b""), 0, 0)
        log.flush()
    log.close()
    assert not log._thread.is_alive()


def test_nothing_is_written_before_a_flush(pipe: Pipe) -> None:
    """Lines gather until they are flushed, and come in order."""
    log = AccessLog("digits", False, pipe.writing)
    for number in range(3):
        log.add(Request(b"", id=f"id-{number}"), Reply(b""), 0, 0)
    assert not log._waiting
    log.close()
    assert re.findall(r"id-\d", pipe.end()) == ["id-0", "id-1", "id-2"]


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """A function to what the configured loggers wrote; the root logger is put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("ei")
    before, levels = list(root.handlers), (root.level, ours.level)
    with warnings.catch_warnings():
        yield lambda: capsys.readouterr().err
        logging.captureWarnings(False)
    root.handlers[:] = before
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def test_configured_as_text(stderr: Callable[[], str]) -> None:
    """The server's words go to stderr with level, logger and process, once, however often it is configured."""
    for _ in range(2):
        logs.configure(Settings())
    logging.getLogger("ei.some").info("said %d", 1)
    assert re.fullmatch(rf".* INFO ei\.some \[{os.getpid()}\] said 1\n", stderr())


def test_configured_as_json(stderr: Callable[[], str]) -> None:
    """As JSON a record, its traceback included, is one line."""
    logs.configure(Settings(log_format="json"))
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("ei.some").exception("it failed:\nforged")
    said = stderr()
    document = json.loads(said)
    assert (document["level"], document["logger"], document["message"]) == ("ERROR", "ei.some", "it failed:\nforged")
    assert "ValueError: two" in document["traceback"]
    assert said.count("\n") == 1


def test_surrogates_in_a_json_record(stderr: Callable[[], str]) -> None:
    """A message that has no UTF-8 is logged all the same."""
    logs.configure(Settings(log_format="json"))
    logging.getLogger("ei.some").info("a \udc80 name")
    assert json.loads(stderr())["message"] == "a ? name"


def test_levels(stderr: Callable[[], str]) -> None:
    """The level holds for the server's loggers; debugging it does not switch on other libraries' debugging."""
    logs.configure(Settings(log_level=10))
    logging.getLogger("ei.some").debug("ours")
    logging.getLogger("other").debug("theirs")
    logs.configure(Settings(log_level=40))
    logging.getLogger("ei.some").warning("not this")
    logging.getLogger("other").error("this")
    assert [each.rpartition("] ")[2] for each in stderr().splitlines()] == ["ours", "this"]


def test_warnings_are_logged(stderr: Callable[[], str]) -> None:
    """What Python warns of goes the same way."""
    logs.configure(Settings())
    warnings.simplefilter("always")
    warnings.warn("careful", UserWarning, stacklevel=1)
    assert re.search("py.warnings .*careful", stderr())
