"""TF Serving's REST API on loopback: what a user script's `requests.post(context.rest_uri, ...)` reaches.

    POST /v1/models/NAME[/versions/N]:predict|classify|regress     a document -> the models' line, as it is
    GET  /v1/models/NAME[/versions/N]                              the states of its versions
    GET  /v1/models/NAME[/versions/N]/metadata                     its signatures

Paths, statuses and texts are TF Serving's [tensorflow/serving model_servers/http_rest_api_handler.cc, http_rest_api_util.cc].
"""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import unquote

from serving.errors import BadRequest, NotFound, ServingError
from serving.invocation import Reply, Request, invoke
from serving.tfs import answers
from serving.tfs.service import CUSTOM_ATTRIBUTES, DOCUMENT, TfsService

log = logging.getLogger("ei.script")
LARGEST = (1 << 63) - 1

_NAMED = r"(?i:/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?"
PREDICTION = re.compile(_NAMED + r":(classify|regress|predict))")
MODEL = re.compile(_NAMED + r"(/metadata)?)")


class RestServer:
    """Answers on loopback out of a service, from its first moment to `close`; port 0 takes any that is free."""

    def __init__(self, service: TfsService, port: int = 0) -> None:
        self._server = _Server(("127.0.0.1", port), service)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.run, name=f"ei-rest-{self.port}", daemon=True).start()

    def close(self) -> None:
        """Stop listening; what is being answered is."""
        self._server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], service: TfsService) -> None:
        self.service = service
        self._stopped = False
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Listen without asking what this host is called, which takes seconds where no name server answers."""
        super(ThreadingHTTPServer, self).server_bind()

    def run(self) -> None:
        """Accept until stopped; between requests nothing runs here."""
        while not self._stopped:
            self.handle_request()

    def stop(self) -> None:
        """Wake the thread that accepts, and let it go."""
        self._stopped = True
        with suppress(OSError):
            self.socket.shutdown(SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A script that hung up is nothing to tell."""
        log.debug("a connection of the script broke off", exc_info=True)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """A pass."""
        body = self._body()
        if body is not None:
            self._send(_answer(self.server.service, "POST", self.path, body))

    def do_GET(self) -> None:
        """What is known of a model."""
        self._send(_answer(self.server.service, "GET", self.path, b""))

    def log_message(self, format: str, *args: Any) -> None:
        """The script's invocation has its line in the log."""

    def _body(self) -> bytes | None:
        """The request's body; None where it did not come whole."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(iter(self._chunk, b""))
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit():
            self.close_connection = True
            self._send(_failure(BadRequest(f"a Content-Length that is no number: {length[:20]!r}")))
            return None
        content = self.rfile.read(int(length))
        if len(content) == int(length):
            return content
        self.close_connection = True  # the script hung up
        return None

    def _chunk(self) -> bytes:
        """The next chunk of a body, empty at its end."""
        size = int(self.rfile.readline().partition(b";")[0], 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _send(self, reply: Reply) -> None:
        """Head and body in one go."""
        content = reply.body if isinstance(reply.body, bytes) else b"".join(reply.body)
        head = (
            f"HTTP/1.1 {reply.status} {responses.get(reply.status, '')}\r\nContent-Type: {reply.content_type}\r\n"
            f"Date: {self.date_time_string()}\r\nContent-Length: {len(content)}\r\n"
            f"{'Connection: close' + chr(13) + chr(10) if self.close_connection else ''}\r\n"
        )
        self.wfile.write(head.encode() + content)


def _answer(service: TfsService, method: str, path: str, body: bytes) -> Reply:
    """The reply to a request by its method and path."""
    try:
        if method == "POST":
            return invoke(service, [_prediction(path, body)])[0]
        return _about(service, path)
    except ServingError as error:
        return _failure(error)
    except Exception:
        log.exception("%s %s failed", method, path)
        return _failure(ServingError("internal error"))


def _prediction(path: str, body: bytes) -> Request:
    """A prediction's path and body as a request down the line."""
    parts = PREDICTION.fullmatch(path.partition("?")[0])
    if parts is None:
        raise _malformed("POST", path)
    name, version = _model(parts[1], parts[2], parts[3])
    wanted = [f"tfs-model-name={name}", f"tfs-method={parts[4].lower()}"]
    if version is not None:
        wanted.append(f"tfs-model-version={version}")
    return Request(body, DOCUMENT, headers=[(CUSTOM_ATTRIBUTES, ",".join(wanted))], id="script")


def _model(name: str, version: str | None, label: str | None) -> tuple[str, int | None]:
    name = unquote(name)
    if label is not None:
        raise BadRequest(f"Unrecognized servable version label: {unquote(label)}")
    if version is not None and int(version) > LARGEST:
        raise BadRequest(f"Failed to convert version: {version} to numeric.")
    if "," in name:  # it would be read as further attributes
        raise NotFound(f"no model {name[:60]!r} is served here")
    return name, None if version is None else int(version)


def _malformed(method: str, path: str) -> ServingError:
    known = path.lower().startswith("/v1/")
    return BadRequest(f"Malformed request: {method} {path}") if known else NotFound(f"Not Found: {method} {path}")


def _failure(error: ServingError) -> Reply:
    return Reply(answers.error(error.message), "application/json", error.status)


def _about(service: TfsService, path: str) -> Reply:
    """The states of a model's versions, or its signatures."""
    from serving.tfs import messages, metadata  # and protobuf with them, at the first question

    parts = MODEL.fullmatch(path.partition("?")[0])
    if parts is None:
        raise _malformed("GET", path)
    name, version = _model(parts[1], parts[2], parts[3])
    if not parts[4]:
        return Reply(metadata.status_json(service.servables.versions(name, version)))
    servable = service.servables.find(name, version)
    return Reply(metadata.metadata_json(messages.Spec(servable.name, servable.version), servable.model.meta_graph))
