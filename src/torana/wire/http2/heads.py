"""From decoded fields to a request head, and to trailers: what a request must have and may not have.

Pseudo-fields, forbidden fields, ``:authority`` against Host, cookie crumbs, the fields that the wire itself needs. One
pass over the fields, with the tables that HTTP/1 asks too. Never here: HPACK, frames, streams.
RFC 9113 sections 8.1.1, 8.2 and 8.3; RFC 8441 section 4; RFC 9218 section 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.base.authority import is_authority
from torana.base.bytescan import METHOD, NAME, PATH, TARGET, TEXT, decimal, is_word, span
from torana.base.field_names import (
    CONTENT_LENGTH,
    CONTENT_TYPE,
    EXPECT,
    FORWARDING,
    HOST,
    KIND_OF,
    PROXY,
    TE,
    is_forwarding,
)
from torana.base.trailers import is_forbidden_trailer
from torana.wire.events import HTTP_2, RequestHead
from torana.wire.http2.errors import StreamFault
from torana.wire.http2.streams import USUAL_URGENCY

if TYPE_CHECKING:
    from torana.wire.events import Fields

# What names mean here besides.
COOKIE = 20
PRIORITY_FIELD = 21
FORBIDDEN = 22

# Compiled, the names above are C variables (heads.pxd); this keeps them importable from Python.
globals().update(COOKIE=COOKIE, PRIORITY_FIELD=PRIORITY_FIELD, FORBIDDEN=FORBIDDEN)

#: Fields of a connection have no place in HTTP/2 (RFC 9113 section 8.2.2).
_FORBIDDEN = (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
_KINDS = KIND_OF | dict.fromkeys(_FORBIDDEN, FORBIDDEN) | {b"cookie": COOKIE, b"priority": PRIORITY_FIELD}

_METHODS = {
    name.encode("ascii"): name
    for name in ("GET", "POST", "PUT", "HEAD", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY", "CONNECT")
}
_METHOD_BYTES = 32


_NOTHING = RequestHead()


class HeadReader:
    """Turns one field list after another into heads; remembers nothing of them but what is counted."""

    def __init__(self, field_bytes: int, has_connect_protocol: bool) -> None:
        self._field_bytes = field_bytes
        self._has_connect_protocol = has_connect_protocol
        #: Fields left out so far because of their name: "_" or "." in it, or "proxy" (threat G-075).
        self.dropped = 0
        #: The present head's priority (RFC 9218), usual where it says nothing.
        self.urgency = USUAL_URGENCY
        self.is_incremental = True

        self._head = RequestHead()
        self._method: bytes | None = None
        self._scheme: bytes | None = None
        self._path: bytes | None = None
        self._authority: bytes | None = None
        self._protocol: bytes | None = None
        self._host: bytes | None = None
        self._content_length = -1
        self._has_content_type = False
        self._has_te = False
        self._expects = 0  # 0 nothing, 1 100-continue, 2 what we cannot meet
        self._crumbs = 0

    def read(self, fields: Fields, is_end: bool) -> RequestHead:
        """The head that ``fields`` are; ``is_end``: no body follows. Raises ``StreamFault``."""
        head = RequestHead.__new__(RequestHead)  # filled here in full, without its __init__
        head.version = HTTP_2
        head.keep_alive = True
        head.upgrade = None
        head.takes_trailers = False
        head.has_forwarding = False
        self._head = head
        self._method = self._scheme = self._path = self._authority = self._protocol = self._host = None
        self._content_length = -1
        self._has_content_type = False
        self._has_te = False
        self._expects = 0
        self._crumbs = 0
        self.urgency = USUAL_URGENCY
        self.is_incremental = True
        first = self._read_pseudo(fields)
        head.fields = [(b"host", b"")]
        self._read_regular(fields, first)
        self._judge_target()
        self._judge_authority()
        if self._expects == 2:
            raise StreamFault("unknown-expectation", "", 417)
        if is_end:
            if self._content_length > 0:
                raise StreamFault("content-length-without-body")
            head.content_length = 0
        else:
            head.content_length = self._content_length
        head.expects_continue = self._expects == 1 and head.content_length != 0
        if self._crumbs > 1:
            head.fields = joined_cookies(head.fields)
        self._head = _NOTHING  # else an idle connection would keep the last one
        return head

    def assume(self, urgency: int, is_incremental: bool) -> int:
        """Let the priority be that of a head that was read before."""
        self.urgency = urgency
        self.is_incremental = is_incremental
        return 0

    def _read_pseudo(self, fields: Fields) -> int:
        """Note the pseudo-fields; index of the first regular field."""
        count = len(fields)
        i = 0
        while i < count:
            name, value = fields[i]
            if len(name) == 0 or name[0] != 0x3A:
                break
            if name == b":method":
                fault = self._method is not None
                self._method = value
            elif name == b":path":
                fault = self._path is not None
                self._path = value
            elif name == b":scheme":
                fault = self._scheme is not None
                self._scheme = value
            elif name == b":authority":
                fault = self._authority is not None
                self._authority = value
            elif name == b":protocol":
                fault = self._protocol is not None
                self._protocol = value
            else:
                raise StreamFault("unknown-pseudo-field")
            if fault:
                raise StreamFault("repeated-pseudo-field")
            if len(value) > self._field_bytes:
                raise StreamFault("long-field", "limit_field", 431)
            i += 1
        return i

    def _read_regular(self, fields: Fields, first: int) -> int:
        """Judge the fields from ``first`` on and put those that stay into the head."""
        kept = self._head.fields
        count = len(fields)
        for i in range(first, count):
            pair = fields[i]
            name, value = pair
            size = len(value)
            raw = value
            if span(TEXT, raw, 0, size) != size:
                raise StreamFault("bad-value")
            if size and (raw[0] == 0x20 or raw[0] == 0x09 or raw[size - 1] == 0x20 or raw[size - 1] == 0x09):
                raise StreamFault("padded-value")
            if len(name) + size > self._field_bytes:
                raise StreamFault("long-field", "limit_field", 431)
            known = _KINDS.get(name)
            if known is None:
                marks = name_marks(name)
                if marks < 0 or marks & 4:
                    raise StreamFault("bad-name")
                if marks & 2:
                    self.dropped += 1
                    continue
                if is_forwarding(name):
                    self._head.has_forwarding = True
            else:
                kind = known
                if kind and not self._note(kind, value):
                    continue
            kept.append(pair)
        return 0

    def _note(self, kind: int, value: bytes) -> bool:
        """Take note of a field that the wire itself needs; False to leave the field out."""
        if kind == COOKIE:
            self._crumbs += 1
        elif kind == CONTENT_LENGTH:
            if self._content_length >= 0:
                raise StreamFault("repeated-content-length")
            self._content_length = decimal(value, 0, len(value))
            if self._content_length < 0:
                raise StreamFault("bad-content-length")
        elif kind == HOST:
            if self._host is not None:
                raise StreamFault("repeated-host")
            self._host = value
            return False  # it comes first, as :authority has it
        elif kind == PRIORITY_FIELD:
            self._read_priority(value)
        elif kind == CONTENT_TYPE:
            if self._has_content_type:
                raise StreamFault("repeated-content-type")
            self._has_content_type = True
        elif kind == FORWARDING:
            self._head.has_forwarding = True
        elif kind == TE:
            if self._has_te or not is_word(value, 0, len(value), b"trailers"):
                raise StreamFault("bad-te")
            self._has_te = True
            self._head.takes_trailers = True
        elif kind == EXPECT:
            is_known = self._expects == 0 and is_word(value, 0, len(value), b"100-continue")
            self._expects = 1 if is_known else 2
        elif kind == FORBIDDEN:
            raise StreamFault("connection-field")
        elif kind == PROXY:  # would become HTTP_PROXY ("httpoxy")
            self.dropped += 1
            return False
        return True

    def _read_priority(self, value: bytes) -> int:
        self.is_incremental = False
        urgency, is_incremental = parse_priority(value)
        self.urgency = urgency
        self.is_incremental = is_incremental
        return 0

    def _judge_target(self) -> int:
        """``:method``, ``:scheme``, ``:path`` and ``:protocol`` (RFC 9113 sections 8.3.1 and 8.5, RFC 8441)."""
        head = self._head
        method = self._method
        if method is None:
            raise StreamFault("missing-pseudo-field")
        known = _METHODS.get(method)
        if known is None:
            size = len(method)
            if size == 0 or span(METHOD, method, 0, size) != size:
                raise StreamFault("bad-method")
            if size > _METHOD_BYTES:
                raise StreamFault("long-method", "limit_method", 501)
            known = method.decode("ascii")
        head.method = known
        if self._protocol is not None:
            self._judge_protocol()
        elif method == b"CONNECT":
            self._refuse_connect()
        path = self._path
        if path is None or self._scheme is None:
            raise StreamFault("missing-pseudo-field")
        if self._scheme != b"https" and self._scheme != b"http":
            raise StreamFault("bad-scheme")
        size = len(path)
        raw = path
        if size == 0 or raw[0] != 0x2F:
            if path != b"*" or method != b"OPTIONS":
                raise StreamFault("bad-path")
        query = span(PATH, raw, 0, size)
        if span(TARGET, raw, query, size) != size:
            raise StreamFault("bad-path")
        head.target = path
        if query == size:
            head.raw_path = path
            head.query = b""
        else:
            head.raw_path = path[:query]
            head.query = path[query + 1 :]
        return 0

    def _judge_protocol(self) -> int:
        """An extended CONNECT: only where we offered it, only for what we speak, and never with a length."""
        if not self._has_connect_protocol or self._method != b"CONNECT" or self._authority is None:
            raise StreamFault("bad-connect")
        if self._path is None or self._scheme is None or self._content_length >= 0:
            raise StreamFault("bad-connect")
        if self._protocol != b"websocket":
            raise StreamFault("unknown-protocol", "", 501)
        self._head.upgrade = self._protocol
        return 0

    def _refuse_connect(self) -> int:
        """A plain CONNECT asks for a tunnel, which an origin server does not give."""
        if self._path is not None or self._scheme is not None or self._authority is None:
            raise StreamFault("bad-connect")
        if not is_authority(self._authority, True):
            raise StreamFault("bad-connect")
        raise StreamFault("connect", "", 501)

    def _judge_authority(self) -> int:
        """The host, from ``:authority`` or else Host; where both are, they must be one (section 8.3.1)."""
        authority = self._authority
        if authority is None:
            authority = self._host
            if authority is None:
                raise StreamFault("missing-host")
        elif self._host is not None and self._host.lower() != authority.lower():
            raise StreamFault("host-differs")
        if not is_authority(authority):
            raise StreamFault("bad-host")
        self._head.fields[0] = (b"host", authority)
        return 0


def name_marks(name: bytes) -> int:
    """Marks of a field name (see ``base/bytescan``: 2 for "_" and ".", 4 for upper case); -1 when it is none."""
    raw = name
    size = len(name)
    marks = 0
    i = 0
    while i < size and NAME[raw[i]]:
        marks |= NAME[raw[i]]
        i += 1
    return -1 if i < size or size == 0 else marks


def joined_cookies(fields: Fields) -> Fields:
    """``fields`` with all cookie crumbs as one field, where the first one stood (section 8.2.3)."""
    crumbs = b"; ".join([value for name, value in fields if name == b"cookie"])
    kept = []
    is_first = True
    for pair in fields:
        if pair[0] != b"cookie":
            kept.append(pair)
        elif is_first:
            is_first = False
            kept.append((b"cookie", crumbs))
    return kept


def parse_priority(value: bytes) -> tuple[int, bool]:
    """Urgency and whether incremental, of a Priority field (RFC 9218 section 4); what it does not say is usual."""
    urgency = USUAL_URGENCY
    is_incremental = False
    for part in value.split(b",")[:8]:
        item = part.strip(b" \t")
        if len(item) == 3 and item.startswith(b"u=") and 0x30 <= item[2] <= 0x37:
            urgency = item[2] - 0x30
        elif item == b"i" or item == b"i=?1":
            is_incremental = True
        elif item == b"i=?0":
            is_incremental = False
    return urgency, is_incremental


def judged_trailers(fields: Fields, field_bytes: int) -> Fields:
    """``fields`` as a trailer section; raises ``StreamFault`` where they may not be one (section 8.1)."""
    for name, value in fields:
        if len(name) + len(value) > field_bytes:
            raise StreamFault("long-field", "limit_field")
        marks = name_marks(name)
        if marks < 0 or marks & 4:
            raise StreamFault("bad-trailer")  # pseudo-fields too
        size = len(value)
        if span(TEXT, value, 0, size) != size or value.strip(b" \t") != value:
            raise StreamFault("bad-value")
        if is_forbidden_trailer(name):
            raise StreamFault("forbidden-trailer")
    return fields


def copied(head: RequestHead) -> RequestHead:
    """A head that says the same, with a field list of its own."""
    made = RequestHead.__new__(RequestHead)
    made.method = head.method
    made.target = head.target
    made.raw_path = head.raw_path
    made.query = head.query
    made.fields = head.fields[:]
    made.version = head.version
    made.content_length = head.content_length
    made.expects_continue = head.expects_continue
    made.keep_alive = True
    made.upgrade = head.upgrade
    made.takes_trailers = head.takes_trailers
    made.has_forwarding = head.has_forwarding
    return made
