"""ImageDecoder: the pixels of an encoded picture, by Pillow."""

from __future__ import annotations

import io

import numpy as np

from onnx_import.dtypes import Array
from onnx_import.errors import InvalidInput, Unsupported

FORMATS = ("BMP", "JPEG", "JPEG2000", "TIFF", "PNG", "WEBP", "PPM")
"""Pillow's names of the formats that the operator lists; PPM covers the portable ones."""


def decode(encoded: Array, *, pixel_format: str) -> tuple[Array]:
    """Rows, columns and channels as uint8; what cannot be decoded gives an empty picture."""
    try:
        from PIL import Image
    except ImportError as problem:
        raise Unsupported("ImageDecoder needs Pillow", "pip install pillow") from problem
    try:
        with Image.open(io.BytesIO(encoded.tobytes()), formats=FORMATS) as image:
            if image.mode[0] in "IF":
                raise InvalidInput(f"a picture of 8 bits a channel is needed, not of Pillow's mode {image.mode}")
            pixels = np.asarray(image.convert("L" if pixel_format == "Grayscale" else "RGB"))
    except InvalidInput:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return (np.empty((0, 0, 0), dtype=np.uint8),)
    if pixel_format == "Grayscale":
        return (pixels[:, :, None],)
    return (pixels[:, :, ::-1] if pixel_format == "BGR" else pixels,)
