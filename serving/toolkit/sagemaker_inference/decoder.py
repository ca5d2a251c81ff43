"""Request bodies to numpy arrays, by the server's own codecs: nothing is unpickled, bad input is the client's 400.

Shapes are the toolkit's: a CSV of one row, or of one column, is a flat array; JSON that is no array is an array of one object.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from serving import codecs
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array

from . import content_types, errors

_LIMIT = 1 << 32
_READ = frozenset({content_types.JSON, content_types.CSV, content_types.NPY, content_types.NPZ})


def decode(obj: str | bytes, content_type: str) -> Any:
    """The array in a body of JSON, CSV or NPY, or the sparse matrix in an NPZ; UnsupportedFormatError for another type.

    BadRequest, which the client gets as a 400, where the body is not what its type says.
    """
    if content_type not in _READ:
        raise errors.UnsupportedFormatError(content_type)
    body = obj.encode() if isinstance(obj, str) else bytes(obj)
    if content_type == content_types.JSON:
        return _json(body)
    if content_type == content_types.NPZ:
        return _sparse(codecs.decode(body, content_type, None, _LIMIT))
    array = codecs.decode(body, content_type, None, _LIMIT)[UNNAMED]
    return np.squeeze(array) if content_type == content_types.CSV else _writable(array)


def _json(body: bytes) -> Array:
    if body.lstrip()[:1] == b"[":
        try:
            decoded = codecs.decode(body, content_types.JSON, None, _LIMIT)
            if UNNAMED in decoded:
                return _writable(decoded[UNNAMED])
        except BadRequest as fault:
            return _objects(body, fault)
    return _objects(body, None)


def _objects(body: bytes, fault: BadRequest | None) -> Array:
    """What the codec takes for no tensor (objects, mixed lists), as numpy makes an array of it."""
    try:
        return np.array(orjson.loads(body))
    except orjson.JSONDecodeError as error:
        raise fault or BadRequest(f"malformed JSON: {error}") from None
    except ValueError as error:
        raise fault or BadRequest(f"the rows of the JSON are no array: {error}") from None


def _sparse(arrays: dict[str, Array]) -> Any:
    """A scipy.sparse matrix out of what `scipy.sparse.save_npz` wrote."""
    try:
        from scipy import sparse
    except ImportError:
        raise errors.UnsupportedFormatError(f"{content_types.NPZ} (scipy is not installed)") from None
    kind = arrays.pop("format", np.array("")).item()
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    try:
        if kind == "coo":
            return sparse.coo_matrix((arrays["data"], (arrays["row"], arrays["col"])), shape=arrays["shape"])
        if kind == "dia":
            return sparse.dia_matrix((arrays["data"], arrays["offsets"]), shape=arrays["shape"])
        if kind in ("csr", "csc", "bsr"):
            make = getattr(sparse, f"{kind}_matrix")
            return make((arrays["data"], arrays["indices"], arrays["indptr"]), shape=arrays["shape"])
    except (KeyError, ValueError, TypeError) as error:
        raise BadRequest(f"the NPZ body is no {kind} matrix: {error}") from None
    raise BadRequest("the NPZ body is no sparse matrix: expected what scipy.sparse.save_npz writes")


def _writable(array: Array) -> Array:
    """Codecs give views of the body; what the toolkit decodes may be written into."""
    return array if array.flags.writeable else array.copy()
