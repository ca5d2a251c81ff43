"""Text out of bytes, by the `charset` parameter of a Content-Type; UTF-8 where none is given (RFC 8259, section 8.1)."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from functools import lru_cache

from serving.errors import BadRequest, UnsupportedMediaType

_LABEL = re.compile(r"[A-Za-z0-9_.:-]{1,40}")

# Python's other codecs stay out: some are no text encodings, and idna and punycode take quadratic time.
_READ = frozenset(
    {"utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be", "koi8-r", "koi8-u"}
    | {"shift_jis", "euc_jp", "iso2022_jp", "euc_kr", "gb2312", "gbk", "gb18030", "big5"}
    | {f"iso8859-{part}" for part in range(1, 17)}
    | {f"cp{page}" for page in range(1250, 1259)}
)


@lru_cache(maxsize=64)
def encoding(label: str) -> str:
    """Look up Python's name of a charset label; UnsupportedMediaType where it is none that is read."""
    try:
        name = codecs.lookup(label).name if _LABEL.fullmatch(label) else ""
    except LookupError:
        name = ""
    if name not in _READ:
        raise UnsupportedMediaType(f"charset {label[:40]!r} is not read; send UTF-8")
    return name


def utf8(body: bytes | memoryview, params: Mapping[str, str]) -> bytes | memoryview:
    """Return the body in UTF-8: as it is where its charset says so already (unchecked), recoded where it names another."""
    if "charset" not in params or encoding(params["charset"]) in ("utf-8", "ascii"):
        return body
    return text(body, params).encode()


def text(body: bytes | memoryview, params: Mapping[str, str]) -> str:
    """Return the body as a string, without a byte order mark; BadRequest says at which byte it leaves its charset."""
    name = encoding(params.get("charset", "utf-8"))
    try:
        decoded = str(body, "utf-8" if name == "ascii" else name)
    except UnicodeDecodeError as fault:
        raise BadRequest(f"the body is not valid {name} at byte {fault.start}") from None
    return decoded.removeprefix("\ufeff")
