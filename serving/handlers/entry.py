"""Handler services: entry scripts and classes written for MMS or the inference toolkit, run unchanged.

    SAGEMAKER_HANDLER -> module -> function `handle(data, context)`, or class with `initialize` and `handle` -> Service

`data` is a list of one `{"body": bytes}`; `handle` returns a list of one body. MMS's rules hold [awslabs/multi-model-server
mms/model_loader.py, mms/service.py], but a service that cannot be initialised ends the start instead of answering errors.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from serving import toolkit
from serving.errors import ModelError, UserCodeError, from_status
from serving.handlers import body, faults, script_file
from serving.handlers.context import Context, of_request
from serving.handlers.script_file import ScriptFile
from serving.handlers.service import Options
from serving.invocation import Reply, Request

log = logging.getLogger("ei.script")

Handle = Callable[[Any, Any], Any]
FUNCTION = "handle"
DEFAULT_HANDLERS = frozenset(
    {
        "sagemaker_inference.default_handler_service",
        "sagemaker_inference.default_handler_service:DefaultHandlerService",
        "sagemaker_mxnet_serving_container.handler_service",
        "sagemaker_mxnet_serving_container.handler_service:HandlerService",
    }
)
"""Handler services that only run the user script's functions: the server does that by itself, and faster."""
_TRACEBACK = "\nTraceback (most recent call last)"


class EntryService:
    """A handler service as the three steps of the request line; it answers one request at a time."""

    def __init__(self, handle: Handle, context: Context, default_accept: str = body.JSON) -> None:
        self._handle = handle
        self._context = context
        self._accept = default_accept

    def decode(self, request: Request) -> Context:
        """The request's context: the body is the service's own to read."""
        return of_request(self._context, request)

    def predict(self, inputs: list[Context], requests: list[Request]) -> list[Any]:
        """(body, context), or the exception, for each request."""
        answers: list[Any] = []
        for context, request in zip(inputs, requests, strict=True):
            try:
                answers.append((self._answer(context, request), context))
            except Exception as error:
                answers.append(error)
        return answers

    def encode(self, output: tuple[Any, Context], request: Request) -> Reply:
        """The reply, in the content type, with the status and the headers that the service set."""
        answer, context = output
        status, phrase = context.get_response_status(0)
        if status >= 400 and isinstance(answer, str) and not answer.lstrip().startswith(("{", "[")):
            raise from_status(status, _without_traceback(answer, request) or phrase or "the handler service failed")
        return body.reply(answer, FUNCTION, body.preferred(request.accept, self._accept), context, request)

    def _answer(self, context: Context, request: Request) -> Any:
        content = request.body if type(request.body) is bytes else bytes(request.body)
        try:
            answers = self._handle([{"body": content}], context)
        except BaseException as error:
            raise faults.of(FUNCTION, error, request.id) from error
        if not isinstance(answers, list):
            raise faults.wrong_type(FUNCTION, answers, "a list of one body for each request")
        if len(answers) != 1:
            raise UserCodeError(f"{FUNCTION} returned {len(answers)} bodies for 1 request")
        return answers[0]


def load(handler: str, options: Options) -> EntryService:
    """The service of a handler: `FILE.py:function`, `FILE.py:Class`, `module`, `module:function` or `/path/module:function`.

    Without a name, the module's `handle`, else its one class that has a `handle`. A function is called once with None as
    data, as MMS does, a class is made and its `initialize(context)` called. ModelError for whatever fails of it.
    """
    directory = options.layout.directory
    toolkit.install(directory)
    where, _, name = handler.partition(":")
    module, path = _module(where, directory)
    return build(_member(module, name, handler), Context(options.model_name, str(directory)), options.default_accept, path)


def build(target: Any, context: Context, default_accept: str = body.JSON, path: Path | None = None) -> EntryService:
    """The service of a function, a class or an instance, initialised; ModelError where it cannot be."""
    where = path or Path(handler_name(target).rpartition(":")[0])
    try:
        if inspect.isroutine(target):
            target(None, context)
            return EntryService(target, context, default_accept)
        service: Any = target() if inspect.isclass(target) else target
        initialize = getattr(service, "initialize", None)
        if initialize is not None:
            initialize(context)
    except BaseException as error:
        log.error("the handler service cannot be initialised", exc_info=error)
        raise ModelError(f"{script_file.place(error, where)}: {script_file.describe(error)}") from error
    if not callable(getattr(service, FUNCTION, None)):
        raise ModelError(f"{where}: {type(service).__name__} has no method handle(data, context)")
    return EntryService(service.handle, context, default_accept)


def _module(where: str, directory: Path) -> tuple[ModuleType, Path]:
    """The handler's module, from a file (in the code folder, or by an absolute path) or by its import name."""
    found = _file(where, directory)
    if found is not None:
        return script_file.import_script(found, directory / "code"), found.path
    script_file.expose(directory / "code")
    try:
        module = importlib.import_module(where.removesuffix(".py").replace("/", "."))
    except ModuleNotFoundError as error:
        raise ModelError(
            f"the handler {where} (SAGEMAKER_HANDLER) was not found: {error}; looked in {directory}/code"
        ) from error
    except BaseException as error:
        log.error("the import of %s failed", where, exc_info=error)
        raise ModelError(f"the handler {where} cannot be imported: {script_file.describe(error)}") from error
    return module, Path(getattr(module, "__file__", None) or where)


def _file(where: str, directory: Path) -> ScriptFile | None:
    """The file that a handler names, with or without `.py`; None where it is an import name of something else."""
    plain = Path(where if where.endswith(".py") else f"{where}.py")
    dotted = Path(f"{where.replace('.', '/')}.py")
    for folder in (directory / "code", directory, Path.cwd()):
        for relative in (plain, dotted):
            if (folder / relative).is_file():
                path = folder / relative
                if relative.is_absolute():
                    return ScriptFile(path, path.stem, path.parent)
                return ScriptFile(path, ".".join(relative.with_suffix("").parts), folder)
    return None


def _member(module: ModuleType, name: str, handler: str) -> Any:
    """The function or class of that name, or the one that MMS would choose."""
    member: Any = module
    for part in (name or FUNCTION).split("."):
        member = getattr(member, part, None)
    if member is not None:
        return member
    if name:
        raise ModelError(f"the handler {handler} (SAGEMAKER_HANDLER): {module.__name__} has no {name}")
    own = [value for value in vars(module).values() if inspect.isclass(value) and value.__module__ == module.__name__]
    services = [value for value in own if hasattr(value, FUNCTION)]
    if len(services) != 1:
        found = ", ".join(value.__name__ for value in services) or "none"
        raise ModelError(
            f"the handler {handler}: expected a function handle(data, context), or one class with a method of that name; "
            f"found {found}: name one as {handler}:NAME"
        )
    return services[0]


def handler_name(target: Any) -> str:
    """The name under which another process finds a function or a class again, for SAGEMAKER_HANDLER; a str stays itself."""
    if isinstance(target, str):
        return target
    target = target if inspect.isclass(target) or inspect.isroutine(target) else type(target)
    module = sys.modules.get(target.__module__)
    path = getattr(module, "__file__", None)
    return f"{Path(path).resolve() if path else target.__module__}:{target.__qualname__}"


def _without_traceback(text: str, request: Request) -> str:
    """The first part of an error text; the toolkit appends the traceback, which is the log's alone."""
    message, mark, trace = text.partition(_TRACEBACK)
    if mark:
        log.error("request %s: %s failed: %s%s", request.id, FUNCTION, mark.strip(), trace)
    return message.strip()
