"""The response half of an exchange: what an application may say, in which order, and what leaves because of it.

Holds the head back until the first body data, so that a failure can still become a 500; settles the body's length;
never lets a byte out that contradicts the head (RFC 9110 section 6.4, 8.6; RFC 9112 section 6.3).
Never here: serialising, sockets, interfaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torana.base.bytescan import decimal, is_word
from torana.base.headers import is_field_value, is_token, lower, tokens
from torana.exchange.carrier import Upgradable
from torana.exchange.states import (
    CUT,
    DATA,
    DONE,
    HINT,
    IDLE,
    IGNORED,
    ILLEGAL,
    LAST_DATA,
    LAST_DATA_BEFORE_TRAILERS,
    LAST_TRAILERS,
    SENDING,
    START,
    STARTED,
    TRAILERS,
    after,
)
from torana.wire.events import HTTP_1_0

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

if TYPE_CHECKING:
    from torana.exchange.carrier import Carrier, Speaker
    from torana.exchange.request import Request
    from torana.exchange.roles import Channel, RawStream, Witness
    from torana.wire.events import Fields

#: Length unknown until the end; no body at all (see ``Channel.respond``).
UNKNOWN = -1
NO_BODY = -2

#: Of a response that is not started; nobody changes it.
_NO_FIELDS: Fields = []

#: Fields of the connection, not of the message: the wire writes its own (RFC 9110 section 7.6.1).
_HOP_BY_HOP = frozenset({b"transfer-encoding", b"connection", b"keep-alive", b"proxy-connection", b"upgrade", b"te"})

#: Fields that must not stand in a trailer section (RFC 9110 section 6.5.1).
_NOT_IN_TRAILERS = frozenset(
    {
        b"transfer-encoding", b"content-length", b"host", b"trailer", b"te", b"connection", b"keep-alive", b"upgrade",
        b"cache-control", b"expect", b"max-forwards", b"pragma", b"range", b"authorization", b"set-cookie", b"cookie",
        b"www-authenticate", b"proxy-authenticate", b"proxy-authorization", b"content-encoding", b"content-type",
        b"content-range", b"age", b"date", b"expires", b"location", b"retry-after", b"vary", b"warning",
    }
)  # fmt: skip


class ApplicationError(RuntimeError):
    """The application broke the rules of its interface; raised at the call that did it, and nothing was changed."""


class ClientDisconnected(OSError):
    """The client is gone; nobody will read what is sent (ASGI spec, "Disconnected Client - send exception")."""


class KnownHead:
    """What ``Response.start`` made of the fields of one answer, for others that have the same."""

    def __init__(self, fields: Fields, declared: int, wants_close: bool) -> None:
        #: Shared by all who start with it.
        self.fields = fields
        self.declared = declared
        self.wants_close = wants_close
        #: What the wire has made of the fields, for the next time.
        self.written: Any = None


@cython.freelist(64)
@cython.cclass
class Response:
    """One answer. ``fields`` are those of the application, checked; the wire adds framing, date and server.

    Other answers may have the same list: who wants other fields makes another.
    """

    def __init__(self, channel: Channel, request: Request) -> None:
        self.begin(channel, request)

    def begin(self, channel: Channel, request: Request) -> None:
        """What ``__init__`` does, for ``new_response``."""
        self.channel = channel
        self.state: int = IDLE
        self.status = 0
        self.reason: bytes | None = None
        self.fields: Fields = _NO_FIELDS
        #: What it was started with, if that was known; it may have got other fields since.
        self.head: KnownHead | None = None
        #: Body bytes handed to the channel.
        self.sent = 0
        #: The application asked for the connection to be closed after this answer.
        self.wants_close = False
        #: Sees the head leave.
        self.witness: Witness | None = None
        #: What is asked for is the head alone.
        self.is_head: bool = request.head.method == "HEAD"
        self._keeps_trailers = request.head.takes_trailers and request.head.version != HTTP_1_0
        #: Length of the body as the application has declared it; -1 when it has not.
        self.declared = -1
        self._wants_trailers = False
        self._is_bodyless = False
        self._trailers: Fields | None = None

    # What the application says

    def start(
        self, status: int, fields: Iterable[Sequence[bytes]], reason: bytes | None = None, trailers: bool = False
    ) -> None:
        """Set the head; it is sent with the first body data. Raises ``ApplicationError``, then nothing has changed."""
        state = self._started(status)
        if state == IGNORED:
            return
        kept: list[tuple[bytes, bytes]] = []
        declared = -1
        wants_close = False
        for field in fields:
            name, value = field
            self._check_field(name, value)
            size = len(name)
            # The only names that matter here have these lengths; all others pass at once.
            if size == 14:
                if is_word(name, 0, 14, b"content-length"):
                    length = self._length(value)
                    if declared >= 0:
                        if length != declared:
                            raise ApplicationError("two different content-length fields")
                        continue
                    declared = length
            elif size == 17 or size == 10 or size == 7 or size == 2 or size == 16:
                lowered = lower(name)
                if lowered in _HOP_BY_HOP:
                    if lowered == b"connection" and b"close" in tokens(value):
                        wants_close = True
                    continue
            kept.append(field if type(field) is tuple else (name, value))
        if status == 204 and declared >= 0:
            kept = [(name, value) for name, value in kept if lower(name) != b"content-length"]
            declared = -1
        self.reason = reason
        self._set_head(status, kept, declared, wants_close)
        self._wants_trailers = trailers and declared < 0 and not self._is_bodyless
        self.state = state

    def known(self) -> KnownHead | None:
        """The head as others may ``start_known`` with it; None unless it is set and has not left."""
        if self.state != STARTED or self.status == 204:
            # Which may lack a length that others need.
            return None
        return KnownHead(self.fields, self.declared, self.wants_close)

    def start_known(self, status: int, reason: bytes | None, head: KnownHead) -> None:
        """``start`` with fields that were judged before."""
        if status == 204 and head.declared >= 0:
            self.start(status, head.fields, reason)
            return
        state = self._started(status)
        if state == IGNORED:
            return
        self.reason = reason
        self.head = head
        self._set_head(status, head.fields, head.declared, head.wants_close)
        self._wants_trailers = False
        self.state = state

    def write(self, data: Any, is_last: bool) -> None:
        """Send body data (bytes-like); the first call sends the head too. Raises like ``start``."""
        size = len(data)
        waits = self._wants_trailers
        if is_last:
            act = LAST_DATA_BEFORE_TRAILERS if waits else LAST_DATA
        else:
            act = DATA
        before = self.state
        state = after(before, act)
        if state >= ILLEGAL:
            if state == IGNORED:
                return
            raise ApplicationError(self._out_of_order(before))
        if state == CUT:
            raise ClientDisconnected("the client is gone")
        if self.declared >= 0 and not self._is_bodyless:
            self._check_length(size, is_last)
        self.state = state
        self.sent += size
        try:
            if before == STARTED:
                self._send_head(data, size, is_last)
            elif self._is_bodyless:
                if is_last:
                    self.channel.write(b"", True)
            elif size or (is_last and not waits):
                self.channel.write(data, is_last and not waits)
            if is_last and waits and not self._keeps_trailers:
                # The client did not say that it keeps trailers: the message ends here, what follows is passed over.
                self.state = DONE
                self.channel.write(b"", True)
        except Exception:
            # For want of memory, say: nobody knows how much of it has left, and nobody else would end it.
            self.state = CUT
            self.channel.abort()
            raise

    def write_file(self, fd: int, offset: int, count: int, is_last: bool) -> bool:
        """Send up to ``count`` bytes of a file. Returns whether the channel took ``fd``; if not, the caller closes it.

        A file longer than the declared length is cut to it; a shorter one raises, like too little data.
        """
        if self.state == STARTED and is_last and self.declared < 0 and not self._is_bodyless:
            if not self._wants_trailers:
                self.declared = count
                self.add_length(count)
        elif self.declared >= 0 and count > self.declared - self.sent:
            count = self.declared - self.sent
        if self.declared >= 0 and not self._is_bodyless:
            self._check_length(count, is_last)
        if self.is_head and self.state == STARTED and is_last and self.declared < 0:
            if self.status != 204 and self.status != 205 and self.status != 304 and not self._wants_trailers:
                # As for GET (RFC 9110 section 9.3.2).
                self.add_length(count)
        if self._is_bodyless or count == 0:
            self.write(b"", is_last)
            return False
        self.write(b"", False)
        if self.state != SENDING:
            return False
        self.sent += count
        if is_last and not self._wants_trailers:
            self.state = DONE
            self.channel.write_file(fd, offset, count, True)
        else:
            self.channel.write_file(fd, offset, count, False)
            if is_last:
                self.write(b"", True)
        return True

    def trailers(self, fields: Iterable[Sequence[bytes]], is_last: bool) -> None:
        """Set trailer fields; the last call sends them and ends the message (RFC 9110 section 6.5)."""
        before = self.state
        state = after(before, LAST_TRAILERS)
        if state == IGNORED:
            return
        if state == ILLEGAL:
            raise ApplicationError(
                "trailers after a head that did not announce them, or before the last body data"
                if before != TRAILERS
                else self._out_of_order(before)
            )
        if state == CUT:
            raise ClientDisconnected("the client is gone")
        kept = []
        for name, value in fields:
            self._check_field(name, value)
            lowered = lower(name)
            if lowered in _NOT_IN_TRAILERS:
                raise ApplicationError(f"field {name[:80]!r} may not stand in a trailer section")
            kept.append((lowered, value))
        self._trailers = kept if self._trailers is None else self._trailers + kept
        if is_last:
            self.state = state
            self.channel.write_trailers(self._trailers)

    def hint(self, links: Iterable[bytes]) -> None:
        """Send 103 (Early Hints) with these Link values ahead of the head; too late, it is passed over (RFC 8297)."""
        fields = [(b"link", link) for link in links]
        for name, value in fields:
            self._check_field(name, value)
        state = after(self.state, HINT)
        if state == CUT:
            raise ClientDisconnected("the client is gone")
        if state < ILLEGAL:
            self.channel.inform(103, fields)

    # What becomes of it

    def is_begun(self) -> bool:
        """Whether the head has left (or nothing can be said any more), so that no other answer is possible."""
        return self.state >= SENDING

    def is_over(self) -> bool:
        """Whether the message is complete or cut."""
        return self.state >= DONE

    def replace(self, status: int, fields: Fields, body: bytes) -> bool:
        """Answer this instead of what was started; False when the head has left already."""
        if self.is_begun():
            return False
        self.state = IDLE
        self.start(status, fields)
        self.write(body, True)
        return True

    def abort(self) -> None:
        """Cut a message that has begun so that nobody takes the part for the whole; nothing when it is over."""
        if self.state < DONE:
            self.state = CUT
            self.channel.abort()

    def lose(self) -> None:
        """The client is gone: every later act of the application raises ``ClientDisconnected``."""
        if self.state != DONE:
            self.state = CUT

    def hand_over(self) -> RawStream | None:
        """The connection for the application itself, which then hears nothing more of what it answers here.

        None, and nothing done, when something was answered already or the connection is not for one exchange alone.
        """
        stream = None if self.is_begun() else self.channel.raw()
        if stream is not None:
            self.state = DONE
            self.status = 101
            self.fields = []
        return stream

    def upgrade(self, fields: Iterable[Sequence[bytes]], speaker: Speaker) -> Carrier:
        """Agree to the protocol that the request asked for (``head.upgrade``) and give its bytes to ``speaker``.

        ``fields``: those of the new protocol and of the application, without Connection and Upgrade. For gateways that
        speak the protocol themselves (``Gateway.takes_tunnels``), on the loop's thread. Raises like ``start``.
        """
        state = after(self.state, START)
        if state == CUT:
            raise ClientDisconnected("the client is gone")
        if state >= ILLEGAL:
            raise ApplicationError("the response was started already")
        kept: list[tuple[bytes, bytes]] = []
        for name, value in fields:
            self._check_field(name, value)
            if lower(name) not in _HOP_BY_HOP:
                kept.append((name, value))
        channel = self.channel
        assert isinstance(channel, Upgradable)
        self.state = DONE
        return channel.upgrade(self.witnessed(kept, b""), speaker)

    def withdraw(self) -> None:
        """Take back a head that has not left, so that something else may be answered."""
        if self.state == STARTED:
            self.state = IDLE

    def witnessed(self, fields: Fields, data: Any) -> Fields:
        """The head leaves: the fields with those that whoever watches adds."""
        witness = self.witness
        if witness is None:
            return fields
        self.witness = None
        seen: Fields = witness.leaving(self, fields, data)
        return seen

    # The rules

    def _started(self, status: int) -> int:
        """The state after a start, or IGNORED; raises for one that may not be."""
        state = after(self.state, START)
        if state >= ILLEGAL:
            if state == IGNORED:
                return IGNORED
            raise ApplicationError("the response was started already")
        if state == CUT:
            raise ClientDisconnected("the client is gone")
        if status < 200 or status > 599:
            raise ApplicationError(f"status {status} is not that of a final response (200 to 599)")
        return state

    def _set_head(self, status: int, fields: Fields, declared: int, wants_close: bool) -> None:
        self.status = status
        self.fields = fields
        self.wants_close = wants_close
        self.declared = declared
        self._is_bodyless = self.is_head or status == 204 or status == 304 or status == 205

    def add_length(self, length: int) -> None:
        """Tell a length that the application did not declare."""
        self.fields = [*self.fields, (b"content-length", b"%d" % length)]

    def _send_head(self, data: Any, size: int, is_last: bool) -> None:
        if self.witness is not None:
            self.fields = self.witnessed(self.fields, data)
        ends = is_last and not self._wants_trailers
        if self._is_bodyless:
            if self.status == 205:
                # No content, and said so: a recipient may not know the rule (RFC 9110 section 15.3.6).
                self.fields = [pair for pair in self.fields if lower(pair[0]) != b"content-length"]
                self.channel.respond(self.status, self.reason, self.fields, 0, b"", is_last)
                return
            if self.is_head and is_last and size and self.declared < 0 and self.status != 204 and self.status != 304:
                self.add_length(size)
            self.channel.respond(self.status, self.reason, self.fields, NO_BODY, b"", is_last)
        elif self.declared >= 0:
            self.channel.respond(self.status, self.reason, self.fields, self.declared, data, ends)
        elif ends:
            self.channel.respond(self.status, self.reason, self.fields, size, data, True)
        else:
            self.channel.respond(self.status, self.reason, self.fields, UNKNOWN, data, False)

    def _check_length(self, size: int, is_last: bool) -> None:
        total = self.sent + size
        if total > self.declared:
            raise ApplicationError(f"{total} bytes of body, but content-length says {self.declared}")
        if is_last and total < self.declared:
            raise ApplicationError(f"only {total} bytes of body, but content-length says {self.declared}")

    def _check_field(self, name: Any, value: Any) -> None:
        if type(name) is not bytes or type(value) is not bytes:
            raise ApplicationError(
                f"header names and values must be bytes, found {type(name).__name__} and {type(value).__name__}"
            )
        if not is_token(name):
            raise ApplicationError(f"header name {name[:80]!r} is not a token")
        if not is_field_value(value):
            raise ApplicationError(f"the value of header {name[:80]!r} holds a forbidden control character")

    def _length(self, value: bytes) -> int:
        length = decimal(value, 0, len(value))
        if length < 0:
            raise ApplicationError("content-length is not a decimal number")
        return length

    def _out_of_order(self, state: int) -> str:
        if state == IDLE:
            return "body before the response was started"
        if state == TRAILERS:
            return "body after the last body: trailers are awaited"
        return "out of order"


def new_response(channel: Channel, request: Request) -> Response:
    """``Response(...)``, without the cost of a call through the type."""
    made = Response.__new__(Response)
    made.begin(channel, request)
    return made
