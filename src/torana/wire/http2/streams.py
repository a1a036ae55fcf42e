"""One stream of a connection, as the wire keeps it: its states, its windows, what waits to be sent on it.

Plain values; the storeys of the connection change them. Never here: bytes of frames, applications, what is legal.
RFC 9113 sections 5.1 and 5.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.wire.http2.states import OPEN, SILENT

if TYPE_CHECKING:
    from torana.wire.events import Fields
    from torana.wire.http2.windows import InWindow

#: A stream whose queue is longer takes no more (``is_full``), until it is shorter than the low-water mark.
HIGH_WATER = 64 * 1024
LOW_WATER = 32 * 1024

#: Urgency of a request that says nothing (RFC 9218 section 4.1); 0 comes first, 7 last.
USUAL_URGENCY = 3

# Compiled, the names above are C variables (streams.pxd); this keeps them importable from Python.
globals().update(HIGH_WATER=HIGH_WATER, LOW_WATER=LOW_WATER, USUAL_URGENCY=USUAL_URGENCY)


class StreamState:
    """One stream. For others to use: ``id``, ``owner`` (theirs), ``waiting``, ``is_full``, ``sent``, ``is_sent``."""

    def __init__(self) -> None:
        self.begin(0, OPEN, -1, 0)

    def begin(self, number: int, state: int, declared: int, window: int) -> int:
        """Become stream ``number``, just opened: a body of ``declared`` bytes (-1: unknown) and our ``window``."""
        self.id = number
        #: Whoever answers; None until set by them.
        self.owner: Any = None
        #: See ``states``: of the stream, and of its answer.
        self.state = state
        self.sending = SILENT
        #: It occupies one of the connection's slots.
        self.has_slot = False
        #: Its application has ended, or it never had one: no event follows.
        self.is_finished = False
        #: Not even Ended is given: the head said that there is no body, only END_STREAM came later.
        self.is_quiet = declared == 0

        #: Bytes of body declared and received.
        self.declared = declared
        self.received = 0
        #: What the client may send; None before it sent any.
        self.incoming: InWindow | None = None
        #: Bytes received and not consumed that the connection's window does not count any more.
        self.ahead = 0
        #: What its small frames have cost of the budget.
        self.small = 0.0

        #: What we may send; negative after the client lowered its setting (section 6.9.2).
        self.window = window
        #: Bytes of body put into the output so far.
        self.sent = 0
        #: Bytes of body that wait, in ``pieces``; of the first one ``offset`` bytes are gone.
        self.waiting = 0
        self.pieces: list[bytes] | None = None
        self.first = 0
        self.offset = 0
        #: The queue has grown past its high-water mark; Drained will tell when it takes more.
        self.is_full = False
        #: Trailer fields that end the message behind what waits.
        self.trailers: Fields | None = None
        #: The whole answer, its end included, is in the output.
        self.is_sent = False

        #: Order among the streams that have something to send.
        self.urgency = USUAL_URGENCY
        self.is_incremental = True
        self.is_queued = False
        return 0

    def push(self, data: bytes) -> int:
        """Queue body data."""
        if self.pieces is None:
            self.pieces = []
            self.first = 0
            self.offset = 0
        self.pieces.append(data)
        self.waiting += len(data)
        if self.waiting > HIGH_WATER:
            self.is_full = True
        return 0

    def drop(self) -> int:
        """Forget what waits."""
        self.pieces = None
        self.waiting = 0
        self.trailers = None
        self.is_full = False
        return 0

    def pop(self, parts: list[Any], count: int) -> int:
        """Move the next ``count`` bytes (of those that wait) to ``parts``; whole pieces as they are, no copy."""
        pieces = self.pieces
        assert pieces is not None
        self.waiting -= count
        self.sent += count
        while count:
            piece = pieces[self.first]
            left = len(piece) - self.offset
            if left > count:
                parts.append(memoryview(piece)[self.offset : self.offset + count])
                self.offset += count
                return 0
            parts.append(memoryview(piece)[self.offset :] if self.offset else piece)
            pieces[self.first] = b""
            count -= left
            self.offset = 0
            self.first += 1
        if self.first == len(pieces):
            self.pieces = None
        elif self.first >= 64:
            del pieces[: self.first]
            self.first = 0
        return 0


def new_stream(number: int, state: int, declared: int, window: int) -> StreamState:
    """A stream, without the cost of a call through the type."""
    made = StreamState.__new__(StreamState)
    made.begin(number, state, declared, window)
    return made
