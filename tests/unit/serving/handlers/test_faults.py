"""What a client is told when user code fails."""

from __future__ import annotations

import logging

import pytest

from serving.errors import BadRequest, NotAcceptable, UnsupportedMediaType, UserCodeError
from serving.handlers import faults


class BaseInferenceToolkitError(Exception):
    """An error with the toolkit's fields, from a package that is not ours."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        super().__init__(status_code, message, phrase)
        self.status_code, self.message, self.phrase = status_code, message, phrase


class UnsupportedFormatError(Exception):
    """An error of the toolkit's name, from a package that is not ours."""


def test_own_errors_stay_what_they_are() -> None:
    """A ServingError keeps its status and its message."""
    error = BadRequest("wrong")
    assert faults.of("input_fn", error) is error


def test_the_scripts_own_status() -> None:
    """The toolkit's error chooses status and message."""
    fault = faults.of("predict_fn", BaseInferenceToolkitError(429, "slow down", "Too Many"))
    assert (fault.status, fault.message) == (429, "slow down")


def test_a_status_that_is_none() -> None:
    """A status outside of 400 to 599 is a 500."""
    assert faults.of("predict_fn", BaseInferenceToolkitError(99, "odd", "")).status == 500


def test_unsupported_formats() -> None:
    """The toolkit's UnsupportedFormatError is a 406 out of output_fn and a 415 elsewhere, in one line."""
    error = UnsupportedFormatError("Content type x is not supported.\n\nMore")
    assert isinstance(faults.of("input_fn", error), UnsupportedMediaType)
    assert isinstance(faults.of("output_fn", error), NotAcceptable)
    assert faults.of("output_fn", error).message == "Content type x is not supported."


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (SystemExit(2), "model_fn: sys.exit(2) was called"),
        (KeyboardInterrupt(), "model_fn: KeyboardInterrupt"),
        (KeyError("k"), "model_fn: KeyError: 'k'"),
    ],
)
def test_anything_else_names_function_and_type(error: BaseException, message: str, caplog: pytest.LogCaptureFixture) -> None:
    """Any other exception is a UserCodeError with function, type and text; the log has the traceback."""
    with caplog.at_level(logging.ERROR, "ei.script"):
        fault = faults.of("model_fn", error, "id-9")
    assert isinstance(fault, UserCodeError)
    assert fault.message == message
    assert caplog.records[0].exc_info is not None
    assert "id-9" in caplog.text
