"""The request half of an exchange: its head, and its body as it arrives.

Bounds the body (limit and read-ahead) and knows whether it is complete. Never here: sockets, framing, interfaces.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from torana.wire.events import WireError

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints
    from torana.exchange.roles import Answerer, Channel
    from torana.wire.events import Fields, RequestHead

#: Pieces of a body that wait; then they are joined.
_MOST_PIECES = 256


@cython.freelist(64)
@cython.cclass
class Request:
    """One request; made when its head is complete, dropped when both halves of the exchange are over."""

    def __init__(
        self, head: RequestHead, endpoints: Endpoints, channel: Channel, body_limit: int, read_ahead: int
    ) -> None:
        self.begin(head, endpoints, channel, body_limit, read_ahead)

    def begin(
        self, head: RequestHead, endpoints: Endpoints, channel: Channel, body_limit: int, read_ahead: int
    ) -> None:
        """What ``__init__`` does, for ``new_request``."""
        self.head = head
        #: The ends of the connection, already corrected by what trusted hops said.
        self.endpoints = endpoints
        self.channel = channel
        self.answerer: Answerer | None = None
        #: Bytes of body received in all.
        self.received = 0
        #: Bytes of body received and not yet taken.
        self.buffered = 0
        #: The body is complete.
        self.is_ended = head.content_length == 0
        #: The client is gone: what is missing will never come.
        self.is_broken = False
        self.trailers: Fields | None = None
        self._pieces: deque[bytes] | None = None
        self._body_limit = body_limit
        self._read_ahead = read_ahead

    def push(self, data: bytes) -> None:
        """Add body data; ``WireError`` 413 when the body grows past its limit (counted, never declared)."""
        size = len(data)
        self.received += size
        if self._body_limit and self.received > self._body_limit:
            raise WireError(413, "body too large", "limit_body")
        if self._pieces is None:
            self._pieces = deque()
        self._pieces.append(data)
        if len(self._pieces) >= _MOST_PIECES:
            # Not an object for each byte of a client that sends single ones (threats G-017, G-048).
            whole = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces.append(whole)
        self.buffered += size
        answerer = self.answerer
        if answerer is not None:
            answerer.body_arrived()

    def end(self, trailers: Fields) -> None:
        """The body is complete."""
        self.trailers = trailers
        self.is_ended = True
        answerer = self.answerer
        if answerer is not None:
            answerer.body_arrived()

    def lose(self) -> None:
        """The client is gone, or the answer is complete: nobody will read or send any more."""
        if not self.is_broken:
            self.is_broken = True
            # Held: whoever answers may let go of the exchange within this, and nobody else may hold him.
            answerer = self.answerer
            if answerer is not None:
                answerer.disconnected()

    def vanish(self) -> None:
        """``lose``, also told when it is known already that the client has ended its half: it will take nothing more
        either, and whoever waits until it has taken something must hear of that.
        """
        if not self.is_broken:
            self.lose()
        else:
            answerer = self.answerer
            if answerer is not None:
                answerer.drained()

    def take(self) -> bytes:
        """All body data that has arrived; b"" when none is there."""
        pieces = self._pieces
        if not pieces:
            return b""
        data: bytes = pieces.popleft() if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        was_full = self.buffered >= self._read_ahead
        self.buffered = 0
        if was_full and not self.is_ended:
            self.channel.want_body()
        return data

    def tighten(self) -> None:
        """From here on reading pauses whenever anything is here."""
        self._read_ahead = 1

    def is_full(self) -> bool:
        """Whether reading should pause: the application has not taken what is already here."""
        return self.buffered >= self._read_ahead


def new_request(head: RequestHead, endpoints: Endpoints, channel: Channel, body_limit: int, read_ahead: int) -> Request:
    """``Request(...)``, without the cost of a call through the type."""
    made = Request.__new__(Request)
    made.begin(head, endpoints, channel, body_limit, read_ahead)
    return made
