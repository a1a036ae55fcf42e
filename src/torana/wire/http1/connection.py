"""One HTTP/1.0 or HTTP/1.1 connection, server side: bytes in, events out; responses in, bytes out.

Joins the rooms beside it and keeps what belongs to the connection as a whole: which cycle it is in, whether it may
be kept, whether the client waits for 100 (Continue). Never here: sockets, time, grammar. RFC 9112.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, WireError
from torana.wire.http1.body import BodyReader
from torana.wire.http1.framing import UNTIL_CLOSE
from torana.wire.http1.parser import HeadParser
from torana.wire.http1.received import Received
from torana.wire.http1.states import (
    BODY,
    ENDED,
    HEAD,
    IDLE,
    READ,
    LegalityError,
    can_begin_next,
    can_hand_over,
    can_inform,
    can_send_head,
)
from torana.wire.http1.writer import FieldLines, ResponseWriter, interim_head

if TYPE_CHECKING:
    from torana.wire.events import Fields, Mark, RequestHead
    from torana.wire.http1.limits import Limits


class Http1Connection:
    """Server side of one connection. ``receive`` bytes, take events from ``next`` until it gives a mark."""

    def __init__(self, limits: Limits) -> None:
        #: Another request may follow the present one: the request's wish, the response's framing, errors and
        #: ``close_after`` together.
        self.keep_alive = True
        #: The client waits for 100 (Continue): it said so, no body byte has come, and 100 was not sent.
        self.needs_continue = False
        #: Bytes received and not yet parsed.
        self.buffered = 0
        #: Minor version of the present request; 1 before there was one.
        self.version_minor = 1
        #: How far the present request is: see ``states``.
        self.reading = IDLE
        self._is_last = False
        self._has_eof = False
        self._received = Received()
        self._parser = HeadParser(limits)
        self._body = BodyReader(limits)
        self._writer = ResponseWriter()

    @property
    def dropped(self) -> int:
        """Fields left out so far because of their name: "_" or "." in it, or "proxy"."""
        return self._parser.dropped

    @property
    def is_response_started(self) -> bool:
        """Whether the final head of the present cycle was written."""
        return not can_send_head(self._writer.state)

    def receive(self, data: bytes) -> None:
        """Add received bytes (never empty); thrown away where nothing will be read any more."""
        if self.reading == ENDED:
            return
        self._received.add(data)
        self.buffered += len(data)
        if self.needs_continue and self.reading == BODY:
            self.needs_continue = False

    def receive_eof(self) -> None:
        """The peer will send nothing more."""
        self._has_eof = True

    def next(self) -> RequestHead | bytes | EndOfBody | Mark:
        """The next event: RequestHead, body data, EndOfBody, or one of the marks NEED_DATA, PAUSED, CLOSED.

        A request whose ``content_length`` is 0 gives its RequestHead only. Raises ``WireError`` once; after that, and
        after the peer's FIN between two requests, there is only CLOSED.
        """
        if self.reading == READ:
            return PAUSED
        try:
            event = self._next_head() if self.reading < BODY else self._next_body()
        except WireError:
            self._end()
            raise
        self.buffered = self._received.size()
        if self.buffered == 0:
            self._received.let_go()
        return event

    def _next_head(self) -> RequestHead | Mark:
        if not self._parser.parse(self._received):
            self.version_minor = self._parser.minor
            if self._parser.has_line:
                self.reading = HEAD
            return self._need_data()
        head = self._parser.head
        self.version_minor = self._parser.minor
        self.keep_alive = head.keep_alive and not self._is_last
        if head.content_length == 0:
            self.reading = READ
        else:
            self.reading = BODY
            self._body.begin(head.content_length)
            self.needs_continue = head.expects_continue and self._received.size() == 0
        return head

    def _next_body(self) -> bytes | EndOfBody | Mark:
        if self.reading == ENDED:
            return CLOSED
        event = self._body.read(self._received)
        if event is None:
            return self._need_data()
        if isinstance(event, EndOfBody):
            self.reading = READ
        return event

    def _need_data(self) -> Mark:
        """What to say when bytes are missing: after a FIN they will not come."""
        if not self._has_eof:
            return NEED_DATA
        if self.is_between():
            self._end()
            return CLOSED
        raise WireError(400, "truncated-body" if self.reading == BODY else "truncated-head")

    def _end(self) -> int:
        """Nothing more is parsed on this connection (invariant I2)."""
        self.version_minor = self._parser.minor
        self.reading = ENDED
        self.keep_alive = False
        self.needs_continue = False
        self._received.rest()
        self.buffered = 0
        return 0

    def head_size(self) -> int:
        """Bytes read so far of the present cycle's head."""
        return self._parser.size()

    def is_between(self) -> bool:
        """Whether no byte of a next request has been seen."""
        return self.reading == IDLE and self._received.size() == 0

    def next_cycle(self) -> bool:
        """Begin the next cycle; False, and nothing done, when this one is not over or must be the last."""
        if not can_begin_next(self.reading, self._writer.state, self.keep_alive):
            return False
        self.reading = IDLE
        self.needs_continue = False
        self._parser.reset()
        self._writer.reset()
        return True

    def close_after(self) -> None:
        """Let the present response be the last."""
        self._is_last = True
        self.keep_alive = False

    def send_head(
        self,
        status: int,
        reason: bytes | None,
        fields: Fields,
        length: int,
        data: Any,
        is_end: bool,
        date_line: bytes,
        default_lines: bytes,
        ready: FieldLines | None = None,
    ) -> bytes:
        """Status line, fields, framing and the first body data, as one piece.

        ``reason`` None: the standard phrase. ``length``: bytes of body in all; -1 unknown; -2 the message has no body
        (the framing fields are then the caller's). ``data``: bytes-like, may be empty. ``date_line`` and the lines of
        ``default_lines`` are added where ``fields`` lack their name. ``ready``: ``fields`` by ``field_lines``, if these
        were made before. Raises ``ValueError`` for what could split the response, ``LegalityError`` for a second head;
        nothing is written then.
        """
        if self.needs_continue and status >= 200:
            # The client may send the body, or not: what follows could not be told from it (RFC 9110 section 10.1.1).
            self.keep_alive = False
        message = self._writer.head(
            status,
            reason,
            fields,
            length,
            data,
            is_end,
            date_line,
            default_lines,
            self.version_minor,
            self.keep_alive or status == 101,
            ready,
        )
        if self._writer.framing == UNTIL_CLOSE:
            self.keep_alive = False
        return message

    def is_close_delimited(self) -> bool:
        """Whether only the connection's end tells the end of the present response's body."""
        return self._writer.framing == UNTIL_CLOSE

    def begin_data(self, size: int, is_end: bool) -> bytes:
        """What goes before ``size`` bytes of body data written after the head."""
        return self._writer.begin_data(size)

    def end_data(self, is_end: bool) -> bytes:
        """What goes after them."""
        return self._writer.end_data(is_end)

    def finish(self) -> bytes:
        """End the body without more data."""
        return self._writer.finish()

    def send_trailers(self, fields: Fields) -> bytes:
        """End the body with a trailer section; swallowed where the framing has none."""
        return self._writer.trailers(fields)

    def send_informational(self, status: int, fields: Fields) -> bytes:
        """A 1xx head; b"" to an HTTP/1.0 client, which does not know them. 100 ends the client's waiting."""
        if self.version_minor == 0:
            return b""
        if not can_inform(self.reading, self._writer.state, self.version_minor):
            raise LegalityError("no interim response is possible now")
        message = interim_head(status, fields)
        if status == 100:
            self.needs_continue = False
        return message

    def unparsed(self) -> bytes:
        """What was received behind the present request, or since the last one; it stays."""
        return self._received.unparsed()

    def hand_over(self) -> bytes:
        """After an upgrade: the bytes received behind the request. This connection then speaks HTTP no more."""
        if not can_hand_over(self.reading, self._writer.state):
            raise LegalityError("the request is not fully read")
        rest = self._received.rest()
        self._end()
        return rest
