"""application/x-image and image/*: one picture -> a batch of one, as the model's only input wants it.

    bytes -> Pillow -> upright, RGB (or grey) -> resized to the signature's height and width -> NCHW or NHWC float32, 0..255

Which layout it is the signature tells: its second axis, or else its last, is 1 or 3. A size that it leaves open is the
picture's own, or keeps the picture's proportions where the other one is stated. Without a signature: 1 x H x W x 3, uint8.
Of animations the first frame is taken. Pillow is imported on first use.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.codecs import rows
from serving.errors import BadRequest
from serving.invocation import UNNAMED, Array, Inputs
from serving.models.signature import Signature

if TYPE_CHECKING:
    from PIL.Image import Image

CONTENT_TYPES = ("application/x-image", "image/*")

# Pillow reads more, some of it by running other programs (EPS) or by libraries that write to stderr on their own (TIFF).
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
_FAULTS = (OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, EOFError, RuntimeError, OverflowError)
_FAULTS_BELOW = (struct.error, zlib.error, MemoryError)

# A pixel is up to 4 bytes while it is unpacked, turned and converted.
_PIXEL_BYTES = 4


class _Layout(NamedTuple):
    """What a model wants: channels, which axis they are, height and width where it states them."""

    channels: int
    channels_first: bool
    height: int | None
    width: int | None


def decode(body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
    """Read one picture; BadRequest where it is none, unpacks to more than `limit` bytes, or the model takes no pictures."""
    layout = _layout(signature) if signature is not None else None
    try:
        # What Pillow only warns of is read as it says. One thread of a process decodes, as `catch_warnings` needs it.
        with warnings.catch_warnings(action="ignore"):
            picture = _picture(bytes(body), layout.channels if layout else 3, limit)
    except _FAULTS + _FAULTS_BELOW as fault:
        raise BadRequest(f"not a picture that can be read ({', '.join(_FORMATS)}): {_reason(fault)}") from None
    if layout is None:
        return {UNNAMED: np.asarray(picture)[np.newaxis]}
    return {UNNAMED: _batch(_resized(picture, layout, limit), layout)}


def _layout(signature: Signature) -> _Layout:
    tensor = rows.only(signature)
    shape = tensor.shape if tensor is not None else None
    if shape is not None and len(shape) == 4:
        _, second, third, last = shape
        if second in (1, 3):
            return _Layout(second, True, third, last)
        if last in (1, 3):
            return _Layout(last, False, second, third)
    raise BadRequest("the model takes no pictures: expected one input of shape (N, C, H, W) or (N, H, W, C), where C is 1 or 3")


def _picture(body: bytes, channels: int, limit: int) -> Image:
    """Unpack, turn upright and convert, all of it inside the faults that `decode` catches."""
    from PIL import Image, ImageOps

    too_large = BadRequest(f"the picture unpacks to more than {limit} bytes")
    try:
        picture = Image.open(io.BytesIO(body), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise too_large from None
    width, height = picture.size
    if width * height * _PIXEL_BYTES > limit:
        raise too_large
    upright = ImageOps.exif_transpose(picture)
    if "transparency" in upright.info:
        upright = upright.convert("RGBA")
    if upright.mode.startswith("I"):
        upright = Image.fromarray(np.clip(np.asarray(upright, np.int32) >> 8, 0, 255).astype(np.uint8))
    return upright.convert("RGB" if channels == 3 else "L")


def _resized(picture: Image, layout: _Layout, limit: int) -> Image:
    from PIL import Image

    width, height = picture.size
    high, wide = layout.height, layout.width
    if high is None and wide is not None:
        high = max(1, round(height * wide / width))
    elif wide is None and high is not None:
        wide = max(1, round(width * high / height))
    wanted = (wide or width, high or height)
    if wanted[0] * wanted[1] * layout.channels * 4 > limit:
        raise BadRequest(f"the picture of {width} x {height} unpacks to more than {limit} bytes")
    return picture if wanted == picture.size else picture.resize(wanted, Image.Resampling.BILINEAR)


def _batch(picture: Image, layout: _Layout) -> Array:
    pixels = np.asarray(picture)
    if layout.channels == 1:
        pixels = pixels[:, :, np.newaxis]
    if layout.channels_first:
        pixels = pixels.transpose(2, 0, 1)
    return pixels[np.newaxis].astype(np.float32, order="C")


def _reason(fault: BaseException) -> str:
    # Pillow's message for an unknown format is the repr of our buffer.
    return (
        "of no known format" if type(fault).__name__ == "UnidentifiedImageError" else (str(fault)[:80] or type(fault).__name__)
    )
