"""The request head: request line and field section, strict, bounded, one pass (RFC 9112 sections 2 to 5).

The parser walks lines; a line that is cut by the end of a read is read again once it is whole, never sooner,
so that the verdict does not depend on how the bytes came (see ``received``).
Never here: bodies, responses, time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.base.authority import is_authority
from torana.base.bytescan import NAME, TEXT, decimal, is_word
from torana.base.field_names import (
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    FORWARDING,
    HOST,
    PROXY,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
    is_forwarding,
)
from torana.base.headers import is_field_value, is_token, tokens
from torana.wire.events import HTTP_1_1, RequestHead, WireError
from torana.wire.http1.framing import request_length
from torana.wire.http1.names import KINDS, NAMES, slot_of
from torana.wire.http1.received import ILLEGAL, INCOMPLETE
from torana.wire.http1.request_line import read_plain, read_unusual

if TYPE_CHECKING:
    from torana.wire.http1.limits import Limits
    from torana.wire.http1.received import Received

#: Fields that frame or route a message: a Connection field that lists one asks us to lose it (threat G-032).
_NOT_HOP_BY_HOP = frozenset((b"content-length", b"transfer-encoding", b"host"))
_NO_HEAD = RequestHead()


class HeadParser:
    """Parses one head after another; ``head`` is the present one, begun when ``has_line``."""

    def __init__(self, limits: Limits) -> None:
        self._request_line_bytes = limits.request_line_bytes
        self._method_bytes = limits.method_bytes
        self._field_bytes = limits.field_bytes
        self._head_bytes = limits.head_bytes
        self._field_count = limits.field_count
        #: Minor version of the last request line that was legal.
        self.minor = 1
        #: Fields left out so far because of their name (threat G-075), over the whole connection.
        self.dropped = 0
        self.reset()

    def reset(self) -> int:
        """Be ready for the next head."""
        self.head = _NO_HEAD  # an idle connection keeps nothing of its last request
        self._has_blank = False
        self.has_line = False
        self._left = self._head_bytes
        self._count = 0
        self._authority: bytes | None = None
        self._host: bytes | None = None
        self._content_length = -1
        self._transfer_encoding: bytes | None = None
        self._has_content_type = False
        self._says_close = False
        self._says_keep_alive = False
        self._says_upgrade = False
        self._expects = 0  # 0 nothing, 1 100-continue, 2 what we cannot meet
        return 0

    def parse(self, received: Received) -> bool:
        """Read on; whether the head is complete. Raises ``WireError``."""
        if not self.has_line and not self._read_line(received):
            return False
        if not self._read_fields(received):
            return False
        self._finish()
        return True

    def size(self) -> int:
        """Bytes read so far of the present head."""
        return self._head_bytes - self._left

    def _read_line(self, received: Received) -> bool:
        """Read the request line, and before it at most one empty line (RFC 9112 section 2.2)."""
        head = RequestHead.__new__(RequestHead)  # filled here in full, without its __init__
        while True:
            start = received.position
            bound = self._bound(self._request_line_bytes)
            after = -1
            if start < len(received.data):
                after = read_plain(head, received.data, start, len(received.data), self._method_bytes)
            if after < 0 or after - start - 2 > bound:
                stop = received.line(bound)
                if stop == INCOMPLETE:
                    return False
                if stop < 0:
                    if stop == ILLEGAL:
                        raise WireError(400, "bad-line")
                    if bound < self._request_line_bytes:
                        raise WireError(431, "long-head", "limit_head")
                    raise WireError(414, "long-request-line", "limit_request_line")
                start = received.position
                if stop == start:
                    if self._has_blank:
                        raise WireError(400, "blank-lines")
                    self._has_blank = True
                    received.position = start + 2
                    continue
                after = read_plain(head, received.data, start, stop + 2, self._method_bytes)
                if after < 0:
                    self._authority = read_unusual(head, received.data[start:stop], self._method_bytes)
                    after = stop + 2
            received.position = after
            self._left -= after - start
            self.minor = 1 if head.version == HTTP_1_1 else 0
            head.fields = []
            head.upgrade = None
            head.takes_trailers = False
            head.has_forwarding = False
            self.head = head
            self.has_line = True
            return True

    def _read_fields(self, received: Received) -> bool:
        """Read field lines up to the empty one. Measured: the one loop here that is kept long on purpose."""
        fields = self.head.fields
        data = received.data
        raw = data
        i = received.position
        end = len(data)
        is_retry = False
        while True:
            start = i
            bound = self._bound(self._field_bytes)
            marks = 0
            while i < end and NAME[raw[i]]:
                marks |= NAME[raw[i]]
                i += 1
            if end - i >= 2:
                byte = raw[i]
                if byte == 0x3A and i > start:
                    stop = i
                    i += 1
                    while i < end and (raw[i] == 0x20 or raw[i] == 0x09):
                        i += 1
                    begin = i
                    while i < end and TEXT[raw[i]]:
                        i += 1
                    if end - i >= 2 and raw[i] == 0x0D and raw[i + 1] == 0x0A and i - start <= bound:
                        after = i
                        while after > begin and (raw[after - 1] == 0x20 or raw[after - 1] == 0x09):
                            after -= 1
                        i += 2
                        is_retry = False
                        self._left -= i - start
                        self._count += 1
                        if self._count > self._field_count:
                            raise WireError(431, "many-fields", "limit_field_count")
                        if marks & 2:
                            self.dropped += 1
                            continue
                        value = raw[begin:after]
                        slot = slot_of(raw, start, stop)
                        if slot >= 0:
                            name = NAMES[slot]
                            kind = KINDS[slot]
                            if kind and not self._note(kind, value):
                                continue
                        else:
                            name = raw[start:stop]
                            if marks & 4:
                                name = name.lower()
                            if is_forwarding(name):
                                self.head.has_forwarding = True
                        fields.append((name, value))
                        continue
                elif byte == 0x0D and i == start and raw[i + 1] == 0x0A:
                    received.position = i + 2
                    return True
            # Cut, too long or wrong: find out which, on the whole line.
            received.position = start
            after = received.line(bound)
            if after == INCOMPLETE:
                return False
            if after < 0:
                raise self._refuse_line(after)
            data = received.data
            raw = data
            start = received.position
            i = start
            end = len(data)
            if is_retry:
                raise field_fault(data[start:after])
            is_retry = True

    def _bound(self, line_bytes: int) -> int:
        """Most bytes that the next line may have: its own bound, or what is left of the head's."""
        if self._left >= line_bytes:
            return line_bytes
        return self._left if self._left > 0 else 0

    def _refuse_line(self, outcome: int) -> WireError:
        """The error for a field line that ``Received.line`` refused."""
        if outcome == ILLEGAL:
            return WireError(400, "bad-line")
        if self._left < self._field_bytes:
            return WireError(431, "long-head", "limit_head")
        return WireError(431, "long-field", "limit_field")

    def _note(self, kind: int, value: bytes) -> bool:
        """Take note of a field that the wire itself needs; False to leave the field out."""
        if kind == HOST:
            self._note_host(value)
        elif kind == CONNECTION:
            self._note_connection(value)
        elif kind == CONTENT_LENGTH:
            self._note_content_length(value)
        elif kind == CONTENT_TYPE:
            if self._has_content_type:
                raise WireError(400, "repeated-content-type")
            self._has_content_type = True
        elif kind == FORWARDING:
            self.head.has_forwarding = True
        elif kind == TRANSFER_ENCODING:
            if self._transfer_encoding is not None:
                raise WireError(400, "repeated-transfer-encoding")
            self._transfer_encoding = value
        elif kind == EXPECT:
            self._note_expect(value)
        elif kind == UPGRADE:
            self.head.upgrade = value if self.head.upgrade is None else self.head.upgrade + b", " + value
        elif kind == TE:
            for element in tokens(value):
                if element.partition(b";")[0].rstrip(b" \t") == b"trailers":
                    self.head.takes_trailers = True
        elif kind == PROXY:  # would become HTTP_PROXY ("httpoxy")
            self.dropped += 1
            return False
        return True

    def _note_host(self, value: bytes) -> int:
        if self._host is not None:
            raise WireError(400, "repeated-host")
        if not is_authority(value):
            raise WireError(400, "bad-host")
        self._host = value
        return 0

    def _note_content_length(self, value: bytes) -> int:
        if self._content_length >= 0:
            raise WireError(400, "repeated-content-length")
        length = decimal(value, 0, len(value))
        if length < 0:
            raise WireError(400, "bad-content-length")
        self._content_length = length
        return 0

    def _note_connection(self, value: bytes) -> int:
        size = len(value)
        if is_word(value, 0, size, b"keep-alive"):
            self._says_keep_alive = True
        elif is_word(value, 0, size, b"close"):
            self._says_close = True
        else:
            for option in tokens(value):
                if option == b"close":
                    self._says_close = True
                elif option == b"keep-alive":
                    self._says_keep_alive = True
                elif option == b"upgrade":
                    self._says_upgrade = True
                elif option in _NOT_HOP_BY_HOP:
                    raise WireError(400, "connection-lists-framing")
        return 0

    def _note_expect(self, value: bytes) -> int:
        if self._expects == 0 and is_word(value, 0, len(value), b"100-continue"):
            self._expects = 1
        else:
            self._expects = 2
        return 0

    def _finish(self) -> int:
        """Judge the head as a whole and complete ``head``."""
        head = self.head
        if self._authority is not None:
            self._apply_authority(self._authority)
        if self.minor == 1:
            if self._host is None:
                raise WireError(400, "missing-host")
            head.keep_alive = not self._says_close
            if not self._says_upgrade:
                head.upgrade = None
        else:
            head.keep_alive = self._says_keep_alive and not self._says_close
            head.upgrade = None
            self._expects = 0
        head.content_length = request_length(self.minor, self._content_length, self._transfer_encoding)
        if self._expects == 2:
            raise WireError(417, "unknown-expectation")
        head.expects_continue = self._expects == 1 and head.content_length != 0
        return 0

    def _apply_authority(self, authority: bytes) -> int:
        """Let the target's authority be the host (RFC 9112 section 3.2.2); two different ones are refused."""
        if self._host is None:
            if self.minor == 1:
                raise WireError(400, "missing-host")
            self.head.fields.insert(0, (b"host", authority))
        elif self._host.lower() != authority.lower():
            raise WireError(400, "host-differs")
        else:
            fields = self.head.fields
            fields[:] = [(name, authority if name == b"host" else value) for name, value in fields]
        return 0


def split_field(line: bytes) -> tuple[bytes, bytes]:
    """A field line without its CRLF as (lower-case name, value). Raises ``WireError`` 400."""
    name, colon, value = line.partition(b":")
    if not colon or not is_token(name) or not is_field_value(value):
        raise field_fault(line)
    return name.lower(), value.strip(b" \t")


def field_fault(line: bytes) -> WireError:
    """What is wrong with a field line that is no field (RFC 9112 section 5)."""
    if line[:1] in (b" ", b"\t"):
        return WireError(400, "folded-line")
    if b":" not in line:
        return WireError(400, "no-colon")
    return WireError(400, "bad-name")
