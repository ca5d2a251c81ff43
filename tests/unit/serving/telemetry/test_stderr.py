"""stderr whose reader has stopped, or gone."""

from __future__ import annotations

import fcntl
import io
import logging
import os
from collections.abc import Iterator

import pytest

from serving.telemetry import stderr
from serving.telemetry.stderr import Stderr

PAGES = 4


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test waits for a reader."""
    monkeypatch.setattr(stderr, "PATIENCE_SECONDS", 0)


class Pipe:
    """A pipe of four pages with a handler at its writing end."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PAGES * 4096)
        self.handler = Stderr(os.fdopen(self.writing, "w"))

    def log(self, message: str) -> None:
        """Log one line."""
        self.handler.emit(logging.LogRecord("ei", logging.ERROR, "", 0, message, (), None))

    def read(self) -> str:
        """What there is to read."""
        os.set_blocking(self.reading, False)
        try:
            return os.read(self.reading, 1 << 16).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A small pipe."""
    made = Pipe()
    yield made
    made.handler.stream.close()
    if made.reading >= 0:
        os.close(made.reading)


def test_lines(pipe: Pipe) -> None:
    """Each record is a line; what has no UTF-8 is escaped."""
    pipe.log("one")
    pipe.log("two \udc80")
    assert pipe.read() == "one\ntwo \\udc80\n"


def test_a_reader_who_stops(pipe: Pipe) -> None:
    """Lines that a full pipe will not take are dropped at once; who reads again is told how many."""
    for number in range(40):
        pipe.log(f"{number} ".ljust(999, "x"))
    kept = [int(line.split()[0]) for line in pipe.read().splitlines()]
    assert kept == list(range(len(kept)))
    assert 4 < len(kept) < 20
    pipe.log("again")
    assert pipe.read() == f"{40 - len(kept)} lines of this process were dropped: its log was not read\nagain\n"
    pipe.log("and on")
    assert pipe.read() == "and on\n"


def test_a_line_that_is_cut(pipe: Pipe) -> None:
    """A line that is cut in its middle has a line's end before the next one."""
    pipe.log("x" * 20000)
    assert pipe.read() == "x" * PAGES * 4096
    pipe.log("next")
    said = pipe.read()
    assert said == "\n1 lines of this process were dropped: its log was not read\nnext\n"


def test_a_reader_who_has_gone(pipe: Pipe) -> None:
    """A closed pipe raises nothing."""
    os.close(pipe.reading)
    pipe.reading = -1
    for _ in range(3):
        pipe.log("nobody hears this")


def test_a_stream_without_a_file() -> None:
    """A stream that has no file descriptor is written to as by the standard handler."""
    stream = io.StringIO()
    Stderr(stream).emit(logging.LogRecord("ei", logging.ERROR, "", 0, "one", (), None))
    assert stream.getvalue() == "one\n"
