"""What can go wrong between bytes and bytes, and the HTTP status each kind of it has.

    bytes -> parse -> queue -> decode -> validate -> forward -> encode -> bytes
             400 408   503      400 415   400         500 504    406
             413 431   504

A `ServingError` reaches the client as its status and its message; any other exception is a fault of the user's or of our
code and reaches the client as a 500 without a traceback. A `StartError` never meets a client: it ends the start.
"""

from __future__ import annotations


class StartError(Exception):
    """The server cannot start: one message that says what was expected, what was found and what to do."""


class SettingsError(StartError):
    """One or more settings are invalid; the message lists all of them."""


class ModelError(StartError):
    """The model directory, its signature or its user script cannot be used."""


class ServingError(Exception):
    """An invocation that fails in a known way; each subclass fixes the HTTP status."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(ServingError):
    """The request is malformed: its body, its shape, its dtype, its names."""

    status = 400


class NotFound(ServingError):
    """No such route or model."""

    status = 404


class MethodNotAllowed(ServingError):
    """The route exists, but not for this method; `allow` lists those it has (RFC 9110, section 15.5.6)."""

    status = 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(f"{message}: use {allow}")
        self.allow = allow


class NotAcceptable(ServingError):
    """No content type that the model can answer in is acceptable to the client."""

    status = 406


class RequestTimeout(ServingError):
    """The client took too long to send its request."""

    status = 408


class PayloadTooLarge(ServingError):
    """The body is, or unpacks to, more than the limit."""

    status = 413


class UnsupportedMediaType(ServingError):
    """No codec reads this content type."""

    status = 415


class ExpectationFailed(ServingError):
    """An `Expect` header other than `100-continue` (RFC 9110, section 10.1.1)."""

    status = 417


class HeadersTooLarge(ServingError):
    """The request line or the header section is over its limit (RFC 6585, section 5)."""

    status = 431


class UserCodeError(ServingError):
    """A user's function raised, or returned what it must not; the traceback is in the log alone."""


class ModelProcessDied(ServingError):
    """The process that ran the forward pass ended before it answered."""


class Overloaded(ServingError):
    """The queue is full. The hint goes into the body too: the platform drops `Retry-After`."""

    status = 503
    retry_after = 1


class DeadlineExceeded(ServingError):
    """The invocation was not answered by its deadline."""

    status = 504


class DeadlinePassed(BaseException):
    """Raised inside user code that runs on the event loop when its invocation has run out of time: a 504.

    It derives from BaseException so that `except Exception` in a script does not swallow it.
    """


def from_status(status: int, message: str) -> ServingError:
    """A `ServingError` of any status, for scripts that choose their own (`BaseInferenceToolkitError`)."""
    error = ServingError(message)
    error.status = int(status) if 400 <= status <= 599 else 500  # perhaps an HTTPStatus
    return error
