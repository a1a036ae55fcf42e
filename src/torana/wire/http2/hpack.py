"""HPACK, header compression of HTTP/2 (RFC 7541): one decoder and one encoder a connection.

All work is linear in the block; every number and every table is bounded before it is used (threats G-042 to G-045).
Never here: what a field may mean, or what a request must have; that is the connection's.
"""

from __future__ import annotations

from torana.base.headers import is_field_value, is_token, lower
from torana.wire.http2.hpack_table import (
    FIRST_DYNAMIC,
    INDEXED,
    MOST_TABLE,
    NEVER,
    PLAIN,
    STATIC,
    STATIC_FIELDS,
    STATIC_NAMES,
    TREATMENTS,
    Field,
    Fields,
    Table,
    cost_of,
)
from torana.wire.http2.huffman import from_huffman, huffman_size, to_huffman

#: A larger field would push out too much.
_LARGEST_INDEXED = 1024

#: Ready-made pieces: single bytes, and the status fields used so far.
_SHORT = [bytes([byte]) for byte in range(256)]
_STATUSES: list[bytes | None] = [None] * 1000


class HpackError(Exception):
    """The block cannot be decoded: both ends' tables differ from now on, so the connection ends (COMPRESSION_ERROR).

    ``reason`` is a short stable word; nothing of the peer's is in it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class HpackTooLarge(Exception):
    """The section is over a bound. The decoder stays usable unless ``is_fatal``: then it gave up half-way (over 4 x).

    ``is_count`` tells which bound: the number of fields, else their size (name + value + 32 bytes each).
    """

    def __init__(self, is_count: bool, is_fatal: bool) -> None:
        super().__init__("fields" if is_count else "bytes")
        self.is_count = is_count
        self.is_fatal = is_fatal


class Decoder:
    """Turns header blocks into fields. ``table_bytes``: the SETTINGS_HEADER_TABLE_SIZE that we announce."""

    def __init__(self, table_bytes: int = MOST_TABLE) -> None:
        #: Grows with every change of the dynamic table: as long as it stays, the same block means the same fields.
        self.changes = 0
        #: Size of the last list of fields, as the protocol counts it (section 4.1).
        self.size = 0
        self.table = Table(table_bytes)
        self._allowed = table_bytes
        self._block = b""
        self._raw = self._block
        self._at = 0
        self._end = 0

    def decode(self, block: bytes, most_bytes: int, most_fields: int) -> Fields:
        """Fields of a whole header block, names as received (case is not judged), never empty.

        A new list each time; its tuples may be shared. Raises ``HpackError`` or ``HpackTooLarge``.
        """
        self._block = block
        self._raw = block
        self._at = 0
        self._end = len(block)
        self._resize()
        fields: Fields = []
        size = 0
        count = 0
        while self._at < self._end:
            byte = self._raw[self._at]
            if byte & 0x80:
                field = self._entry(self._integer(0x7F))
            else:
                field = self._literal(byte)
            size += cost_of(field)
            count += 1
            if size <= most_bytes and count <= most_fields:
                fields.append(field)
            elif size > 4 * most_bytes or count > 4 * most_fields:
                raise HpackTooLarge(count > 4 * most_fields, True)
        self._block = b""
        self._raw = self._block
        self.size = size
        if size > most_bytes or count > most_fields:
            raise HpackTooLarge(count > most_fields, False)
        return fields

    def _entry(self, index: int) -> Field:
        """The field at ``index`` of both tables (section 2.3.3)."""
        if index < FIRST_DYNAMIC:
            if index == 0:
                raise HpackError("index")
            return STATIC[index]
        field = self.table.get(index - FIRST_DYNAMIC)
        if field is None:
            raise HpackError("index")
        return field

    def _literal(self, byte: int) -> Field:
        """A literal field that begins with ``byte`` (section 6.2)."""
        if byte & 0x60 == 0x20:
            raise HpackError("size-update")  # Only at the start of a block (section 4.2).
        index = self._integer(0x3F if byte & 0x40 else 0x0F)
        if index:
            name = self._entry(index)[0]
        else:
            name = self._string()
            if not name:
                raise HpackError("empty-name")
        field = (name, self._string())
        if byte & 0x40:
            self.table.add(field)
            self.changes += 1
        return field

    def _integer(self, mask: int) -> int:
        """An integer whose first byte has the bits of ``mask`` for it: below 2^31, in at most 5 bytes more (5.1)."""
        value = self._raw[self._at] & mask
        self._at += 1
        if value < mask:
            return value
        shift = 0
        while True:
            if self._at >= self._end:
                raise HpackError("truncated")
            byte = self._raw[self._at]
            self._at += 1
            value += (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 28:
                raise HpackError("integer")
        if value > 0x7FFF_FFFF:
            raise HpackError("integer")
        return value

    def _string(self) -> bytes:
        """A string literal (section 5.2)."""
        if self._at >= self._end:
            raise HpackError("truncated")
        byte = self._raw[self._at]
        size = self._integer(0x7F)
        start = self._at
        if size > self._end - start:
            raise HpackError("truncated")
        self._at = start + size
        if not byte & 0x80:
            return self._raw[start : start + size]
        text = from_huffman(self._raw, start, start + size)
        if text is None:
            raise HpackError("huffman")
        return text

    def _resize(self) -> int:
        """Size updates at the start of a block: the smallest since the last block and the final one (section 4.2)."""
        updates = 0
        while self._at < self._end and self._raw[self._at] & 0xE0 == 0x20:
            size = self._integer(0x1F)
            updates += 1
            if updates > 2 or size > self._allowed:
                raise HpackError("size-update")
            self.table.limit(size)
            self.changes += 1
        return 0


class Encoder:
    """Turns fields into header blocks, each to be sent in the order of its making.

    When a call raises, nothing of the block that it belongs to may be sent; the next block begins anew.
    """

    def __init__(self) -> None:
        self.table = Table()
        #: Fields in the table, with what ``added`` was before each.
        self._live: dict[Field, int] = {}
        self._is_resized = False
        self._least = MOST_TABLE

    def resize(self, table_bytes: int) -> int:
        """The peer's SETTINGS_HEADER_TABLE_SIZE; whatever it allows, we use at most 4096 bytes."""
        most = min(table_bytes, MOST_TABLE)
        if most == self.table.most:
            return 0
        while self.table.size > most:
            del self._live[self.table.drop_oldest()]
        self.table.limit(most)
        self._least = min(self._least, most)
        self._is_resized = True
        return 0

    def encode_head(self, status: int, fields: Fields) -> bytes:
        """Block of a response head. Names in any case; raises ``ValueError`` for what may not be in a field."""
        first = _status(status)
        return self._block(first, fields, False)

    def encode(self, fields: Fields, has_pseudo: bool = False) -> bytes:
        """Block, or the next piece of one, of ``fields``: ``encode_head(...) + encode(...)`` is one block too.

        Names beginning with ":" are refused unless ``has_pseudo``. Raises ``ValueError`` as ``encode_head`` does.
        """
        return self._block(b"", fields, has_pseudo)

    def _block(self, first: bytes, fields: Fields, has_pseudo: bool) -> bytes:
        parts: list[bytes] = []
        if self._is_resized:
            self._say_sizes(parts)
        parts.append(first)
        try:
            self._add_fields(parts, fields, has_pseudo)
        except Exception:
            self._forget()
            raise
        return b"".join(parts)

    def _forget(self) -> int:
        """Begin anew with an empty table, on the peer's side too: it will not see what was put in for this block."""
        self._live.clear()
        while self.table.count:
            self.table.drop_oldest()
        self._least = 0
        self._is_resized = True
        return 0

    def _say_sizes(self, parts: list[bytes]) -> int:
        """Tell the peer's decoder the smallest and the present size of the table (section 4.2)."""
        if self._least < self.table.most:
            _add_number(parts, 0x20, 0x1F, self._least)
        _add_number(parts, 0x20, 0x1F, self.table.most)
        self._least = self.table.most
        self._is_resized = False
        return 0

    def _add_fields(self, parts: list[bytes], fields: Fields, has_pseudo: bool) -> int:
        for field in fields:
            name, value = field
            if len(name) == 14 and name == b"content-length" and len(value) < 20:
                # As below, made short for the one field that every response has with another value.
                if not is_field_value(value):
                    raise ValueError("control byte in the value of field content-length")
                parts.append(b"\x0f\x0d")
                parts.append(_SHORT[len(value)])
                parts.append(value)
                continue
            number = self._live.get(field)
            if number is None:
                self._add_new(parts, name, value, has_pseudo)
            else:
                _add_number(parts, 0x80, 0x7F, FIRST_DYNAMIC + self.table.added - 1 - number)
        return 0

    def _add_new(self, parts: list[bytes], name: bytes, value: bytes, has_pseudo: bool) -> int:
        """Append a field that is not in the table as it is written."""
        _check(name, value, has_pseudo)
        name = lower(name)
        treatment = TREATMENTS.get(name, INDEXED)
        field = (name, value)
        cost = cost_of(field)
        if treatment == INDEXED:
            number = self._live.get(field)
            if number is not None:
                return _add_number(parts, 0x80, 0x7F, FIRST_DYNAMIC + self.table.added - 1 - number)
            if cost > _LARGEST_INDEXED or cost > self.table.most:
                treatment = PLAIN
        if treatment != NEVER:
            number = STATIC_FIELDS.get(field)
            if number is not None:
                return _add_number(parts, 0x80, 0x7F, number)
        _add_number(parts, treatment, 0x3F if treatment == INDEXED else 0x0F, STATIC_NAMES.get(name, 0))
        if name not in STATIC_NAMES:
            _add_string(parts, name, True)
        # What is written often is worth the time to make it small.
        _add_string(parts, value, treatment == INDEXED)
        if treatment == INDEXED:
            while self.table.size + cost > self.table.most:
                del self._live[self.table.drop_oldest()]
            self._live[field] = self.table.added
            self.table.add(field)
        return 0


def _check(name: bytes, value: bytes, has_pseudo: bool) -> int:
    """Raise ``ValueError`` for what could mean something else to a hop that speaks HTTP/1 (threat G-035)."""
    if not is_token(name[1:] if has_pseudo and name[:1] == b":" else name):
        raise ValueError("not a field name: " + ascii(name))
    if not is_field_value(value):
        raise ValueError("control byte in the value of field " + name.decode("latin-1"))
    return 0


def _add_number(parts: list[bytes], pattern: int, mask: int, value: int) -> int:
    """Append an integer in the bits of ``mask``, the others being ``pattern``, and more bytes if needed (5.1)."""
    if value < mask:
        parts.append(_SHORT[pattern | value])
        return 0
    parts.append(_SHORT[pattern | mask])
    value -= mask
    while value >= 0x80:
        parts.append(_SHORT[(value & 0x7F) | 0x80])
        value >>= 7
    parts.append(_SHORT[value])
    return 0


def _add_string(parts: list[bytes], text: bytes, can_be_coded: bool) -> int:
    """Append a string literal, in the Huffman code if that is allowed and shorter."""
    size = huffman_size(text) if can_be_coded else len(text)
    if size < len(text):
        _add_number(parts, 0x80, 0x7F, size)
        parts.append(to_huffman(text))
    else:
        _add_number(parts, 0x00, 0x7F, len(text))
        parts.append(text)
    return 0


def _status(status: int) -> bytes:
    """The ``:status`` field; never put in the table, so that it can be kept ready-made for everybody."""
    if status < 100 or status > 999:
        raise ValueError("not a status code")
    ready = _STATUSES[status]
    if ready is not None:
        return ready
    parts: list[bytes] = []
    value = b"%d" % status
    index = STATIC_FIELDS.get((b":status", value))
    if index is not None:
        _add_number(parts, 0x80, 0x7F, index)
    else:
        _add_number(parts, PLAIN, 0x0F, STATIC_NAMES[b":status"])
        _add_string(parts, value, True)
    ready = b"".join(parts)
    _STATUSES[status] = ready
    return ready
