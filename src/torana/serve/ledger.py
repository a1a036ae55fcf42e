"""What a worker writes down for its supervisor: that its loop turns, and which requests are in flight.

Into a piece of memory it is given (``base/board_row`` says how that is laid out), which others read at any moment: no
locks, one writer a word, and a reader who comes amid a change sees a part of it. ``end`` may be called on a thread
under the interpreter's lock, or else the caller's. Never here: whose memory it is, what is concluded from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.base.board_row import (
    BEAT,
    BEGUN,
    CONNECTIONS,
    ENDED,
    FIRST_PLACE,
    HELD,
    MARK,
    MARKED,
    METHOD_BYTES,
    PLACE_WORDS,
    PLACES,
    QUEUE,
    ROW_BYTES,
    SINCE,
    STATE,
    TEXT,
    TEXT_BYTES,
)

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

if TYPE_CHECKING:
    from torana.wire.events import RequestHead


class Ledger:
    """One worker's row, which is all its own: ``row`` is writable, ``ROW_BYTES`` long, and zero where nobody wrote.

    Raises ``ValueError`` for any other memory.
    """

    def __init__(self, row: memoryview) -> None:
        if row.readonly or row.nbytes != ROW_BYTES or not row.c_contiguous:
            raise ValueError(f"a row is {ROW_BYTES} writable bytes")
        #: Keeps the memory where it is.
        self._row = row.cast("B")
        if not cython.compiled:
            self._words: Any = self._row.cast("Q")
            self._doubles = self._row.cast("d")
        else:
            self._words = _address_of(self._row)
        # The first places are taken first, so a reader of the memory finds something at the top.
        self._free = list(range(PLACES - 1, -1, -1))
        self._words[MARK] = MARKED

    def begin(self, head: RequestHead, now_s: float) -> int:
        """A request has begun at ``now_s`` (monotonic). Its place, for ``end``; -1 when all are taken."""
        words = self._words
        words[BEAT] += 1
        words[BEGUN] += 1
        free = self._free
        if not free:
            return -1
        place: int = free.pop()
        at = FIRST_PLACE + place * PLACE_WORDS
        if cython.compiled:
            _write_double(words + at + SINCE, now_s)
            size = _write_text(words + at + TEXT, TEXT_BYTES, METHOD_BYTES, head.method, head.raw_path)
        else:
            self._doubles[at + SINCE] = now_s
            text = (head.method[:METHOD_BYTES].encode() + b" " + head.raw_path)[:TEXT_BYTES]
            size = len(text)
            first = 8 * (at + TEXT)
            self._row[first : first + size] = text
        words[at + STATE] = 1 + size
        return place

    def end(self, place: int) -> None:
        """The request that was given ``place`` is over; on any thread, one at a time."""
        words = self._words
        words[ENDED] += 1
        if place >= 0:
            words[FIRST_PLACE + place * PLACE_WORDS + STATE] = 0
            self._free.append(place)

    def beat(self) -> None:
        """The loop has turned."""
        self._words[BEAT] += 1

    def note(self, queue: int, connections: int, held: int = 0) -> None:
        """About once a second: requests that wait for a thread, connections, and bytes held for clients."""
        words = self._words
        words[QUEUE] = queue
        words[CONNECTIONS] = connections
        words[HELD] = held
