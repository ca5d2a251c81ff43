"""Pictures: what decodes, and what does not."""

from __future__ import annotations

import builtins
import io
from typing import Any

import numpy as np
import pytest

from onnx_import.errors import InvalidInput, Unsupported
from onnx_import.host import pictures

Image = pytest.importorskip("PIL.Image")
PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3) * 10


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None) -> np.ndarray:
    """A picture's file as bytes."""
    file = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(file, kind)
    return np.frombuffer(file.getvalue(), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_decodes_without_loss(kind: str) -> None:
    """Formats without loss give the very pixels, channels last, in the order asked for."""
    assert np.array_equal(pictures.decode(encoded(PIXELS, kind), pixel_format="RGB")[0], PIXELS)
    assert np.array_equal(pictures.decode(encoded(PIXELS, kind), pixel_format="BGR")[0], PIXELS[:, :, ::-1])


def test_channels_follow_the_pixel_format() -> None:
    """A grey file gives three channels where colours are asked for, a coloured one gives one where grey is."""
    grey = encoded(PIXELS[:, :, 0])
    assert np.array_equal(pictures.decode(grey, pixel_format="RGB")[0], np.repeat(PIXELS[:, :, :1], 3, axis=2))
    assert pictures.decode(encoded(PIXELS), pixel_format="Grayscale")[0].shape == (2, 3, 1)
    assert pictures.decode(encoded(PIXELS, mode="RGBA"), pixel_format="RGB")[0].shape == (2, 3, 3)


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"], ids=["empty", "text", "cut"])
def test_what_cannot_be_decoded_is_empty(data: bytes) -> None:
    """As the operator's text has it: an empty picture, no error."""
    assert pictures.decode(np.frombuffer(data, dtype=np.uint8), pixel_format="RGB")[0].shape == (0, 0, 0)


def test_cut_off_picture_is_empty() -> None:
    """A file that ends early is not guessed at."""
    whole = encoded(np.random.RandomState(0).randint(0, 255, (64, 64, 3)).astype(np.uint8))
    assert pictures.decode(whole[: len(whole) // 2], pixel_format="RGB")[0].size == 0


def test_refuses_wide_channels() -> None:
    """16 bits a channel would be cut to 8: refused."""
    with pytest.raises(InvalidInput, match="8 bits"):
        pictures.decode(encoded(np.arange(4, dtype=np.uint16).reshape(2, 2)), pixel_format="RGB")


def test_says_that_pillow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Pillow the error says what to install."""
    real = builtins.__import__

    def without_pillow(name: str, *rest: Any) -> Any:
        if name == "PIL":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_pillow)
    with pytest.raises(Unsupported, match="pip install pillow"):
        pictures.decode(np.zeros(1, np.uint8), pixel_format="RGB")
