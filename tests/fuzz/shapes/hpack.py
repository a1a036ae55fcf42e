"""Header blocks (RFC 7541): written by an encoder that uses every way there is to write a field, as chance has it.

torana's own encoder would not do: it always chooses the same way, and refuses what a client might send.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from torana.wire.http2.hpack import Decoder, HpackError, HpackTooLarge
from torana.wire.http2.huffman import to_huffman

Fields = list[tuple[bytes, bytes]]
Damage = Callable[[bytes], bytes]

#: Appendix A, as far as requests use it: index -> field.
_STATIC = {
    1: (b":authority", b""),
    2: (b":method", b"GET"),
    3: (b":method", b"POST"),
    4: (b":path", b"/"),
    5: (b":path", b"/index.html"),
    6: (b":scheme", b"http"),
    7: (b":scheme", b"https"),
    16: (b"accept-encoding", b"gzip, deflate"),
    19: (b"accept", b""),
    28: (b"content-length", b""),
    31: (b"content-type", b""),
    32: (b"cookie", b""),
    38: (b"host", b""),
    58: (b"user-agent", b""),
}
_STATIC_COUNT = 61
NAMES = (b"a", b"x-y", b"cookie", b"accept", b"content-type", b"te", b"x-forwarded-for", b"priority", b"trailer")
VALUES = (b"", b"1", b"trailers", b"text/plain", b"a=b; c=d", b"v" * 60, b"\xc3\xa9", b"u=1, i", b"gzip, deflate")


def number(value: int, bits: int, first: int) -> bytes:
    """An integer behind the pattern ``first`` (section 5.1)."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    value -= most
    rest = bytearray([first | most])
    while value >= 128:
        rest.append(value & 127 | 128)
        value >>= 7
    rest.append(value)
    return bytes(rest)


def text(chance: random.Random, value: bytes) -> bytes:
    """A string, plain or Huffman-coded (section 5.2)."""
    if chance.random() < 0.4:
        coded = to_huffman(value)
        return number(len(coded), 7, 0x80) + coded
    return number(len(value), 7, 0) + value


class BlockWriter:
    """Writes block after block; keeps the table that the other side has then."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._table: Fields = []
        self._most = 4096

    def block(self, fields: Fields) -> bytes:
        """One header block."""
        parts = []
        if self._chance.random() < 0.05:
            self._most = self._chance.choice((0, 40, 100, 4096))
            self._evict()
            parts.append(number(self._most, 5, 0x20))
        parts += [self._field(name, value) for name, value in fields]
        return b"".join(parts)

    def _field(self, name: bytes, value: bytes) -> bytes:
        known = [(index, field) for index, field in _STATIC.items() if field[0] == name]
        known += [(_STATIC_COUNT + 1 + at, field) for at, field in enumerate(self._table) if field[0] == name]
        same = [index for index, field in known if field[1] == value]
        if same and self._chance.random() < 0.9:
            return number(self._chance.choice(same), 7, 0x80)
        index = self._chance.choice(known)[0] if known and self._chance.random() < 0.9 else 0
        bits, first = self._chance.choice(((6, 0x40), (6, 0x40), (4, 0x00), (4, 0x10)))
        if first == 0x40:
            self._table.insert(0, (name, value))
            self._evict()
        head = number(index, bits, first)
        return head + (b"" if index else text(self._chance, name)) + text(self._chance, value)

    def _evict(self) -> None:
        while sum(len(name) + len(value) + 32 for name, value in self._table) > self._most:
            self._table.pop()


class BlockReader:
    """Reads block after block, as far as they can be read."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._is_lost = False

    def fields(self, block: bytes) -> Fields | None:
        """The fields, or None."""
        if self._is_lost:
            return None
        try:
            return list(self._decoder.decode(block, 1 << 16, 500))
        except (HpackError, HpackTooLarge):
            self._is_lost = True
            return None


def change_fields(chance: random.Random, fields: Fields, damage: Damage) -> None:
    """One change in a list of fields."""
    at = chance.randrange(len(fields) + 1)
    match chance.randrange(7):
        case 0:
            fields.insert(at, (chance.choice(NAMES), chance.choice(VALUES)))
        case 1 if at < len(fields):
            del fields[at]
        case 2 if at < len(fields):
            fields.insert(chance.randrange(len(fields) + 1), fields[at])
        case 3 if at < len(fields):
            fields[at] = (damage(fields[at][0])[:200], fields[at][1])
        case 4 if at < len(fields):
            fields[at] = (fields[at][0], chance.choice(VALUES))
        case _ if at < len(fields):
            fields[at] = (fields[at][0], damage(fields[at][1])[:2000])


def grow(chance: random.Random, data: bytes, damage: Damage) -> bytes:
    """Blocks behind their lengths, as the target ``hpack`` takes them."""
    blocks: list[bytes] = []
    at = 0
    while at < len(data) and len(blocks) < 40:
        size = data[at] if data[at] != 0xFF else len(data)
        blocks.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    reader = BlockReader()
    lists = [reader.fields(block) for block in blocks]
    known: list[Fields] = [fields for fields in lists if fields is not None] or [[(b":method", b"GET")]]
    for _ in range(chance.choice((1, 1, 2, 4))):
        match chance.randrange(5):
            case 0:
                known.insert(chance.randrange(len(known) + 1), list(chance.choice(known)))
            case 1 if len(known) > 1:
                del known[chance.randrange(len(known))]
            case _:
                change_fields(chance, chance.choice(known), damage)
    writer = BlockWriter(chance)
    written = [writer.block(fields)[:4000] for fields in known[:40]]
    if chance.random() < 0.3 and written:
        at = chance.randrange(len(written))
        written[at] = damage(written[at])
    return b"".join(bytes([len(block)]) + block if len(block) < 255 else b"\xff" + block for block in written)
