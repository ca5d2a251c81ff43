"""What the client is told when a user's function fails; the traceback goes to the log alone.

exception of user code -> ServingError (its own status, the one the script chose, or 500)
"""

from __future__ import annotations

import logging

from serving.errors import (
    DeadlineExceeded,
    DeadlinePassed,
    NotAcceptable,
    ServingError,
    UnsupportedMediaType,
    UserCodeError,
    from_status,
)
from serving.handlers.script_file import describe

log = logging.getLogger("ei.script")


def of(function: str, error: BaseException, request_id: str = "") -> ServingError:
    """The ServingError for what `function` raised: `sys.exit` and KeyboardInterrupt are faults like any other.

    Known by their names and fields, since the real toolkit may stand in for ours: `BaseInferenceToolkitError`
    (status_code, message, phrase) and `UnsupportedFormatError`.
    """
    if isinstance(error, ServingError):
        return error
    if isinstance(error, DeadlinePassed):
        return DeadlineExceeded(f"{function} did not return by the deadline")
    if type(error).__name__ == "UnsupportedFormatError":
        text = str(error).partition("\n")[0]
        return NotAcceptable(text) if function == "output_fn" else UnsupportedMediaType(text)
    log.error("request %s: %s failed", request_id, function, exc_info=error)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and hasattr(error, "phrase"):
        return from_status(status, str(getattr(error, "message", "") or error))
    return UserCodeError(f"{function}: {describe(error)}")


def wrong_type(function: str, value: object, expected: str) -> UserCodeError:
    """The fault of a function that returned something else than it must."""
    return UserCodeError(f"{function} returned {_kind(value)}; expected {expected}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"
