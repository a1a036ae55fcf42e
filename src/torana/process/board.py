"""The board: memory that the supervisor shares with its workers, a row for each; what a worker writes into its own
tells whether it moves, and what it was doing when it died.

Made before the workers are forked. Nobody locks: a worker that is killed amid a change leaves nothing locked, and what
is read may be torn, which a log line and a comparison of counters can bear. Never here: what follows from a reading
(``health``), what writes (``serve/ledger``).
"""

from __future__ import annotations

import contextlib
import mmap
import time

from msgspec import Struct

from torana.base import board_row as at

_MASK = (1 << 64) - 1


class InFlight(Struct, frozen=True):
    """A request that had begun and was not over."""

    #: "METHOD /path" without the query, printable, cut.
    text: str
    age_s: float

    def __str__(self) -> str:
        return f"{self.text} ({self.age_s:.1f} s)"


class Reading(Struct, frozen=True):
    """One row as it was at one moment. Counters only grow, and wrap at 2**64."""

    #: Whether the worker had begun to serve; all else is empty before that.
    is_open: bool = False
    #: Grows at least about once a second while the worker's loop turns.
    beat: int = 0
    #: Requests begun and over, in all.
    served: int = 0
    ended: int = 0
    #: Requests that wait for a thread, and connections: as the loop saw them last, about once a second.
    queue: int = 0
    connections: int = 0
    #: Bytes held for clients, as the loop counted them last.
    held_bytes: int = 0
    #: The oldest first; of more than 24 at a time, the later ones are only counted.
    requests: tuple[InFlight, ...] = ()

    @property
    def in_flight(self) -> int:
        """Requests begun and not over."""
        count = (self.served - self.ended) & _MASK
        # A torn pair of counters would say nearly 2**64.
        return count if count < 1 << 63 else 0

    def describe(self) -> str:
        """The requests in flight as a line for the log; "" when there is none."""
        if not self.in_flight:
            return ""
        shown = ", ".join(map(str, self.requests))
        unseen = self.in_flight - len(self.requests)
        more = f", and {unseen} more" if unseen > 0 and shown else ""
        return f"{self.in_flight} in flight: {shown}{more}" if shown else f"{self.in_flight} in flight"


class Board:
    """``rows`` rows of shared memory, all zero; raises ``OSError`` when the system gives none."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._memory = mmap.mmap(-1, max(1, rows) * at.ROW_BYTES)

    def __len__(self) -> int:
        return self._rows

    def row(self, index: int) -> memoryview:
        """A worker's own row, to be written by it alone."""
        if not 0 <= index < self._rows:
            raise IndexError(f"no row {index} of {self._rows}")
        return memoryview(self._memory)[index * at.ROW_BYTES : (index + 1) * at.ROW_BYTES]

    def read(self, index: int, now_s: float | None = None) -> Reading:
        """What a row says; ``now_s`` is monotonic, the ages of requests are counted to it."""
        with self.row(index) as row:
            return read_row(row, now_s)

    def clear(self, index: int) -> None:
        """Make a row anew, when the worker that wrote it is gone."""
        with self.row(index) as row:
            row[:] = bytes(at.ROW_BYTES)

    def close(self) -> None:
        """Give the memory back; while somebody holds a row it stays."""
        with contextlib.suppress(BufferError):
            self._memory.close()


def read_row(row: memoryview, now_s: float | None = None) -> Reading:
    """What a row says; nothing of it is believed: text becomes printable, numbers are only numbers."""
    with row.cast("Q") as words:
        if words[at.MARK] != at.MARKED:
            return Reading()
        now = time.monotonic() if now_s is None else now_s
        requests = [
            found
            for place in range(at.PLACES)
            if (found := _read_place(row, words[at.FIRST_PLACE + place * at.PLACE_WORDS + at.STATE], place, now))
        ]
        requests.sort(key=_age, reverse=True)
        return Reading(
            is_open=True,
            beat=words[at.BEAT],
            # The end first: read the other way round, a request that begins and ends in between would be owed.
            ended=words[at.ENDED],
            served=words[at.BEGUN],
            queue=words[at.QUEUE],
            connections=words[at.CONNECTIONS],
            held_bytes=words[at.HELD],
            requests=tuple(requests),
        )


def _age(request: InFlight) -> float:
    return request.age_s


def _read_place(row: memoryview, state: int, place: int, now_s: float) -> InFlight | None:
    if state == 0:
        return None
    first = 8 * (at.FIRST_PLACE + place * at.PLACE_WORDS)
    with row[first + 8 * at.SINCE : first + 8 * at.SINCE + 8].cast("d") as since:
        age_s = now_s - since[0]
    if not 0.0 <= age_s < 1e9:
        # Begun after the clock was read, or torn.
        age_s = 0.0
    start = first + 8 * at.TEXT
    return InFlight(printable(row[start : start + min(state - 1, at.TEXT_BYTES)].tobytes()), age_s)


def printable(raw: bytes) -> str:
    """What a client sent, harmless in a log: printable ASCII stays, any other byte becomes "?"."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "?" for byte in raw)
