"""The service of TensorFlow models behind a user script: composed once at load, started in each process after its fork.

    decode:  handler: the stream and the context           pair: input_handler -> a document for TF Serving
    predict: handler -> (body, content_type)               pair: the documents of all requests down the line, together
    encode:  the reply                                     pair: output_handler -> the reply

Requests of a model without a script, and gRPC's, go to the models as if there were none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from serving.errors import DeadlineExceeded, ServingError, UserCodeError
from serving.handlers import body, faults, tfs_objects
from serving.handlers.tfs_objects import JSON, Context
from serving.handlers.tfs_script import Scripts, TfsFunctions
from serving.invocation import Reply, Request, invoke
from serving.tfs import attributes, rpc_calls
from serving.tfs.inner import Inner
from serving.tfs.service import CUSTOM_ATTRIBUTES, DOCUMENT, TfsService

EXPECTED_ANSWER = "(body, content_type), the body as str or bytes"
EXPECTED_DOCUMENT = "TF Serving's JSON document as str, bytes or a file (json.dumps makes one of a dict)"


@dataclass(frozen=True)
class Options:
    """What the service needs besides the models and the scripts."""

    default_accept: str = JSON
    """The `accept_header` of requests without one."""
    ports: tuple[int, int] | None = None
    """The only ports, from the lower to the higher, that may be listened on (SAGEMAKER_SAFE_PORT_RANGE)."""


class Work:
    """One request on its way: the functions it goes through (None: the models' own line), their context, what they made."""

    __slots__ = ("context", "functions", "made")

    def __init__(self, functions: TfsFunctions | None, context: Any, made: Any) -> None:
        self.functions, self.context, self.made = functions, context, made


class TfsScriptService:
    """User scripts around the models of a directory."""

    has_user_code = True

    def __init__(self, tfs: TfsService, scripts: Scripts, options: Options | None = None) -> None:
        self.tfs, self.scripts = tfs, scripts
        self._accept = (options or Options()).default_accept
        uses_grpc = any(functions.uses_grpc for functions in scripts.all)
        self.inner = Inner(tfs, (options or Options()).ports, uses_grpc)
        if any(functions.handler is None for functions in scripts.all):
            tfs_objects.requests_library()  # imported now, not under the first request

    def start(self, slot: int = 0) -> None:
        """Listen on this process' own ports, by its slot; after the fork. What is not started so is started when it is needed."""
        self.inner.start(slot)

    def close(self) -> None:
        """Stop listening, and give back what the models hold."""
        self.inner.close()
        self.tfs.servables.close()

    # ---- the request line

    def decode(self, request: Request) -> Work:
        """The request as its script's first function left it."""
        if rpc_calls.is_message(request.content_type):
            return Work(None, None, self.tfs.decode(request))
        header = request.header(CUSTOM_ATTRIBUTES)
        target = attributes.target(header)
        model = target.model or self.tfs.servables.default
        functions = self.scripts.of(model)
        if functions is None:
            return Work(None, None, self.tfs.decode(request))
        context = self._context(request, target, model, header)
        data = tfs_objects.stream(request)
        if functions.input_handler is None:
            return Work(functions, context, data)
        made = _document(_call("input_handler", functions.input_handler, data, context, request))
        return Work(
            functions, context, Request(made, DOCUMENT, headers=request.headers, id=request.id, arrived=request.arrived)
        )

    def predict(self, inputs: list[Work], requests: list[Request]) -> list[Any]:
        """The work, further on, or the exception, for each; what goes to the models goes there together."""
        answers: list[Any] = list(inputs)
        for at, work in enumerate(inputs):
            if work.functions is not None and work.functions.handler is not None:
                answers[at] = _handled(work, work.functions.handler, requests[at])
        plain = [at for at, work in enumerate(inputs) if work.functions is None]
        if plain:
            outputs = self.tfs.predict([inputs[at].made for at in plain], [requests[at] for at in plain])
            for at, output in zip(plain, outputs, strict=True):
                answers[at] = output if isinstance(output, BaseException) else Work(None, None, output)
        asked = [at for at, work in enumerate(inputs) if isinstance(work.made, Request)]
        if asked:
            for at, reply in zip(asked, invoke(self.tfs, [inputs[at].made for at in asked]), strict=True):
                answers[at] = _answered(inputs[at], reply)
        return answers

    def encode(self, output: Work, request: Request) -> Reply:
        """The reply of the script, or of the models."""
        functions, context, made = output.functions, output.context, output.made
        if functions is None:
            return self.tfs.encode(made, request)
        if functions.output_handler is None:
            return _reply(made, "handler", context)
        response = tfs_objects.response(made, context.rest_uri)
        return _reply(_call("output_handler", functions.output_handler, response, context, request), "output_handler", context)

    def failure(self, error: BaseException, request: Request) -> Reply:
        """An error as TF Serving's clients expect it: `{"error": message}`."""
        return self.tfs.failure(error, request)

    # ----

    def _context(self, request: Request, target: attributes.Target, model: str, header: str | None) -> Context:
        places = self.inner.places()
        version = "" if target.version is None else f"/versions/{target.version}"
        return Context(
            target.model,
            None if target.version is None else str(target.version),
            target.method if "tfs-method=" in (header or "") else None,
            f"http://localhost:{places.rest_port}/v1/models/{model}{version}:{target.method}",
            str(places.grpc_port) if places.grpc_port else None,
            places.channel,
            header,
            request.content_type or JSON,
            request.accept or self._accept,
            len(request.body),
        )


def _handled(work: Work, handler: Callable[[Any, Any], Any], request: Request) -> Any:
    try:
        return Work(work.functions, work.context, _call("handler", handler, work.made, work.context, request))
    except ServingError as error:
        return error


def _answered(work: Work, reply: Reply) -> Any:
    """The models' answer for the script; the deadline, where it passed meanwhile, is not the script's to explain."""
    if reply.status == DeadlineExceeded.status:
        return DeadlineExceeded(reply.fault)
    return Work(work.functions, work.context, reply)


def _call(name: str, function: Callable[[Any, Any], Any], first: Any, context: Context, request: Request) -> Any:
    """What a script's function returns; its exception's own text is what the client is told, as by AWS's container."""
    try:
        return function(first, context)
    except BaseException as error:
        fault = faults.of(name, error, request.id)
        if type(fault) is UserCodeError and fault is not error and isinstance(error, Exception):
            fault = UserCodeError(_text(error) or fault.message)
        raise fault from error


def _text(error: Exception) -> str:
    """An exception's own words, without a traceback that is among them."""
    return str(error).partition("\nTraceback (most recent call last)")[0].strip()


def _document(made: Any) -> bytes:
    """What `input_handler` returned, as `requests.post(uri, data=made)` would send it."""
    if isinstance(made, str):
        return made.encode("utf-8", "replace")
    if isinstance(made, bytes | bytearray | memoryview):
        return bytes(made)
    if isinstance(made, Iterator) or hasattr(made, "read"):
        return _read(made)
    raise faults.wrong_type("input_handler", made, EXPECTED_DOCUMENT)


def _read(made: Any) -> bytes:
    """A file's rest, or an iterator's pieces."""
    try:
        pieces = [made.read()] if hasattr(made, "read") else list(made)
        return b"".join(piece.encode() if isinstance(piece, str) else bytes(memoryview(piece)) for piece in pieces)
    except TypeError:
        raise faults.wrong_type("input_handler", made, EXPECTED_DOCUMENT) from None


def _reply(returned: Any, function: str, context: Context) -> Reply:
    """The reply for what a script returned; UserCodeError names the function and the type where it is none."""
    if not isinstance(returned, tuple | list) or len(returned) != 2:
        raise faults.wrong_type(function, returned, EXPECTED_ANSWER)
    content, content_type = returned
    if isinstance(content, str):
        content = content.encode("utf-8", "replace")
    if not isinstance(content, bytes | bytearray | memoryview) or not isinstance(content_type, str | None):
        wrong = content_type if isinstance(content, bytes | bytearray | memoryview) else content
        raise UserCodeError(
            f"{function} returned a pair with a value of type {type(wrong).__name__}; expected {EXPECTED_ANSWER}"
        )
    return body.finish(Reply(bytes(content), _media_type(content_type or context.accept_header, context)), None)


def _media_type(named: str, context: Context) -> str:
    """The content type that a script named; one of the Accept header's, where it handed that on as it came."""
    if named == context.accept_header and ("," in named or "*" in named):
        return body.preferred(named, JSON)
    return named
