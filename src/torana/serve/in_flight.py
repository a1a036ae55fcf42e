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
        self._starved: deque[WebSocket] = deque()

    def is_crowded(self) -> bool:
        """Whether new ones should be content with little memory."""
        return self.sockets >= _MANY

    def weigh(self, more: int) -> bool:
        """Somebody holds ``more`` bytes (or less, if negative); whether there is room for all that is held."""
        self.held += more
        if more < 0 and self._starved:
            self._feed()
        return self.held <= self.most

    def starve(self, socket: WebSocket) -> None:
        """Call ``socket.feed()`` when there may be room again."""
        self._starved.append(socket)

    def _feed(self) -> None:
        steps = (self.most - self.held) // _STEP_BYTES
        while steps > 0 and self._starved:
            steps -= 1
            self._starved.popleft().feed()
