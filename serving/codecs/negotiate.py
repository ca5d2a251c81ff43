"""Which codec reads a Content-Type, and which one answers an Accept (RFC 9110, sections 8.3 and 12.5.1).

Codecs are the modules of this package that have CONTENT_TYPES; a type in two of them stops the import. All answers are
cached by the raw header, so that a repeated header costs one look-up.

Rules beyond the RFC's:
- A missing or empty Content-Type is application/json. Nothing is guessed from the body.
- A missing or empty Accept, and `*/*`, ask for the default. Among equal weights the range named first counts; within
  `*/*` and `type/*` the default counts first, then the codecs by their module names.
- Parameters of a range go to the encoder and do not exclude it; only a charset other than UTF-8 does: answers are UTF-8.
- An Accept element that is no media range is passed over, and a weight that is no number counts as 1. Elements after the
  64th are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pkgutil import iter_modules
from types import MappingProxyType
from typing import NamedTuple, Protocol, cast

from serving.errors import NotAcceptable, UnsupportedMediaType
from serving.invocation import Inputs, Outputs
from serving.models.signature import Signature

JSON = "application/json"

# The parts of a list, or of an element, outside quoted strings; an open quote reaches to the end.
_ELEMENT = re.compile(r'(?:[^,"]|"(?:\\.|[^"\\])*"?)+')
_PART = re.compile(r'(?:[^;"]|"(?:\\.|[^"\\])*"?)+')
_TYPE = re.compile(r"[\w!#$%&'*+.^`|~-]+/[\w!#$%&'*+.^`|~-]+", re.ASCII)
_WEIGHT = re.compile(r"[01](?:\.[0-9]{0,3})?")
_MAX_RANGES = 64
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii", "*"})


class Codec(Protocol):
    """A module of this package that reads content types."""

    __name__: str
    CONTENT_TYPES: tuple[str, ...]

    def decode(self, body: bytes | memoryview, params: Mapping[str, str], signature: Signature | None, limit: int) -> Inputs:
        """Read named arrays out of a body of at most `limit` bytes unpacked; `params` are the Content-Type's."""


class Encoder(Codec, Protocol):
    """A codec that also writes."""

    def encode(self, outputs: Outputs, params: Mapping[str, str]) -> bytes:
        """Write named arrays; `params` are those of the Accept range that chose this codec."""


class _Range(NamedTuple):
    """One element of an Accept header."""

    type: str
    weight: float
    params: Mapping[str, str]
    at: int

    def covers(self, content_type: str) -> int:
        """How exactly it matches: 3 the type itself, 2 `type/*`, 1 `*/*`, 0 not at all."""
        if self.type == content_type:
            return 3
        if self.type == content_type.partition("/")[0] + "/*":
            return 2
        return int(self.type == "*/*")


def register(codecs: MutableMapping[str, Codec], module: Codec) -> None:
    """Put a codec module under each of its content types; ValueError where another module has one of them."""
    for content_type in module.CONTENT_TYPES:
        if content_type in codecs:
            raise ValueError(f"{content_type} is read by {codecs[content_type].__name__} and by {module.__name__}")
        codecs[content_type] = module


def _discover() -> dict[str, Codec]:
    codecs: dict[str, Codec] = {}
    package = import_module(__package__)
    for info in iter_modules(package.__path__):
        module = import_module(f"{__package__}.{info.name}") if info.name != "negotiate" else None
        if hasattr(module, "CONTENT_TYPES"):
            register(codecs, cast(Codec, module))
    return codecs


@lru_cache(maxsize=128)
def parse(content_type: str) -> tuple[str, Mapping[str, str]]:
    """Split a Content-Type into its lower-case media type and its parameters; application/json where it is empty.

    Parameter names are lower-case, values as sent, without quotes. UnsupportedMediaType where there is no media type.
    """
    media, params = _media(content_type) if content_type.strip() else (JSON, {})
    if not _TYPE.fullmatch(media):
        raise UnsupportedMediaType(f"malformed Content-Type {content_type[:40]!r}: expected one like {JSON}")
    return media, MappingProxyType(params)


@lru_cache(maxsize=128)
def decoder(content_type: str) -> Codec:
    """Find the codec that reads a Content-Type; UnsupportedMediaType lists those that are read."""
    media, _ = parse(content_type)
    codec = READ.get(media) or READ.get(media.partition("/")[0] + "/*")
    if codec is None:
        raise UnsupportedMediaType(f"content type {media[:60]!r} is not read; these are: {', '.join(READ)}")
    return codec


def encoder(accept: str, default: str = JSON) -> tuple[Encoder, str]:
    """Find the codec and the content type to answer an Accept with; NotAcceptable lists those that can be answered."""
    codec, content_type, _ = answer(accept, default)
    return codec, content_type


@lru_cache(maxsize=128)
def answer(accept: str, default: str = JSON) -> tuple[Encoder, str, Mapping[str, str]]:
    """Do what `encoder` does, with the parameters of the range that chose it."""
    first = next((r.type for r in _ranges(default) if r.type in WRITTEN), "")
    ranges = _ranges(accept if accept.strip() else default)
    choices = []
    for order, content_type in enumerate(WRITTEN):
        best = max(ranges, key=lambda r: (r.covers(content_type), -r.at), default=None)
        if best is not None and best.covers(content_type) and best.weight > 0:
            choices.append(((-best.weight, best.at, content_type != first, order), content_type, best.params))
    if not choices:
        raise NotAcceptable(f"no answer in {(accept or default)[:60]!r}; these can be had: {', '.join(WRITTEN)}")
    _, content_type, params = min(choices, key=lambda choice: choice[0])
    return WRITTEN[content_type], content_type, params


def _ranges(accept: str) -> list[_Range]:
    ranges = []
    for at, element in enumerate(islice(_ELEMENT.finditer(accept), _MAX_RANGES)):
        media, params = _media(element[0])
        weight = params.pop("q", "1")
        if _TYPE.fullmatch(media) and params.get("charset", "utf-8").lower() in _UTF8:
            number = min(float(weight), 1.0) if _WEIGHT.fullmatch(weight) else 1.0
            ranges.append(_Range(media, number, MappingProxyType(params), at))
    return ranges


def _media(text: str) -> tuple[str, dict[str, str]]:
    """Split a media type, put into lower case, from its parameters; those without a value are passed over."""
    media, *parts = _PART.findall(text) or [""]
    params = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            params[name.strip().lower()] = _unquoted(value.strip())
    return media.strip().lower(), params


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if len(value) > 1 and value[0] == value[-1] == '"' else value


READ: Mapping[str, Codec] = MappingProxyType(_discover())
"""The codecs by the content types that they read."""

WRITTEN: Mapping[str, Encoder] = MappingProxyType({name: codec for name, codec in READ.items() if hasattr(codec, "encode")})  # type: ignore[misc]
"""Those of them that write too."""
