"""Bytes <-> named arrays, one module for each wire type: `negotiate` finds the module, the module does the rest.

    body, Content-Type -> decode -> Inputs            Outputs, Accept -> encode -> bytes, content type

A new wire type is one module with CONTENT_TYPES, `decode` and, where it can answer, `encode`.
"""

from __future__ import annotations

from serving.codecs import negotiate
from serving.invocation import Inputs, Outputs
from serving.models.signature import Signature


def decode(body: bytes | memoryview, content_type: str, signature: Signature | None, limit: int) -> Inputs:
    """Read the tensors of a body, in their natural dtypes, not yet checked against the signature.

    `limit` is the largest unpacked size in bytes. UnsupportedMediaType, BadRequest or PayloadTooLarge. NPY and raw bytes
    are not copied: the arrays look into the body and cannot be written to.
    """
    return negotiate.decoder(content_type).decode(body, negotiate.parse(content_type)[1], signature, limit)


def encode(outputs: Outputs, accept: str, default: str = negotiate.JSON) -> tuple[bytes, str]:
    """Write the outputs for an Accept, for `default` where it is missing: body and content type, or NotAcceptable."""
    codec, content_type, params = negotiate.answer(accept, default)
    return codec.encode(outputs, params), content_type
