"""Whether a worker hangs, from what its row of the board said at one look after the other. Pure: no clock, no I/O.

A worker hangs only when work waits for it and nothing moves: its loop does not turn and no request ends, on whatever
thread. A long computation that holds the interpreter's lock while nobody waits is no hang; neither is a long request
beside a loop that turns. Never here: what is done about it (``plan``), reading the board.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

#: Without a turn of the loop for so long, and somebody waiting to be accepted, siblings take over the queue.
STALL_S = 1.5
#: More time than this between two looks, and it was us (or the whole machine) who stood still: the worker may have
#: had no turn either.
PAUSE_S = 3.0


class Progress(Protocol):
    """What is asked of a ``board.Reading``."""

    @property
    def is_open(self) -> bool: ...
    @property
    def beat(self) -> int: ...
    @property
    def ended(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def in_flight(self) -> int: ...


class Verdict(Struct, frozen=True):
    """What one look showed."""

    #: Nothing has moved for as long as is allowed while work waited.
    is_hung: bool = False
    #: Siblings should serve its queue of connections; stays so until its loop turns again.
    is_stalled: bool = False
    #: How long nothing has moved, and how long of that work has waited; seconds.
    still_s: float = 0.0
    waited_s: float = 0.0
    #: What waited at the last look, as words: "3 connections, 2 requests in flight".
    waiting: str = ""

    def describe(self) -> str:
        """The verdict as a sentence; "" when there is nothing to say."""
        if not self.is_hung and not self.is_stalled:
            return ""
        waiting = f" while work waited for {self.waited_s:.0f} s" if self.waited_s else ""
        last = f" (at last {self.waiting})" if self.waiting else ""
        return f"nothing has moved for {self.still_s:.0f} s{waiting}{last}"


class Health:
    """Judges one worker from the moment it was ready; to be asked about once a second or more often.

    ``hang_s`` 0 means that it is never found hung. What came before readiness is start-up, not run time.
    """

    def __init__(self, hang_s: float, now_s: float) -> None:
        self._hang_s = hang_s
        self._looked_s = now_s
        self._beat: int | None = None
        self._ended = 0
        self._moved_s = self._turned_s = now_s
        # Since when anything has waited, in this period without a move; latched, because what waits may go elsewhere
        # (siblings empty the queue, clients give up) and the worker is none the better for it.
        self._waited_since: float | None = None
        self._is_stalled = False

    def look(self, now_s: float, reading: Progress, queue_length: int) -> Verdict:
        """Judge by what the row says now and by how many connections wait to be accepted by this worker."""
        was_paused = now_s - self._looked_s > PAUSE_S
        self._looked_s = now_s
        if not reading.is_open:
            self._grant(now_s)
            return Verdict()
        self._note_moves(now_s, reading)
        if was_paused:
            self._grant(now_s)
        waiting = _waiting(reading, queue_length)
        if waiting and self._waited_since is None:
            self._waited_since = now_s
        if queue_length > 0 and now_s - self._turned_s >= STALL_S:
            self._is_stalled = True
        return self._verdict(now_s, waiting)

    def _note_moves(self, now_s: float, reading: Progress) -> None:
        has_turned = reading.beat != self._beat
        if has_turned:
            self._turned_s = now_s
            self._is_stalled = False
        if has_turned or reading.ended != self._ended:
            self._moved_s = now_s
            self._waited_since = None
        self._beat, self._ended = reading.beat, reading.ended

    def _grant(self, now_s: float) -> None:
        """A new period begins; what was latched as waiting goes on waiting in it."""
        self._moved_s = self._turned_s = now_s
        if self._waited_since is not None:
            self._waited_since = now_s

    def _verdict(self, now_s: float, waiting: str) -> Verdict:
        waited_s = 0.0 if self._waited_since is None else now_s - self._waited_since
        # Nothing has moved since before the waiting began, so this is the shorter of the two times.
        is_hung = self._hang_s > 0 and self._waited_since is not None and waited_s >= self._hang_s
        return Verdict(is_hung, self._is_stalled, now_s - self._moved_s, waited_s, waiting)


def _waiting(reading: Progress, queue_length: int) -> str:
    """What waits, as words. One request in flight may be the very one that computes; a second one waits for it."""
    parts = []
    if queue_length > 0:
        parts.append(f"{queue_length} to be accepted")
    if reading.in_flight > 1:
        parts.append(f"{reading.in_flight} requests in flight")
    if reading.queue > 0:
        parts.append(f"{reading.queue} requests without a thread")
    return ", ".join(parts)
