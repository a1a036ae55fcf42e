"""What the WebSockets of a worker hold together: how many they are, and the bytes of large messages on their way.

One message may be large and one queue deep, but not all of them at once (threat G-060): beyond the bound, those whose
message still grows are not read until others have let go of theirs. Never here: frames, sockets.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.serve.websocket import WebSocket

#: Bytes of messages that are incomplete, or wait for their application.
_MOST_BYTES = 256 * 1024 * 1024
#: What one that reads on may add before it is looked at again.
_STEP_BYTES = 256 * 1024
#: Beyond so many, compression keeps no state between messages.
_MANY = 1000


class InFlight:
    """Of one worker; ``message_bytes`` is the largest message there may be."""

    def __init__(self, message_bytes: int) -> None:
        #: Open conversations.
        self.sockets = 0
        #: Bytes told by ``weigh``.
        self.held = 0
        #: The one message that is allowed has to fit, and so has another beside it.
        self.most = max(_MOST_BYTES, 2 * message_bytes)
        #: The one that may grow beyond that, so that somebody gets done.
        self.favoured: WebSocket | None = None
        self._starved: deque[WebSocket] = deque()

    def is_crowded(self) -> bool:
        """Whether new ones should be content with little memory."""
        return self.sockets >= _MANY

    def weigh(self, more: int) -> None:
        """Somebody holds ``more`` bytes, or less if negative."""
        self.held += more
        if more < 0 and self._starved:
            self._feed()

    def may_grow(self, socket: WebSocket) -> bool:
        """Whether ``socket`` may read on in its message; if not, its ``feed()`` is called when it may."""
        if self.held <= self.most or self.favoured is socket:
            return True
        if self.favoured is None:
            self.favoured = socket
            return True
        self._starved.append(socket)
        return False

    def has_starved(self) -> bool:
        """Whether somebody waits for room."""
        return len(self._starved) > 0

    def done(self, socket: WebSocket) -> None:
        """``socket`` has no message that grows any more."""
        if self.favoured is socket:
            self.favoured = None
            self._feed()

    def _feed(self) -> None:
        steps = max((self.most - self.held) // _STEP_BYTES, 1 if self.favoured is None else 0)
        while steps > 0 and self._starved:
            if self._starved.popleft().feed():
                steps -= 1
