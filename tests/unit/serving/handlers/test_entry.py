"""Handler services: how one is named, found, initialised and driven."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.errors import ModelError
from serving.handlers import entry
from serving.handlers.context import Context
from serving.handlers.service import Options
from serving.invocation import Reply, Request, invoke
from serving.models.layout import Layout

CLASS = "class {name}:\n    def initialize(self, context): self.dir = context.system_properties['model_dir']\n"
CLASS += "    def handle(self, data, context): return [self.dir + ':{name}:' + data[0]['body'].decode()]\n"


@pytest.fixture(autouse=True)
def _imports() -> Iterator[None]:
    """Each test leaves sys.path and sys.modules as it found them."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def loaded(directory: Path, source: str, handler: str, file: str = "code/handlers_here.py") -> entry.EntryService:
    """The service of a handler that stands in a file."""
    (directory / file).parent.mkdir(parents=True, exist_ok=True)
    (directory / file).write_text(source)
    return entry.load(handler, Options(Layout(directory, "script")))


def asked(service: entry.EntryService, body: bytes = b"x", accept: str = "") -> Reply:
    """The reply to one request."""
    return invoke(service, [Request(body, "text/plain", accept, id="id-1")])[0]


@pytest.mark.parametrize("handler", ["handlers_here", "handlers_here.py", "handlers_here:One", "{dir}/code/handlers_here:One"])
def test_names_of_a_class(handler: str, tmp_path: Path) -> None:
    """A class is found by its module, by file, by absolute path, with or without its own name."""
    service = loaded(tmp_path, CLASS.format(name="One"), handler.format(dir=tmp_path))
    assert asked(service).body == f"{tmp_path}:One:x".encode()


@pytest.mark.parametrize("handler", ["pkg.handlers_here:One", "pkg/handlers_here.py:One"])
def test_names_of_a_packages_class(handler: str, tmp_path: Path) -> None:
    """A dotted module below the code folder is found too."""
    service = loaded(tmp_path, CLASS.format(name="One"), handler, "code/pkg/handlers_here.py")
    assert asked(service).body == f"{tmp_path}:One:x".encode()


def test_function_is_called_with_none_at_load(tmp_path: Path) -> None:
    """MMS's function style: one call without data, then one for each request."""
    source = "CALLS = []\ndef run(data, context):\n    CALLS.append(data)\n    return [repr(CALLS)]\n"
    service = loaded(tmp_path, source, "handlers_here.py:run")
    assert asked(service).body == b"[None, [{'body': b'x'}]]"


@pytest.mark.parametrize(
    ("source", "handler", "message"),
    [
        ("", "handlers_here:absent", "has no absent"),
        ("x = 1", "handlers_here", "found none"),
        (
            CLASS.format(name="One") + CLASS.format(name="Two"),
            "handlers_here",
            "found One, Two: name one as handlers_here:NAME",
        ),
        ("", "nowhere_at_all:handle", "was not found"),
        ("import absent_xyz", "handlers_here", "handlers_here.py:1: ModuleNotFoundError"),
        ("def handle(data, context): raise OSError('disk')", "handlers_here", "handlers_here.py:1: OSError: disk"),
        (
            "class A:\n  def handle(self, d, c): pass\n  def initialize(self, c): raise SystemExit(1)",
            "handlers_here",
            "sys.exit(1)",
        ),
    ],
)
def test_faults_at_load(source: str, handler: str, message: str, tmp_path: Path) -> None:
    """A handler that cannot be found or initialised ends the start; MMS would have counted it as loaded."""
    with pytest.raises(ModelError) as error:
        loaded(tmp_path, source, handler)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("returned", "status", "content"),
    [
        (["text"], 200, b"text"),
        ([{"a": 1}], 200, b'{"a":1}'),
        ([[1, 2]], 200, b"[1,2]"),
        ("text", 500, b"handle returned a value of type str; expected a list"),
        ([], 500, b"handle returned 0 bodies for 1 request"),
        ([None], 500, b"handle returned None"),
    ],
)
def test_returns(returned: Any, status: int, content: bytes) -> None:
    """A list of one body is the answer, anything else names what was returned."""

    class Service:
        """A service with a given answer."""

        def handle(self, data: Any, context: Any) -> Any:
            """The answer."""
            return returned

    reply = asked(entry.build(Service, Context("m", "/d")))
    assert isinstance(reply.body, bytes)
    assert (reply.status, content in reply.body) == (status, True)


def test_status_and_message_of_a_failed_service() -> None:
    """A message under an error status gets the server's error body, without the traceback that the toolkit appends."""

    def handle(data: Any, context: Any) -> Any:
        if data:
            context.set_response_status(code=503, phrase="busy")
            return ["try later\nTraceback (most recent call last):\n  File secret.py"]
        return None

    reply = asked(entry.build(handle, Context("m", "/d")))
    assert isinstance(reply.body, bytes)
    assert reply.status == 503
    assert b"try later" in reply.body
    assert b"secret" not in reply.body
    assert b"id-1" in reply.body


def test_content_type_is_the_services() -> None:
    """The type set on the context is the reply's; without one a bare text is in the accepted type."""

    def handle(data: Any, context: Any) -> Any:
        if data and data[0]["body"] == b"typed":
            context.set_response_content_type(0, "text/html")
        return ["x"]

    service = entry.build(handle, Context("m", "/d"))
    assert asked(service, b"typed").content_type == "text/html"
    assert asked(service, accept="text/csv").content_type == "text/csv"


def test_handler_name_is_found_again(tmp_path: Path) -> None:
    """A class is named by its file, so that a process of its own can import it; a name stays what it is."""
    service = loaded(tmp_path, CLASS.format(name="One"), "handlers_here")
    owner = type(service._handle.__self__)  # type: ignore[attr-defined]
    assert entry.handler_name(owner) == f"{tmp_path.resolve()}/code/handlers_here.py:One"
    assert entry.handler_name("a.b:c") == "a.b:c"
