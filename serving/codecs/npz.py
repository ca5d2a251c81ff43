"""application/x-npz: a zip archive of NPY files, one a tensor, as `numpy.savez` writes it.

    bytes -> zip directory -> member, at most what is left of the limit -> npy.array -> Inputs

The name of a member is the name of its tensor; the single `arr_0` of an archive without names is unnamed. A matrix that
`scipy.sparse.save_npz` wrote, as AWS's toolkit reads it, is made dense for a model's signature; without one its parts are
given by their names. Bombs end as a 400 before they take memory.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping

from serving.codecs import npy, sparse
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array, Inputs, Outputs
from serving.models.signature import Signature

CONTENT_TYPES = ("application/x-npz",)

_MAX_MEMBERS = 1000
_ENTRY = b"PK\x01\x02"
_ENCRYPTED = 1
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    OverflowError,
)


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Read the arrays of an archive by name; BadRequest names the member that is wrong."""
    body = bytes(body)
    if body.count(_ENTRY) > _MAX_MEMBERS:
        raise BadRequest(f"the NPZ archive has more than {_MAX_MEMBERS} members")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            arrays = _arrays(archive, limit)
    except _FAULTS as fault:
        raise BadRequest(f"malformed NPZ archive: {str(fault)[:60]}") from None
    if signature is not None and sparse.is_matrix(arrays):
        return {UNNAMED: sparse.matrix(arrays, limit)}
    if not arrays:
        raise BadRequest("the NPZ archive is empty: expected an array for each input")
    return {UNNAMED: arrays["arr_0"]} if arrays.keys() == {"arr_0"} else arrays


def encode(outputs: Outputs, params: Mapping[str, str]) -> bytes:
    """Write every output as a member; one without a name is `arr_0`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, output in outputs.items():
            # A fixed time of writing: equal answers are equal bytes.
            member = zipfile.ZipInfo(f"{name or 'arr_0'}.npy")
            archive.writestr(member, npy.dump(output))
    return buffer.getvalue()


def _arrays(archive: zipfile.ZipFile, limit: int) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    left = limit
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name == member.filename or name in arrays:
            raise BadRequest(f"the NPZ archive has a member {name[:40]!r} that is no NPY file, or has it twice")
        data = _read(archive, member, left)
        left -= len(data)
        try:
            arrays[name] = npy.array(data, limit)
        except BadRequest as fault:
            raise BadRequest(f"{name[:40]!r} in the NPZ archive: {fault.message}") from None
    return arrays


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, left: int) -> bytes:
    """Unpack a member of at most `left` bytes, whatever size its entry states."""
    if member.compress_type not in _METHODS or member.flag_bits & _ENCRYPTED:
        raise BadRequest(f"{member.filename[:40]!r} in the NPZ archive is encrypted, or packed by another method than deflate")
    with archive.open(member) as file:
        data = file.read(left + 1)
    if len(data) > left:
        raise BadRequest("the NPZ archive unpacks to more than the limit of a body")
    return data
