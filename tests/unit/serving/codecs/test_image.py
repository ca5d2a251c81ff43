"""application/x-image and image/*: pictures for models of either layout."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from serving import codecs
from serving.codecs import negotiate
from serving.errors import BadRequest, NotAcceptable
from serving.invocation import UNNAMED, Array
from serving.models.signature import Signature, Tensor
from tests.unit.serving.codecs.contract import LIMIT, CodecContract, one_input

RED, BLUE = (200, 30, 40), (10, 20, 250)


def picture(width: int = 6, height: int = 4, mode: str = "RGB") -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", (width, height), RED)
    image.paste(BLUE, (width // 2, 0, width, height))
    return image.convert(mode)


def file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header states this size, with hardly any data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def read(body: bytes, signature: Signature | None = None, limit: int = LIMIT) -> Array:
    """The only tensor of a picture."""
    return codecs.decode(body, "application/x-image", signature, limit)[UNNAMED]


class TestImage(CodecContract):
    """The contract of codecs, and the rules of pictures."""

    content_type = "application/x-image"
    samples = (file(picture()), file(picture(), "JPEG"), file(picture(), "GIF"), file(picture(), "BMP"))

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF"])
    def test_kinds(self, kind: str) -> None:
        """Every kind of file is read, whatever the content type calls it; without a signature as 1 x H x W x 3 bytes."""
        found = self.read(file(picture(), kind), "image/png")[UNNAMED]
        assert (found.shape, found.dtype) == ((1, 4, 6, 3), np.uint8)
        np.testing.assert_allclose(found[0, 2, 0].astype(int), RED, atol=40)
        np.testing.assert_allclose(found[0, 2, 5].astype(int), BLUE, atol=40)

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((None, 3, 4, 6), (1, 3, 4, 6)),
            ((None, 3, None, None), (1, 3, 4, 6)),
            ((1, 3, 8, 8), (1, 3, 8, 8)),
            ((None, 3, 8, None), (1, 3, 8, 12)),
            ((None, 3, None, 3), (1, 3, 2, 3)),
            ((None, 1, 4, 6), (1, 1, 4, 6)),
            ((None, 4, 6, 3), (1, 4, 6, 3)),
            ((None, None, None, 3), (1, 4, 6, 3)),
            ((None, 2, 3, 1), (1, 2, 3, 1)),
        ],
    )
    def test_fits_the_signature(self, shape: tuple[int | None, ...], expected: tuple[int, ...]) -> None:
        """Layout, channels, height and width are the signature's; what it leaves open is the picture's, in proportion."""
        found = read(file(picture()), one_input(*shape))
        assert (found.shape, found.dtype) == (expected, np.float32)
        assert found.flags.c_contiguous

    def test_values(self) -> None:
        """Values are 0 to 255, red first."""
        channels_first = read(file(picture()), one_input(None, 3, None, None))
        assert channels_first[0, :, 0, 0].tolist() == [*map(float, RED)]
        channels_last = read(file(picture()), one_input(None, None, None, 3))
        assert channels_last[0, 0, 5].tolist() == [*map(float, BLUE)]

    def test_upright(self) -> None:
        """A picture that its EXIF data turns is turned."""
        exif = Image.Exif()
        exif[0x0112] = 6  # turn by 90 degrees clockwise
        found = read(file(picture(), exif=exif))
        assert found.shape == (1, 6, 4, 3)
        assert found[0, 0, 0].tolist() == [*RED]
        assert found[0, 5, 0].tolist() == [*BLUE]

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "LA", "I;16"])
    def test_modes(self, mode: str) -> None:
        """Grey, palettes, transparency and 16 bits become three channels of 8 bits."""
        image = Image.new(mode, (2, 2), 32767 if mode == "I;16" else None or 0)
        found = read(file(image))
        assert found.shape == (1, 2, 2, 3)
        assert found.max() == (127 if mode == "I;16" else 0)

    def test_corrupt_exif(self) -> None:
        """A picture whose EXIF data is cut off is read as it stands."""
        exif = Image.Exif()
        exif[0x0112] = 6
        body = file(picture(), "JPEG", exif=exif)
        at = body.index(b"Exif")
        assert read(body[: at + 14] + b"\xff" * 4 + body[at + 18 :]).shape == (1, 4, 6, 3)

    def test_transparent_palette(self) -> None:
        """A palette with transparency for each colour is read without a warning."""
        assert read(file(picture(mode="P"), transparency=b"\x00\x80\xff")).shape == (1, 4, 6, 3)

    def test_first_frame_of_an_animation(self) -> None:
        """Of several frames the first one is taken."""
        body = file(picture(), "GIF", save_all=True, append_images=[Image.new("RGB", (6, 4), BLUE)])
        np.testing.assert_allclose(read(body)[0, 2, 0].astype(int), RED, atol=40)

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b"no picture", "of no known format"),
            (file(picture(), "TIFF"), "of no known format"),
            (file(picture(400, 300))[:500], "not a picture that can be read"),
            (file(picture(400, 300), "JPEG")[:700], "truncated"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "of no known format"),
            (png_of_size(1000, 1000), "the picture unpacks to more than 1048576 bytes"),
            (png_of_size(12_000, 12_000), "unpacks to more than"),
            (png_of_size(2**31 - 1, 2**31 - 1), "unpacks to more than|not a picture"),
        ],
    )
    def test_refuses(self, body: bytes, message: str) -> None:
        """What is no picture, is cut off, or would unpack to more than the limit is a 400."""
        self.refuse(body, message)

    def test_thin_pictures_are_not_blown_up(self) -> None:
        """Keeping the proportions of a very thin picture does not lead beyond the limit."""
        with pytest.raises(BadRequest, match="unpacks to more than"):
            read(file(picture(10_000, 1)), one_input(None, 3, 224, None))

    @pytest.mark.parametrize(
        "signature",
        [
            one_input(None, 4),
            one_input(None, 5, 4, 4),
            Signature((Tensor("a", None, np.dtype("f4")),)),
            Signature((Tensor("a", (None, 3, 4, 4), np.dtype("f4")), Tensor("b", (None, 1), np.dtype("f4")))),
        ],
        ids=["flat", "channels", "unknown", "two"],
    )
    def test_models_without_pictures(self, signature: Signature) -> None:
        """A model whose inputs are no picture is a 400 that says what was expected."""
        with pytest.raises(BadRequest, match="the model takes no pictures"):
            read(file(picture()), signature)

    def test_answers_are_no_pictures(self) -> None:
        """An answer in image/png is a 406."""
        with pytest.raises(NotAcceptable):
            negotiate.encoder("image/png")
