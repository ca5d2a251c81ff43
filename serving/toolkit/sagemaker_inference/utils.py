"""Small readings of files and headers that scripts and services call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPE_REGEX = re.compile("^[Cc]ontent-?[Tt]ype")


def read_file(path: str, mode: str = "r") -> Any:
    """The whole content of a file, as text or, with mode "rb", as bytes."""
    with Path(path).open(mode) as file:
        return file.read()


def write_file(path: str, data: Any, mode: str = "w") -> None:
    """Write the whole content of a file."""
    with Path(path).open(mode) as file:
        file.write(data)


def retrieve_content_type_header(request_property: Mapping[str, str]) -> str | None:
    """The content type among a request's headers, in any of its spellings; None where there is none."""
    return next((value for key, value in request_property.items() if CONTENT_TYPE_REGEX.match(key)), None)


def parse_accept(accept: str) -> list[str]:
    """The members of an Accept header, as they stand."""
    return accept.replace(" ", "").split(",")


def remove_crlf(illegal_string: str) -> str:
    """The string with line breaks turned into spaces, as a header or a reason phrase needs it."""
    return illegal_string.replace("\r", " ").replace("\n", " ")
