"""A conversation: a WebSocket handshake's exchange, and the messages both ways that follow if it is accepted.

Says what an application may do and when, keeps the messages that it has not taken within bounds, and knows how the
conversation ended. The same over HTTP/1.1 and HTTP/2. Never here: frames, sockets, interfaces.
RFC 6455 sections 5.4, 5.5.1, 7.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torana.base.headers import is_field_value, is_token, lower
from torana.exchange.response import ApplicationError, ClientDisconnected
from torana.exchange.states import (
    ACCEPT,
    CLOSE,
    CLOSED,
    CONNECTING,
    DENY,
    DENYING,
    GONE,
    ILLEGAL,
    OPEN,
    SEND,
    after_in_conversation,
)

if TYPE_CHECKING:
    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.exchange.roles import Answerer, Link
    from torana.wire.events import Fields

#: Messages that wait for the application before reading pauses, however small they are.
_MOST_MESSAGES = 32
#: What an untaken message costs besides its bytes.
_MESSAGE_COST = 64
#: Most bytes of a reason: a control frame has 125, two of them are the code's (RFC 6455 section 5.5).
_REASON_BYTES = 123

#: Close codes (RFC 6455 section 7.4.1, and IANA's registry).
NORMAL = 1000
NO_STATUS = 1005
ABNORMAL = 1006
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012

#: Fields that the handshake itself writes.
_HANDSHAKE = frozenset(
    {
        b"sec-websocket-protocol", b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-key",
        b"sec-websocket-version", b"connection", b"upgrade", b"transfer-encoding", b"content-length",
    }
)  # fmt: skip


class Duplex:
    """One conversation; made when its handshake was found good.

    ``request`` and ``response`` are the handshake's exchange (the response serves to deny it), ``link`` carries the
    messages, ``subprotocols`` are those that the client offers, in order of preference.
    """

    def __init__(
        self, request: Request, response: Response, link: Link, subprotocols: list[str], queue_bytes: int
    ) -> None:
        self.request = request
        self.response = response
        self.link = link
        self.subprotocols = subprotocols
        self.answerer: Answerer | None = None
        self.state: int = CONNECTING
        #: How it ended, once it has: code (1005: the frame had none, 1006: there was no frame) and reason.
        self.code = ABNORMAL
        self.reason = ""
        #: Bytes of messages that wait for the application.
        self.buffered = 0
        #: The next message, and those behind it: seldom is there more than one, and often none for hours.
        self._next: Any = None
        self._messages: deque[Any] | None = None
        self._queue_bytes = queue_bytes

    # What the application says

    def accept(self, subprotocol: str | None, fields: Iterable[Sequence[bytes]]) -> None:
        """Complete the handshake. Raises ``ApplicationError``, then nothing has changed."""
        state = self._after(ACCEPT, "the handshake was answered already")
        if subprotocol is not None and subprotocol not in self.subprotocols:
            raise ApplicationError(f"subprotocol {subprotocol!r} is none of those that the client offers")
        checked = self._checked(fields)
        self.state = state
        self.link.open(subprotocol, checked)

    def deny(self, status: int, fields: Iterable[Sequence[bytes]]) -> None:
        """Begin to refuse the handshake with a response of the application's own. Raises like ``Response.start``."""
        state = self._after(DENY, "the handshake was answered already")
        self.response.start(status, fields)
        self.state = state

    def refuse(self, data: Any, is_last: bool) -> None:
        """Go on with that response's body; when it is complete, all is over. Raises like ``Response.write``."""
        if self.state != DENYING:
            self._after(DENY, "the handshake was answered already")
        self.response.write(data, is_last)
        if is_last:
            self.lose(ABNORMAL, "")

    def send(self, data: Any) -> None:
        """Send one message, ``str`` or ``bytes``. Raises ``ClientDisconnected`` once the conversation is over."""
        self.state = self._after(SEND, "the handshake is not accepted")
        self.link.send(data)

    def close(self, code: int, reason: str) -> None:
        """Refuse the handshake with 403, or close the conversation. Raises like ``accept`` and ``send``."""
        was_open = self.state == OPEN
        state = self._after(CLOSE, "the handshake is being denied")
        if code < 1000 or code > 4999 or 1004 <= code <= 1006 or 1015 <= code <= 2999:
            raise ApplicationError(f"close code {code} may not be sent")
        reason = cut_reason(reason)
        self.state = state
        if was_open:
            self.code = code
            self.reason = reason
            self.link.close(code, reason)
            self._next = self._messages = None
            self.buffered = 0
        else:
            self.response.replace(403, [(b"content-type", b"text/plain; charset=utf-8")], b"403 Forbidden\n")

    def take(self) -> Any:
        """The next message, or None when there is none."""
        message = self._next
        if message is None:
            return None
        was_full = self.is_full()
        self._next = self._messages.popleft() if self._messages else None
        self.buffered -= len(message) + _MESSAGE_COST
        if was_full and self.state == OPEN and not self.is_full():
            self.link.want_messages()
        return message

    # What becomes of it

    def push(self, message: Any) -> None:
        """Add a message that has arrived, ``str`` or ``bytes``."""
        if self.state == OPEN:
            if self._next is None:
                self._next = message
            else:
                if self._messages is None:
                    self._messages = deque()
                self._messages.append(message)
            self.buffered += len(message) + _MESSAGE_COST
            # Held here, for an application may end, and let go of everything, within these calls.
            answerer = self.answerer
            if answerer is not None:
                answerer.body_arrived()

    def is_full(self) -> bool:
        """Whether reading should pause: the application has not taken what is already here."""
        if self.buffered >= self._queue_bytes:
            return True
        return self._messages is not None and len(self._messages) >= _MOST_MESSAGES - 1

    def lose(self, code: int, reason: str) -> None:
        """It is over: closed by the peer or the server, or lost (1006). Messages that came before stay to be taken."""
        if self.state == DENYING:
            self.response.lose()
        if self.state != CLOSED:
            self.state = CLOSED
            self.code = code
            self.reason = reason
            answerer = self.answerer
            if answerer is not None:
                answerer.disconnected()

    # The rules

    def _after(self, act: int, complaint: str) -> int:
        state = after_in_conversation(self.state, act)
        if state == ILLEGAL:
            raise ApplicationError(complaint if self.state != OPEN else "the handshake was accepted already")
        if state == GONE:
            raise ClientDisconnected("the conversation is over")
        return state

    def _checked(self, fields: Iterable[Sequence[bytes]]) -> Fields:
        checked = []
        for name, value in fields:
            if type(name) is not bytes or type(value) is not bytes:
                raise ApplicationError("header names and values must be bytes")
            lowered = lower(name)
            if not is_token(name) or not is_field_value(value):
                raise ApplicationError(f"header {name!r} is not a legal field")
            if lowered in _HANDSHAKE:
                raise ApplicationError(f"header {name!r} is the handshake's own")
            checked.append((lowered, value))
        return checked


def cut_reason(reason: str) -> str:
    """``reason`` within the 123 bytes that a close frame has for it, cut between two characters."""
    data = reason.encode("utf-8", "replace")
    if len(data) <= _REASON_BYTES:
        return data.decode("utf-8")
    return data[:_REASON_BYTES].decode("utf-8", "ignore")
