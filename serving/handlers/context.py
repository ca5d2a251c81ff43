"""The `context` that user functions and handler services may take: what they see of a request and say of its reply.

Names and arguments are those of MMS 1.1 and 2024 (`mms.context`): a list of requests, told apart by an index, though here it
always has one. Header names are looked up in any case. What a script puts on the context at load is there in every request.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from serving.handlers.metrics_store import MetricsStore
from serving.invocation import Header, Request

log = logging.getLogger("ei.script")

SERVER_NAME = "ei"
_FRAMING = frozenset(
    {"content-type", "content-length", "transfer-encoding", "connection", "date", "server", "keep-alive", "upgrade"}
)
"""Headers that the server alone writes: a script's copy would break the framing of its own answer."""


class RequestProcessor:
    """The headers of one request, and the status and headers that its reply is to have."""

    def __init__(self, request_header: Mapping[str, str]) -> None:
        self._request = dict(request_header)
        self._status = 200
        self._phrase: str | None = None
        self._response: dict[str, str] = {}

    def get_request_property(self, key: str) -> str | None:
        """A request header by its name, in any case; None where the request has none."""
        if key in self._request:
            return self._request[key]
        lowered = key.lower()
        return next((value for name, value in self._request.items() if name.lower() == lowered), None)

    def get_request_properties(self) -> dict[str, str]:
        """All request headers, in the client's spelling."""
        return self._request

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """The status of the reply, and a phrase that the log gets (HTTP/2 has none, clients ignore it)."""
        self._status = code
        self._phrase = reason_phrase

    def get_response_status_code(self) -> int:
        """The status of the reply so far."""
        return self._status

    def get_response_status_phrase(self) -> str | None:
        """The phrase that was reported with the status."""
        return self._phrase

    def add_response_property(self, key: str, value: object) -> None:
        """A header of the reply; line breaks become spaces, since they would end the header."""
        self._response[_one_line(key)] = _one_line(value)

    def get_response_headers(self) -> dict[str, str]:
        """The headers given to the reply so far."""
        return self._response

    def get_response_header(self) -> dict[str, str]:
        """The same, under MMS 1.0's name."""
        return self._response


class Context:
    """What stays the same from load on (model name, directory, manifest), and the request that is being answered."""

    def __init__(
        self,
        model_name: str,
        model_dir: str,
        manifest: Any = None,
        batch_size: int = 1,
        gpu: int | None = None,
        mms_version: str = "",
    ) -> None:
        self.model_name = model_name
        self.manifest = manifest
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": batch_size,
            "server_name": SERVER_NAME,
            "server_version": mms_version,
        }
        self.request_ids: dict[int, str] | None = None
        self.request_processor: list[RequestProcessor] = [RequestProcessor({})]
        self._metrics: MetricsStore | None = None

    @property
    def metrics(self) -> MetricsStore:
        """The metrics of this request; each goes to the log as a `[METRICS]` line when the request is answered."""
        if self._metrics is None:
            self._metrics = MetricsStore(self.request_ids, self.model_name)
        return self._metrics

    @metrics.setter
    def metrics(self, metrics: MetricsStore) -> None:
        self._metrics = metrics

    def get_request_id(self, idx: int = 0) -> str | None:
        """The id that the request came with, or got."""
        return (self.request_ids or {}).get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        """A request header by its name, in any case; None where the request has none."""
        return self.request_processor[idx].get_request_property(key)

    def get_all_request_header(self, idx: int) -> dict[str, str]:
        """All request headers, content type and accept among them."""
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        """The content type of a reply whose function returns a bare body."""
        self.request_processor[idx].add_response_property("content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        """The content type set so far, in whatever case its header was spelled."""
        headers = self.request_processor[idx].get_response_headers()
        return next((value for key, value in headers.items() if key.lower() == "content-type"), None)

    def set_response_header(self, idx: int, key: str, value: object) -> None:
        """A header of the reply (all of them together within 4096 bytes, or the platform drops the answer)."""
        self.request_processor[idx].add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        """The headers given to the reply so far."""
        return self.request_processor[idx].get_response_headers()

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """The status of the reply."""
        self.request_processor[idx].report_status(code, phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """The status of every reply."""
        for processor in self.request_processor:
            processor.report_status(code, phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        """The status and the phrase set so far."""
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    set_http_response_status = set_response_status
    get_http_response_status = get_response_status


def of_request(base: Context, request: Request) -> Context:
    """A context of its own for one request; it has whatever the script put on the one it was loaded with."""
    context = Context.__new__(Context)
    context.__dict__.update(base.__dict__)
    context.request_ids = {0: request.id}
    context.request_processor = [RequestProcessor(_headers(request))]
    context._metrics = None
    return context


def _headers(request: Request) -> dict[str, str]:
    """The request's headers by name; one that comes several times is one list (RFC 9110, section 5.2)."""
    merged: dict[str, str] = {}
    spelled: dict[str, str] = {}
    for name, value in request.headers:
        key = spelled.setdefault(name.lower(), name)
        merged[key] = f"{merged[key]}, {value}" if key in merged else value
    for name, value in (("Content-Type", request.content_type), ("Accept", request.accept)):
        merged.pop(spelled.get(name.lower(), ""), None)
        if value:
            merged[name] = value
    return merged


def response_headers(context: Context) -> list[Header]:
    """The headers for the reply, without those that only the server may write."""
    headers = context.request_processor[0].get_response_headers()
    return [(name, value) for name, value in headers.items() if name.lower() not in _FRAMING]


def emit_metrics(context: Context) -> None:
    """Write what the script measured in this request to the log, in MMS's form."""
    for metric in context._metrics.store if context._metrics is not None else ():
        log.info("[METRICS]%s", metric)


def _one_line(text: object) -> str:
    return str(text).replace("\r", " ").replace("\n", " ")
