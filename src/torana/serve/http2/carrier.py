"""An HTTP/2 stream after an extended CONNECT: its DATA carry somebody's bytes both ways (RFC 8441 section 5).

END_STREAM is an orderly end, RST_STREAM(CANCEL) a broken one. Flow control takes the place of the pause of a socket:
what comes while the speaker does not read is kept, and is never more than the stream's window. Never here: what the
bytes mean (the speaker), how the upgrade was asked for.
"""

from __future__ import annotations

from typing import Any

from torana.exchange.carrier import Carrier, Speaker
from torana.serve.http2.answering import Answering
from torana.wire.http2.errors import CANCEL

_MOST_PIECES = 64


class StreamCarrier(Carrier):
    """Made when the stream is answered 200."""

    def __init__(self, stream: Answering, speaker: Speaker) -> None:
        self.stream = stream
        self.speaker = speaker
        self._is_reading = True
        #: What came before the upgrade was handed on.
        self._is_begun = False
        #: The speaker wants to go on in the loop's next turn.
        self._is_called_back = False
        #: Came while nobody read.
        self._kept: list[bytes] = []
        #: The speaker hears no more.
        self._is_over = False
        self._is_told = False
        #: When the speaker wants to be looked at.
        self._look_at = 0.0

    # Told by the stream

    def received(self, data: bytes) -> None:
        """DATA have come."""
        if self._is_over:
            self.stream.discard(len(data))
        elif self._is_reading and self._is_begun and not self._kept:
            self.stream.acknowledge()
            self.speaker.received(data)
        else:
            self._kept.append(data)
            if len(self._kept) >= _MOST_PIECES:
                # Not an object for each byte of a client that sends single ones (threat G-048).
                self._kept = [b"".join(self._kept)]

    def hand_on(self) -> None:
        """Hand on what has come before anybody read, and an end that came behind it."""
        if self._is_called_back:
            self._is_called_back = False
            if not self._is_over:
                self.speaker.go_on()
        request = self.stream.request
        if not self._is_begun:
            self._is_begun = True
            if request is not None and request.buffered:
                self._kept.insert(0, request.take())
        while self._kept and self._is_reading and not self._is_over:
            self.speaker.received(self._kept.pop(0))
        if not self._kept or self._is_over:
            if self.stream.unacknowledged:
                self.stream.acknowledge()
            if request is not None and request.is_ended:
                self.lost()

    def ended(self) -> None:
        """The client ends its half: after what it has said, nothing more is to be expected."""
        if self._is_begun and not self._kept:
            self.lost()

    def lost(self) -> None:
        """The stream is over."""
        self._kept.clear()
        if not self._is_over:
            self._is_over = True
            self.speaker.lost()
        if not self.stream.is_dead and not self.stream.is_answered:
            self.stream.finish()
        self.settled()

    def drained(self) -> None:
        """There is room again for more."""
        if not self._is_over:
            self.speaker.drained()

    def look(self, now: float) -> None:
        """About once a second."""
        if self._look_at and self._look_at <= now:
            self._look_at = 0.0
            self.speaker.expired(now)

    def retire(self) -> None:
        """The server stops or retires: whoever speaks is told so, once; he ends in his own way."""
        if not self._is_told and not self._is_over:
            self._is_told = True
            self.speaker.stop()

    def stop(self) -> None:
        """The time for that is spent."""
        self.retire()
        if not self.speaker.is_over():
            self.speaker.stop()

    # Told by the speaker

    def post(self, data: bytes) -> None:
        self.stream.write(data, False)

    def write(self, head: bytes, data: Any) -> None:
        if head:
            self.stream.hold(head)
        self.stream.write(data, False)

    def is_full(self) -> bool:
        return self.stream.state.is_full

    def set_reading(self, is_reading: bool) -> None:
        self._is_reading = is_reading
        if is_reading and (self._kept or self.stream.unacknowledged):
            # Not at once: the speaker is in the midst of something.
            self.stream.session.post(self.stream)

    def come_back(self) -> None:
        if not self._is_called_back:
            self._is_called_back = True
            self.stream.session.post_last(self.stream)

    def set_deadline(self, at: float) -> None:
        self._look_at = at

    def finish(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.stream.finish()
            self.settled()

    def cut(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.stream.cut(CANCEL)
            self.settled()

    def settled(self) -> None:
        stream = self.stream
        if self._is_over and self.speaker.is_over() and stream.request is not None:
            stream.account.end(200, stream.request, stream.response, stream.response.sent)
            stream.has_ended = True
            stream.settle()
