"""`serve --reload`: an edit changes the answers, a broken one says what is wrong, the next one repairs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.faults.server import Server, until

pytestmark = pytest.mark.fault
Start = Callable[..., Server]

SCRIPT = (
    "def model_fn(model_dir):\n    return 1\n\n\ndef transform_fn(model, data, content_type, accept):\n    return {word!r}\n"
)


def edit(path: Path, text: str) -> None:
    """Replace the file as editors do: whole, under its name at once."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def answer(server: Server) -> bytes:
    """The answer to an invocation, empty while nobody answers."""
    try:
        return server.ask("x").body
    except (AssertionError, OSError):
        return b""


def test_reload(start: Start, tmp_path: Path, placement: str) -> None:
    """Edits are served within moments; a script that does not load prints its fault and waits for the next edit."""
    script = tmp_path / "code" / "inference.py"
    script.parent.mkdir()
    script.write_text(SCRIPT.format(word="one"))
    server = start(tmp_path, "--reload", EI_PLACEMENT=placement)
    assert answer(server) == b"one"
    edit(script, SCRIPT.format(word="two"))
    until(lambda: answer(server) == b"two", "the edit is served")
    edit(script, SCRIPT.format(word="three") + "\nthis is no Python\n")
    until(lambda: "SyntaxError" in server.logged(), "the fault is printed")
    until(lambda: server.ping() == 0, "nothing is served by a broken script")
    assert server.process.poll() is None
    edit(script, SCRIPT.format(word="four"))
    until(lambda: answer(server) == b"four", "the next edit repairs it")
    assert server.logged().count("serve: ") == 1, "one message for the one fault"
    assert server.stop() == 0
    assert server.ping() == 0
