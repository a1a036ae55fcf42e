"""Responses as bytes: the one place where a field becomes part of a message (RFC 9112 sections 4 to 7).

Every field of every head, interim head and trailer section goes through ``check_fields``, which refuses what could
end a line or a message (threat G-035). Never here: what a response may say; that is the exchange's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.base.bytescan import NAME, TEXT, is_word, span
from torana.base.codes import REASONS
from torana.base.headers import is_field_value
from torana.base.trailers import is_forbidden_trailer
from torana.wire.http1.framing import CHUNKED, LENGTH, NO_BODY, UNTIL_CLOSE, response_framing
from torana.wire.http1.states import SILENT, STARTED, WRITTEN, LegalityError, can_send_data, can_send_head

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

if TYPE_CHECKING:
    from torana.wire.events import Fields

# What ``check_fields`` met.
HAS_DATE = 1
HAS_LENGTH = 2
HAS_CONNECTION = 4
HAS_CODING = 8
#: A name of one byte; shifted to the left, of more. Longer ones than the longest share its bit.
HAS_SIZE = 16
_LONGEST = 24

_PHRASES = [REASONS.get(status, b"") for status in range(1000)]
_STATUS_LINES = [b"HTTP/1.1 %d %s\r\n" % (status, REASONS.get(status, b"")) for status in range(1000)]
_LENGTH_LINES = [b"content-length: %d\r\n" % length for length in range(2048)]
_NO_FIELDS: Fields = []
_seen_defaults = b""
_parsed_defaults: list[tuple[bytes, bytes]] = []


class FieldLines:
    """Fields that many responses have, checked and put into bytes once; from ``field_lines``."""

    def __init__(self, lines: bytes, found: int) -> None:
        self.lines = lines
        self.found = found
        # The last front, behind what it was made of.
        self._made: tuple[bytes, bytes, bytes, bytes] = (b"", b"", b"", b"")

    def front(self, first: bytes, fields: Fields, date_line: bytes, default_lines: bytes) -> bytes:
        """``first`` and all lines but those of framing and connection: kept, for the date changes once a second."""
        made = self._made
        if made[0] is first and made[1] is date_line and made[2] is default_lines:
            return made[3]
        parts: list[Any] = [first, self.lines]
        add_common(parts, fields, date_line, default_lines, self.found)
        front = b"".join(parts)
        self._made = (first, date_line, default_lines, front)
        return front


class ResponseWriter:
    """Writes one response after another; knows only how the present one ends and how far it is."""

    def __init__(self) -> None:
        self.state = SILENT
        self.framing = NO_BODY
        self._is_chunk_open = False

    def reset(self) -> int:
        """Be ready for the next response."""
        self.state = SILENT
        self.framing = NO_BODY
        return 0

    def head(
        self,
        status: int,
        reason: bytes | None,
        fields: Fields,
        length: int,
        data: Any,
        is_end: bool,
        date_line: bytes,
        default_lines: bytes,
        minor: int,
        keep_alive: bool,
        ready: FieldLines | None,
    ) -> bytes:
        """Final head and first data; see ``Http1Connection.send_head``. ``keep_alive`` is what the client must hear."""
        if not can_send_head(self.state):
            raise LegalityError("the response head was already written")
        first = status_line(status, reason)
        parts: list[Any] = []
        found = check_fields(fields) if ready is None else ready.found
        if found & HAS_CODING:
            raise ValueError("transfer-encoding is the server's to say")
        if ready is None:
            add_common(parts, fields, date_line, default_lines, found)
        else:
            first = ready.front(first, fields, date_line, default_lines)
            fields = _NO_FIELDS
        framing = response_framing(length, (found & HAS_LENGTH) != 0, minor)
        if framing == LENGTH:
            if not found & HAS_LENGTH:
                parts.append(length_line(length))
        elif framing == CHUNKED:
            parts.append(b"transfer-encoding: chunked\r\n")
        if not found & HAS_CONNECTION:
            if not keep_alive or framing == UNTIL_CLOSE:
                parts.append(b"connection: close\r\n")
            elif minor == 0:
                parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        if framing == NO_BODY:
            is_end = True
        else:
            add_data(parts, framing, data, is_end)
        self.framing = framing
        self.state = WRITTEN if is_end else STARTED
        if cython.compiled:
            whole: bytes = assembled(first, fields, parts)
            return whole
        lines = [first]
        add_lines(lines, fields)
        return b"".join(lines + parts)

    def begin_data(self, size: int) -> bytes:
        """What goes before ``size`` bytes of data."""
        if not can_send_data(self.state):
            raise LegalityError("no response body is open")
        self._is_chunk_open = self.framing == CHUNKED and size > 0
        return b"%x\r\n" % size if self._is_chunk_open else b""

    def end_data(self, is_end: bool) -> bytes:
        """What goes after the data that ``begin_data`` announced; an empty piece is no chunk: it would end the body."""
        if not can_send_data(self.state):
            raise LegalityError("no response body is open")
        if is_end:
            self.state = WRITTEN
        if not self._is_chunk_open:
            return b"0\r\n\r\n" if is_end and self.framing == CHUNKED else b""
        self._is_chunk_open = False
        return b"\r\n0\r\n\r\n" if is_end else b"\r\n"

    def finish(self) -> bytes:
        """The end of the body, without more data; nothing when it is already written."""
        if self.state == WRITTEN:
            return b""
        if not can_send_data(self.state):
            raise LegalityError("no response body is open")
        self.state = WRITTEN
        return b"0\r\n\r\n" if self.framing == CHUNKED else b""

    def trailers(self, fields: Fields) -> bytes:
        """The end of the body with a trailer section; without one where the framing has none (RFC 9110 section 6.5)."""
        if not can_send_data(self.state):
            raise LegalityError("no response body is open")
        parts = [b"0\r\n"]
        check_fields(fields)
        add_lines(parts, fields)
        for name, _ in fields:
            if is_forbidden_trailer(name.lower()):
                raise ValueError("field may not be a trailer: " + name.decode("latin-1"))
        parts.append(b"\r\n")
        self.state = WRITTEN
        return b"".join(parts) if self.framing == CHUNKED else b""


def check_fields(fields: Fields) -> int:
    """What is met among ``fields``. Raises ``ValueError`` naming one that may not be written."""
    found = 0
    for name, value in fields:
        size = len(name)
        if size == 0 or span(NAME, name, 0, size) != size:
            raise ValueError("not a field name: " + ascii(name))
        if span(TEXT, value, 0, len(value)) != len(value):
            raise ValueError("control byte in the value of field " + name.decode("latin-1"))
        found |= HAS_SIZE << (size if size < _LONGEST else _LONGEST)
        if size == 4:
            if is_word(name, 0, 4, b"date"):
                found |= HAS_DATE
        elif size == 14:
            if is_word(name, 0, 14, b"content-length"):
                found |= HAS_LENGTH
        elif size == 10:
            if is_word(name, 0, 10, b"connection"):
                found |= HAS_CONNECTION
        elif size == 17 and is_word(name, 0, 17, b"transfer-encoding"):
            found |= HAS_CODING
    return found


def field_lines(fields: Fields) -> FieldLines:
    """``fields`` for ``send_head``, which nobody may change any more. Raises like ``check_fields``."""
    found = check_fields(fields)
    lines: list[Any] = []
    add_lines(lines, fields)
    return FieldLines(b"".join(lines), found)


def add_lines(parts: list[Any], fields: Fields) -> int:
    """Append the lines of fields that ``check_fields`` has passed."""
    for name, value in fields:
        parts.append(name)
        parts.append(b": ")
        parts.append(value)
        parts.append(b"\r\n")
    return 0


def add_data(parts: list[Any], framing: int, data: Any, is_end: bool) -> int:
    """Append the first data of a body."""
    size = len(data)
    if framing == CHUNKED:
        if size:
            parts.append(b"%x\r\n" % size)
            parts.append(data)
            parts.append(b"\r\n0\r\n\r\n" if is_end else b"\r\n")
        elif is_end:
            parts.append(b"0\r\n\r\n")
    elif size:
        parts.append(data)
    return 0


def add_common(parts: list[Any], fields: Fields, date_line: bytes, default_lines: bytes, found: int) -> int:
    """Append what most responses have, where ``fields`` lack it, in which ``found`` was met."""
    if not found & HAS_DATE and date_line:
        parts.append(date_line)
    if default_lines:
        add_defaults(parts, fields, default_lines, found)
    return 0


def add_defaults(parts: list[Any], fields: Fields, default_lines: bytes, found: int) -> int:
    """Append those lines of ``default_lines`` whose name ``fields`` lack, in which ``found`` was met."""
    global _seen_defaults, _parsed_defaults
    if default_lines is not _seen_defaults:
        _parsed_defaults = _parse_defaults(default_lines)
        _seen_defaults = default_lines
    for known, line in _parsed_defaults:
        size = len(known)
        has_name = False
        if found & (HAS_SIZE << (size if size < _LONGEST else _LONGEST)):
            for name, _ in fields:
                if len(name) == size and (name == known or name.lower() == known):
                    has_name = True
                    break
        if not has_name:
            parts.append(line)
    return 0


def _parse_defaults(default_lines: bytes) -> list[tuple[bytes, bytes]]:
    """Default lines by their lower-case name; checked, for they are written as they are."""
    parsed = []
    for line in default_lines.split(b"\r\n")[: default_lines.count(b"\r\n")]:
        name, colon, _ = line.partition(b":")
        if not colon or not is_field_value(line):
            raise ValueError("not a field line: " + ascii(line))
        parsed.append((name.lower(), line + b"\r\n"))
    return parsed


def status_line(status: int, reason: bytes | None) -> bytes:
    """Status line with ``reason``, None for the standard phrase. We speak 1.1 to everybody (RFC 9110 section 2.5)."""
    if status < 100 or status > 999:
        raise ValueError("not a status code")
    if reason is None or reason == _PHRASES[status]:
        return _STATUS_LINES[status]
    if not is_field_value(reason):
        raise ValueError("control byte in the reason phrase")
    return b"HTTP/1.1 %d %s\r\n" % (status, reason)


def length_line(length: int) -> bytes:
    """The Content-Length line; small ones are ready made."""
    if length < 2048:
        return _LENGTH_LINES[length]
    return b"content-length: %d\r\n" % length


def interim_head(status: int, fields: Fields) -> bytes:
    """A 1xx head (RFC 9110 section 15.2); no framing or date of ours in it."""
    if status < 100 or status > 199:
        raise ValueError("not an interim status code")
    parts = [status_line(status, None)]
    if check_fields(fields) & (HAS_LENGTH | HAS_CODING):
        raise ValueError("an interim response has no body to frame")
    add_lines(parts, fields)
    parts.append(b"\r\n")
    return b"".join(parts)
