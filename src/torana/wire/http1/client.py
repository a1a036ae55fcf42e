"""The other side of HTTP/1.1: requests as bytes, and the responses to them as events. Strict, bounded, no I/O.

For whoever passes a request on: to an application that speaks HTTP itself, to another worker, to a server behind this
one. What belongs to one connection (RFC 9110 section 7.6.1) is dropped both ways, framing is written anew, and what two
readers could understand differently is refused both ways. Never here: sockets, pools, retries. RFC 9112.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.base.bytescan import NAME, TARGET, TEXT, decimal, span
from torana.base.headers import is_token, tokens
from torana.base.trailers import is_forbidden_trailer
from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, Mark, WireError
from torana.wire.http1.body import BodyReader
from torana.wire.http1.limits import Limits
from torana.wire.http1.names import NAMES, slot_of
from torana.wire.http1.received import ILLEGAL, INCOMPLETE, Received

if TYPE_CHECKING:
    from torana.wire.events import Fields

#: Bounds for responses of this machine's own code: what they cost was decided by whoever made them.
OWN_LIMITS = Limits(
    request_line_bytes=64 * 1024,
    field_bytes=1024 * 1024,
    head_bytes=4 * 1024 * 1024,
    field_count=10_000,
    trailer_bytes=1024 * 1024,
    chunk_overhead_bytes=1 << 60,
)

#: How long a request's body is, besides its size: not known before its end; there is none, and nothing is said of it.
UNKNOWN = -1
NO_BODY = -2

#: Fields of a connection, and those that frame a message: written anew here, never passed on.
_DROPPED = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"content-length", b"upgrade", b"te",
        b"http2-settings",
    }
)  # fmt: skip
#: Of a response its length is told to whoever reads it.
_DROPPED_OF_RESPONSES = _DROPPED - {b"content-length"}
#: A Connection field may not have these dropped.
_NOT_HOP_BY_HOP = frozenset({b"content-length", b"transfer-encoding", b"host"})
#: What one asks for with a body (RFC 9110 section 8.6).
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_STARTS = {
    method: method.encode("ascii") + b" " for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}
_NO_FIELDS: frozenset[bytes] = frozenset()
#: Interim responses ahead of one final response.
_MOST_INTERIM = 64
#: As much of a body without length as one event may hold.
_MOST_BYTES = 0x7FFF_FFFF

# How far a response is.
_HEAD = 0
_BODY = 1
_DONE = 2
_SWITCHED = 3
_FAILED = 4

# How the end of its body is told: there is none, by length or chunks, by the end of the connection.
_EMPTY = 0
_FRAMED = 1
_UNTIL_CLOSE = 2


def request_head(method: str, target: bytes, fields: Fields, length: int, upgrade: bytes = b"") -> bytes:
    """A request's head up to and with its empty line.

    ``length``: bytes of body (0: none; said for methods that have one), ``UNKNOWN`` for a chunked body, ``NO_BODY`` for
    none of which nothing is said. ``fields``: those of the message; of the connection's, only "TE: trailers" is passed
    on. ``upgrade``: the protocol to ask for. Raises ``WireError`` (400, 501) for what the next reader could take for
    something else: a control byte, a second Host, a target that is no path.
    """
    parts = [_start(method), target, b" HTTP/1.1\r\n"]
    if not target or span(TARGET, target, 0, len(target)) != len(target):
        raise WireError(400, "bad-target")
    if target[0] != 0x2F and (target != b"*" or method != "OPTIONS"):
        raise WireError(400, "bad-target")
    has_host = False
    takes_trailers = False
    named = _NO_FIELDS
    for name, value in fields:
        size = len(name)
        # Only names of these lengths matter here; all others pass at once.
        if size == 4 or size == 10 or size == 14 or size == 16 or size == 17 or size == 7 or size == 2:
            lowered = name.lower()
            if lowered == b"host":
                if has_host:
                    raise WireError(400, "repeated-host")
                has_host = True
            elif lowered in _DROPPED:
                if lowered == b"te":
                    takes_trailers = takes_trailers or b"trailers" in tokens(value)
                elif lowered == b"connection":
                    named = named | _listed(value, 400)
                continue
        _add_field(parts, name, value)
    if named:
        _remove(parts, named)
    if not has_host:
        parts.append(b"host: \r\n")
    if upgrade:
        parts.append(b"connection: upgrade, te\r\n" if takes_trailers else b"connection: upgrade\r\n")
        _add_field(parts, b"upgrade", upgrade)
    elif takes_trailers:
        parts.append(b"connection: te\r\n")
    if takes_trailers:
        parts.append(b"te: trailers\r\n")
    if length > 0 or (length == 0 and method in _WITH_BODY):
        parts.append(b"content-length: %d\r\n" % length)
    elif length == -1:
        parts.append(b"transfer-encoding: chunked\r\n")
    parts.append(b"\r\n")
    return b"".join(parts)


def _start(method: str) -> bytes:
    """The method and the space behind it."""
    start = _STARTS.get(method)
    if start is None:
        if method == "CONNECT":
            # Its target is no path, and its answer has no end.
            raise WireError(501, "connect")
        if not method.isascii() or not is_token(method.encode("ascii")):
            raise WireError(400, "bad-method")
        start = method.encode("ascii") + b" "
    return start


def _add_field(parts: list[bytes], name: bytes, value: bytes) -> int:
    size = len(name)
    raw = name
    if size == 0:
        raise WireError(400, "bad-name")
    for i in range(size):
        if not NAME[raw[i]]:
            raise WireError(400, "bad-name")
    if span(TEXT, value, 0, len(value)) != len(value):
        raise WireError(400, "bad-value")
    parts.append(name)
    parts.append(b": ")
    parts.append(value)
    parts.append(b"\r\n")
    return 0


def _listed(value: bytes, status: int) -> frozenset[bytes]:
    """The fields that a Connection field says are the connection's too (RFC 9110 section 7.6.1)."""
    options = tokens(value)
    for option in options:
        if option in _NOT_HOP_BY_HOP:
            raise WireError(status, "connection-lists-framing")
    return frozenset(options)


def _remove(parts: list[bytes], named: frozenset[bytes]) -> int:
    """Take out the fields ``named``; the first three parts are the request line, then there are four a field."""
    kept = parts[:3]
    for i in range(3, len(parts), 4):
        if parts[i].lower() not in named:
            kept += parts[i : i + 4]
    parts[:] = kept
    return 0


def chunk(data: bytes) -> tuple[bytes, bytes]:
    """What goes before and after ``data`` (never empty: that would end the body) in a chunked body."""
    if not data:
        raise ValueError("an empty chunk ends the body")
    return b"%x\r\n" % len(data), b"\r\n"


def end(trailers: Fields) -> bytes:
    """The end of a chunked body. Raises ``WireError`` 400 for fields that may not stand behind it."""
    if not trailers:
        return b"0\r\n\r\n"
    parts = [b"0\r\n"]
    for name, value in trailers:
        _add_field(parts, name, value)
        if is_forbidden_trailer(name.lower()):
            raise WireError(400, "forbidden-trailer")
    parts.append(b"\r\n")
    return b"".join(parts)


class Interim:
    """A response ahead of the final one (1xx but 101; RFC 9110 section 15.2)."""

    def __init__(self, status: int, fields: Fields) -> None:
        self.status = status
        self.fields = fields


class ResponseHead:
    """A final response's head. ``fields``: those of the message, names in lower case; none of the connection's, but
    what the protocol of a 101 needs.
    """

    def __init__(self, status: int, reason: bytes, fields: Fields, length: int) -> None:
        self.status = status
        self.reason = reason
        self.fields = fields
        #: Bytes of body that follow: 0 none (whatever Content-Length says), -1 when only their end tells.
        self.length = length


class ResponseReader:
    """Reads the responses of one connection, one at a time: ``begin``, ``receive`` bytes, take events from ``next``.

    Events: ``Interim``, ``ResponseHead``, data as ``bytes``, ``EndOfBody``, in this order; then PAUSED until the next
    ``begin`` (CLOSED after a 101: see ``rest``), and NEED_DATA in between. ``WireError`` 502 once, then CLOSED.
    """

    def __init__(self, limits: Limits = OWN_LIMITS) -> None:
        self._line_bytes = limits.request_line_bytes
        self._field_bytes = limits.field_bytes
        self._head_bytes = limits.head_bytes
        self._field_count = limits.field_count
        self._received = Received()
        self._body = BodyReader(limits)
        self._stage = _DONE
        self._has_eof = False
        self._is_head_asked = False
        self._framing = _EMPTY
        self._interims = 0
        #: The connection may carry another request, as far as the last response is concerned.
        self.keep_alive = True
        self._reset()

    def begin(self, is_head: bool) -> None:
        """A request was sent: read its response. ``is_head``: its method was HEAD, so there is no body."""
        self._is_head_asked = is_head
        self._interims = 0
        self._stage = _HEAD
        self._reset()

    def _reset(self) -> int:
        self._left = self._head_bytes
        self._status = 0
        self._minor = 1
        self._reason = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._length = -1
        self._coding: bytes | None = None
        self._options: frozenset[bytes] = _NO_FIELDS
        return 0

    def receive(self, data: bytes) -> None:
        """Add received bytes (never empty)."""
        if self._stage != _FAILED:
            self._received.add(data)

    def receive_eof(self) -> None:
        """Nothing more will be received."""
        self._has_eof = True

    def is_reusable(self) -> bool:
        """Whether the response is complete and another request may be sent: nothing but it has come."""
        return self._stage == _DONE and self.keep_alive and not self._has_eof and self._received.size() == 0

    def rest(self) -> bytes:
        """Remove and return the bytes behind a 101."""
        return self._received.rest()

    def next(self) -> Interim | ResponseHead | bytes | EndOfBody | Mark:
        """The next event, or a mark. Raises ``WireError`` 502."""
        stage = self._stage
        try:
            if stage == _HEAD:
                return self._next_head()
            if stage == _BODY:
                return self._next_body()
        except WireError as error:
            self._stage = _FAILED
            self.keep_alive = False
            self._received.rest()
            if error.status == 502:
                raise
            raise WireError(502, error.reason, error.setting) from None
        return PAUSED if stage == _DONE else CLOSED

    # The head

    def _next_head(self) -> Interim | ResponseHead | Mark:
        received = self._received
        while True:
            bound = self._bound(self._field_bytes if self._status else self._line_bytes)
            stop = received.line(bound)
            if stop < 0:
                if stop == INCOMPLETE:
                    if self._has_eof:
                        raise WireError(502, "truncated-head" if self._status or received.size() else "no-response")
                    return NEED_DATA
                raise WireError(502, "bad-line" if stop == ILLEGAL else "long-head")
            data = received.data
            start = received.position
            received.position = stop + 2
            self._left -= stop + 2 - start
            if self._status == 0:
                self._read_status(data[start:stop])
            elif stop > start:
                self._read_field(data, start, stop)
            elif 100 <= self._status < 200 and self._status != 101:
                return self._interim()
            else:
                return self._finish()

    def _bound(self, line_bytes: int) -> int:
        if self._left >= line_bytes:
            return line_bytes
        return self._left if self._left > 0 else 0

    def _read_status(self, line: bytes) -> int:
        """Status line (RFC 9112 section 4); the space behind the code may be missing where there is no reason."""
        if len(line) < 12 or not line.startswith(b"HTTP/1.") or line[8] != 0x20:
            raise WireError(502, "bad-status-line")
        minor = line[7] - 48
        status = decimal(line, 9, 12)
        if minor < 0 or minor > 1 or status < 100 or status > 999:
            raise WireError(502, "bad-status-line")
        if len(line) > 12 and line[12] != 0x20:
            raise WireError(502, "bad-status-line")
        self._minor = minor
        self._status = status
        self._reason = line[13:]
        return 0

    def _read_field(self, data: bytes, start: int, stop: int) -> int:
        """One field line, whose bytes ``Received.line`` found to be text."""
        raw = data
        i = start
        marks = 0
        while i < stop and NAME[raw[i]]:
            marks |= NAME[raw[i]]
            i += 1
        if i == start or i == stop or raw[i] != 0x3A:
            raise WireError(502, "bad-name")
        end = i
        i += 1
        while i < stop and (raw[i] == 0x20 or raw[i] == 0x09):
            i += 1
        while stop > i and (raw[stop - 1] == 0x20 or raw[stop - 1] == 0x09):
            stop -= 1
        value = raw[i:stop]
        slot = slot_of(raw, start, end)
        if slot >= 0:
            name = NAMES[slot]
        else:
            name = raw[start:end]
            if marks & 4:
                name = name.lower()
        size = end - start
        if size == 14 or size == 10 or size == 17 or size == 7 or size == 16 or size == 2:
            if not self._note(name, value):
                return 0
        self._fields.append((name, value))
        if len(self._fields) > self._field_count:
            raise WireError(502, "many-fields")
        return 0

    def _note(self, name: bytes, value: bytes) -> bool:
        """Take note of a field that frames the message; False to leave it out."""
        if name == b"content-length":
            if self._length >= 0:
                raise WireError(502, "repeated-content-length")
            self._length = decimal(value, 0, len(value))
            if self._length < 0:
                raise WireError(502, "bad-content-length")
        elif name == b"transfer-encoding":
            if self._coding is not None:
                raise WireError(502, "repeated-transfer-encoding")
            self._coding = value
        elif name == b"connection":
            self._options = self._options | _listed(value, 502)
        return name not in _DROPPED_OF_RESPONSES

    def _interim(self) -> Interim:
        self._interims += 1
        if self._interims > _MOST_INTERIM:
            raise WireError(502, "many-interim")
        if self._length >= 0 or self._coding is not None:
            raise WireError(502, "interim-with-body")
        event = Interim(self._status, self._without_named())
        self._reset()
        return event

    def _finish(self) -> ResponseHead:
        """Judge the head as a whole (RFC 9112 section 6.3)."""
        status = self._status
        fields = self._without_named() if self._options else self._fields
        options = self._options
        self.keep_alive = b"close" not in options and (self._minor == 1 or b"keep-alive" in options)
        if self._coding is not None:
            if self._minor == 0:
                raise WireError(502, "transfer-encoding-1.0")
            if self._length >= 0:
                raise WireError(502, "length-and-coding")
            if self._coding.lower() != b"chunked":
                raise WireError(502, "bad-transfer-encoding")
        self._stage = _BODY
        self._framing = _FRAMED
        length = self._length
        if status == 101:
            self._stage = _SWITCHED
            self.keep_alive = False
            length = 0
        elif length == 0 or self._is_head_asked or status == 204 or status == 304:
            self._framing = _EMPTY
            length = 0
        elif length > 0 or self._coding is not None:
            self._body.begin(length)
        else:
            self._framing = _UNTIL_CLOSE
            self.keep_alive = False
        head = ResponseHead.__new__(ResponseHead)
        head.status = status
        head.reason = self._reason
        head.fields = fields
        head.length = length
        return head

    def _without_named(self) -> list[tuple[bytes, bytes]]:
        """The fields but those that a Connection field named."""
        options = self._options
        return [field for field in self._fields if field[0] not in options] if options else self._fields

    # The body

    def _next_body(self) -> bytes | EndOfBody | Mark:
        event: bytes | EndOfBody | None
        if self._framing == _FRAMED:
            event = self._body.read(self._received)
        elif self._framing == _EMPTY:
            event = EndOfBody([])
        else:
            event = self._received.take(_MOST_BYTES) or (EndOfBody([]) if self._has_eof else None)
        if event is None:
            if self._has_eof:
                raise WireError(502, "truncated-body")
            return NEED_DATA
        if type(event) is EndOfBody:
            self._stage = _DONE
        return event
