"""Header blocks: read once and remembered while HPACK's table stays as it is, written without the table [RFC 7541]."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from hpack import Decoder, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from serving.accelerators.rpc.frames import Buffer, ConnectionFault, Fault

Field = tuple[bytes, bytes]
Head = TypeVar("Head")
REMEMBERED = 64
"""Blocks of one connection; a peer sends the same few again and again."""
REMEMBERED_BYTES = 1024
AGENT = "ei/"
"""What our clients' user-agent begins with; the rest names the process, which may have many connections."""


class _Table(HeaderTable):
    """HPACK's dynamic table that counts its changes."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        super().add(name, value)

    def _shrink(self) -> None:  # called by every change of its size that may drop something
        self.changes += 1
        super()._shrink()


class Heads(Generic[Head]):
    """The header blocks of one direction of a connection.

    A block that left the table as it was means the same until the table changes: it costs a look into a dict.
    """

    def __init__(self, parse: Callable[[list[Field]], Head], limit: int) -> None:
        self._parse = parse
        self._decoder = Decoder(max_header_list_size=limit)
        self._table = self._decoder.header_table = _Table()
        self._known: dict[bytes, Head] = {}

    def read(self, block: bytes) -> Head:
        """The head that a block says; ConnectionFault where the table is lost."""
        known = self._known.get(block)
        if known is not None:
            return known
        changes, size = self._table.changes, self._table.maxsize
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError:
            raise ConnectionFault(Fault.ENHANCE_YOUR_CALM, "a header list beyond the limit") from None
        except (HPACKError, IndexError, ValueError) as error:
            raise ConnectionFault(Fault.COMPRESSION_ERROR, f"a header block that HPACK cannot read: {error}") from None
        head = self._parse(fields)
        if changes != self._table.changes or size != self._table.maxsize:
            self._known.clear()
        elif len(block) <= REMEMBERED_BYTES:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[block] = head
        return head


def block(fields: Iterable[tuple[str, str]]) -> bytes:
    """A block of literals that are not put into the peer's table."""
    return b"".join(_STATIC.get((name, value)) or _literal(name.encode(), value.encode()) for name, value in fields)


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\x00" + _length(len(name)) + name + _length(len(value)) + value


def _length(count: int) -> bytes:
    if count < 127:
        return bytes((count,))
    out, count = bytearray(b"\x7f"), count - 127
    while count >= 128:
        out.append(count & 127 | 128)
        count >>= 7
    out.append(count)
    return bytes(out)


_STATIC = {
    (":method", "POST"): b"\x83",
    (":scheme", "http"): b"\x86",
    (":scheme", "https"): b"\x87",
    (":status", "200"): b"\x88",
}
"""Fields that HPACK's static table holds whole."""


def escaped(message: str) -> str:
    """A grpc-message: percent-encoded where it is no printable ASCII."""
    return "".join(
        chr(b) if 0x20 <= b <= 0x7E and b != 0x25 else f"%{b:02X}" for b in message.encode("utf-8", "replace")[:4000]
    )


def gunzip(data: Buffer, limit: int) -> bytes | None:
    """A message that gzip has compressed; None where it grows beyond the limit, ValueError where it is none."""
    reader = zlib.decompressobj(31)
    try:
        found = reader.decompress(data, limit + 1)
    except zlib.error as error:
        raise ValueError(f"a message that gzip cannot read: {error}") from None
    if len(found) > limit:
        return None
    if not reader.eof or reader.unused_data:
        raise ValueError("a message that gzip cannot read: it ends too early or too late")
    return found
