"""Servers under test: right answers are told from wrong ones, and nothing of a server outlives its turn."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import load, processes
from benchmarks.harness import BenchmarkError, WrongAnswer
from benchmarks.load import Load
from benchmarks.models import BODIES, Model
from benchmarks.server import Command, Place, running

ECHO = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    log_message = print
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def words(code: str) -> Command:
    """A server in a few lines of Python."""

    def command(place: Place) -> list[str]:
        return [sys.executable, "-c", code, str(place.port)]

    return Command(command)


@pytest.fixture
def identity(tmp_path: Path) -> Model:
    """A model whose answer is its input, so that a server that echoes is right."""
    rows = [[[1.0, float(number)]] for number in range(BODIES)]
    model = Model("identity", tmp_path)
    model.body_path("json", 0).parent.mkdir()
    for number, row in enumerate(rows):
        model.body_path("json", number).write_text(json.dumps(row))
    (tmp_path / "expected.json").write_text(json.dumps([row[0] for row in rows]))
    return model


def test_a_right_server(identity: Model) -> None:
    """A server that answers every body right is timed, passes the check, and is gone with its scratch folder afterwards."""
    with running(words(ECHO), identity) as server:
        assert server.first_answer("json") > 0
        server.check(["json"])
        members, log = server.members(), server._log
        assert members
    assert not members & processes.members(min(members))
    assert not log.exists()


def test_a_wrong_server(identity: Model) -> None:
    """A 200 with the numbers of another body is a wrong answer, not a failed start."""
    with (
        pytest.raises(WrongAnswer, match="body 0"),
        running(words(ECHO.replace("write(body)", "write(b'[[1.0, 3.0]]')")), identity) as server,
    ):
        server.first_answer("json")


def test_a_server_that_refuses(identity: Model) -> None:
    """Statuses other than 200 fail the check with the count of them."""
    refusing = ECHO.replace("send_response(200)", "send_response(503 if b' 5.0' in body else 200)")
    with running(words(refusing), identity) as server:
        server.first_answer("json")
        with pytest.raises(BenchmarkError, match="2 of 16 json bodies were refused"):
            server.check(["json"])


def test_a_server_that_ends(identity: Model) -> None:
    """A server that ends instead of serving is an error with its status and its last words."""
    with (
        pytest.raises(BenchmarkError, match="it ended with 3: no model here"),
        running(words("import sys; print('no model here', flush=True); sys.exit(3)"), identity) as server,
    ):
        server.first_answer("json")


def test_a_program_that_is_not_there(identity: Model) -> None:
    """A command that cannot be started is an error that names it."""
    with (
        pytest.raises(BenchmarkError, match="/no/such/program"),
        running(Command(lambda place: ["/no/such/program"]), identity),
    ):
        pass


def test_labels_tell_loads_apart() -> None:
    """A load is named by its bodies and its connections."""
    assert Load("npy", 16).label == "npy-16"


def test_wrk_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wrk is missing the message says how to get it."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchmarkError, match="apt-get install wrk"):
        load.require_wrk()
