"""text/plain: a string as a tensor of one row; answers are strings, a line each, or the JSON text of anything else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from serving.codecs import answer, charset, json, nested, rows
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("text/plain",)


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Read the whole body as one string: shape (1,), or (1, 1) and so on where the model's input asks for it."""
    text = charset.text(body, params)
    if not text:
        raise BadRequest("the body is empty: expected text")
    array = nested.strings([text], limit)
    return {UNNAMED: rows.fit(array.reshape(1, 1), signature) if rows.only(signature) else array}


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write the strings of a single output, a line each, else the JSON text of all outputs."""
    first = np.asarray(next(iter(outputs.values()))) if len(outputs) == 1 else None
    if first is None or first.dtype.kind not in "USO":
        return json.encode(outputs, params)
    return "\n".join(answer.texts(answer.rows(first)).ravel().tolist()).encode("utf-8", "replace")
