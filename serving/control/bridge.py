"""From a connection's process to the Flask app: a WSGI call in a thread, so that the loop goes on.

The app, and Flask with it, is imported at its first request: a server that is only asked `/ping` and `/invocations` never
pays for it.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from serving.http.head import Head
from serving.invocation import Reply, Request

if TYPE_CHECKING:
    from flask import Flask


class Bridge:
    """Calls the app that `create` makes, once it is needed."""

    def __init__(self, create: Callable[[], Flask], port: int) -> None:
        self._create, self._port = create, port
        self._app: Flask | None = None
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="control")

    def __call__(self, head: Head, request: Request) -> asyncio.Future[Reply]:
        """The app's reply, in time."""
        return asyncio.get_running_loop().run_in_executor(self._threads, self._run, head, request)

    def close(self) -> None:
        """End the thread."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, head: Head, request: Request) -> Reply:
        from werkzeug.test import run_wsgi_app

        if self._app is None:
            self._app = self._create()
        body, status, headers = run_wsgi_app(self._app, self._environ(head, request), buffered=True)
        content_type = headers.get("Content-Type", "")
        extra = [(name, value) for name, value in headers.items() if name.lower() != "content-type"]
        return Reply(b"".join(body), content_type, int(status.split()[0]), extra)

    def _environ(self, head: Head, request: Request) -> dict[str, Any]:
        """The request as PEP 3333 has it."""
        environ: dict[str, Any] = {
            "ei.request_id": request.id,
            "REQUEST_METHOD": head.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(head.path, "latin-1"),
            "QUERY_STRING": head.query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": str(self._port),
            "SERVER_PROTOCOL": f"HTTP/1.{head.minor}",
            "CONTENT_TYPE": head.content_type,
            "CONTENT_LENGTH": str(len(request.body)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in head.headers:
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        return environ
