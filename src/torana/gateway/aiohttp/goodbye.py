"""The one frame that is made up here: a client's goodbye, for a WebSocket handler that is to end with the server.

A handler knows no stop of the server, unless its application tells it; but it knows clients that go away, and answers
them in order. So that the frame does not fall into the midst of another, the client's are counted as they pass.
Never here: what frames say; they are not looked at. RFC 6455 section 5.2.
"""

from __future__ import annotations

_CLOSE = 0x88
_MASKED = 0x80
#: Most bytes of a frame's head.
_HEAD_BYTES = 14


class Frames:
    """Where the frames of one side end."""

    def __init__(self) -> None:
        #: Bytes of the present frame that are still to come, once its head is known.
        self._left = 0
        self._head = b""

    def is_between(self) -> bool:
        """Whether what has passed ends with a whole frame."""
        return self._left == 0 and not self._head

    def count(self, data: bytes) -> None:
        """Bytes have passed."""
        size = len(data)
        at = 0
        while at < size:
            if self._left:
                step = min(self._left, size - at)
                self._left -= step
                at += step
                continue
            head = self._head + data[at : at + _HEAD_BYTES - len(self._head)]
            needs = _head_bytes(head)
            if len(head) < needs:
                self._head = head
                return
            at += needs - len(self._head)
            self._head = b""
            self._left = _payload_bytes(head)


def _head_bytes(head: bytes) -> int:
    """How long the head of a frame is, as far as its first bytes tell."""
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    return 2 + (8 if length == 127 else 2 if length == 126 else 0) + (4 if head[1] & _MASKED else 0)


def _payload_bytes(head: bytes) -> int:
    length = head[1] & 0x7F
    if length < 126:
        return length
    return int.from_bytes(head[2:4] if length == 126 else head[2:10], "big")


def goodbye(code: int) -> bytes:
    """A client's close frame; masked with zeros, which changes nothing."""
    return bytes((_CLOSE, _MASKED | 2)) + b"\0\0\0\0" + code.to_bytes(2, "big")
