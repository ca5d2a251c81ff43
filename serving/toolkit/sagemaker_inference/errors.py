"""The errors that scripts raise to choose a status, and those that decoding and encoding raise."""

from __future__ import annotations


class UnsupportedFormatError(Exception):
    """A content type that is not read, or not written: the client gets a 415, or a 406."""

    def __init__(self, content_type: object, **kwargs: object) -> None:
        self._message = (
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Implement input_fn to read it from a request, or output_fn to write it into a response."
        )
        super().__init__(self._message, **kwargs)


class BaseInferenceToolkitError(Exception):
    """An error whose status and message the client gets; the phrase is for the log."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(status_code, message, phrase)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """The same, with a text of its own where none is given."""

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        message = message or "Invalid Request"
        super().__init__(status_code, message, phrase or message)
