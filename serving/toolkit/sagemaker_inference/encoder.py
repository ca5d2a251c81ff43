"""Arrays to response bodies, by the server's own codecs. NaN and infinity are null in JSON, which has neither."""

from __future__ import annotations

from typing import Any

import numpy as np

from serving import codecs
from serving.handlers import body
from serving.invocation import UNNAMED

from . import content_types, errors

SUPPORTED_CONTENT_TYPES = {content_types.NPY, content_types.CSV, content_types.JSON}


def encode(array_like: Any, content_type: str) -> str | bytes:
    """A text of JSON or CSV, or the bytes of an NPY; UnsupportedFormatError for another type.

    UserCodeError, which the client gets as a 500, where the value has no such form.
    """
    if content_type not in SUPPORTED_CONTENT_TYPES:
        raise errors.UnsupportedFormatError(content_type)
    if content_type == content_types.JSON:
        return body.to_json(array_like, "encoder.encode").decode()
    array = array_like.asnumpy() if hasattr(array_like, "asnumpy") else np.asarray(array_like)
    content, _ = codecs.encode({UNNAMED: array}, content_type, content_type)
    return content.decode() if content_type == content_types.CSV else content
