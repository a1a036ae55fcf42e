"""The memory that a worker holds for its clients, all of them together, and who has to go when it is too much.

Counted are bytes: bodies and messages that wait for the application, request bodies kept for it, large heads, answers
that their clients have yet to take. Each connection has its own bounds besides; this is the one over all (threats
G-060, G-066, G-069; invariant I3). Beyond three quarters of it nobody who holds much reads on, but for one; at the
bound itself those are closed who would go on holding for longest. Spools on disk have a bound of their own.
Never here: sockets, protocols, the clock, what is done to whoever has to go.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, Protocol

#: Who holds less is not counted: a small request costs one comparison.
FLOOR = 16 * 1024
#: A holder is counted anew when what it holds has changed by this much; in between the account may be off by it.
_STEP = 16 * 1024
#: What one that reads on may add before it is looked at again.
_READ_STEP = 256 * 1024
#: Beyond so many WebSockets, compression keeps no state between messages.
_MANY_SOCKETS = 1000
#: The bound where nobody knows how much memory there is.
USUAL_BYTES = 512 * 1024 * 1024
#: So long somebody may wait for room before somebody else is closed for it, or one that may read on stays the one.
_PATIENCE_S = 5.0
#: What goes on more slowly than this, in bytes per second, counts as going on so.
_LEAST_RATE = 512.0
#: Why somebody was closed, for the log and the counters; the setting is ``limit_memory``.
TOO_MUCH = "too much memory held for all clients together"
#: Larger than any memory.
_NO_BOUND = 1 << 62


class Holder(Protocol):
    """What the account asks of those who hold memory. Called on the loop's thread, also while somebody else writes:
    no application may be called within these.
    """

    #: It waits for ``feed``.
    is_starved: bool

    def holding(self) -> int:
        """Bytes held now."""
        ...

    def moved(self) -> int:
        """How much of what it held has gone on its way so far, in bytes; may begin anew at any time."""
        ...

    def feed(self) -> bool:
        """There may be room again; False when that is not waited for any more."""
        ...

    def shed(self) -> bool:
        """Let go of what is held by closing, at once or soon, and note why; False when that cannot be done."""
        ...


class Share:
    """What one holder is counted with."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner
        self.held = 0
        #: It is being closed and does not count any more.
        self.is_shed = False
        #: How much had gone on when that was looked at last (0.0: never), and how fast it goes; -1: not known.
        self.moved = 0
        self.seen_s = 0.0
        self.rate = -1.0

    def burden(self) -> float:
        """For about how many seconds it will go on holding; a holder that is new is hoped to be quick."""
        if self.rate < 0.0:
            return 1.0
        return self.held / (self.rate if self.rate > _LEAST_RATE else _LEAST_RATE)


class Memory:
    """The account of one worker. ``limit`` and ``spool_limit`` (bytes of disk) 0: ``USUAL_BYTES``, and no bound.

    All but ``spool`` is for the loop's thread.
    """

    def __init__(self, limit: int = 0, spool_limit: int = 0) -> None:
        #: What is held never exceeds this for longer than it takes to close somebody.
        self.limit = limit or USUAL_BYTES
        #: Beyond this nobody who holds much reads on.
        self.most = self.limit // 4 * 3
        self.held = 0
        #: More than ``most`` is held: who can do with less, should.
        self.is_tight = False
        #: Holders that were closed.
        self.shed = 0
        #: Open WebSockets.
        self.sockets = 0
        #: The one that may read on in spite of it, so that somebody gets done.
        self.favoured: Any = None
        #: Bytes of request bodies on disk.
        self.spooled = 0
        self.spool_limit = spool_limit or _NO_BOUND
        self._shares: set[Share] = set()
        self._starved: deque[Any] = deque()
        # The next look at who holds what, when so much is held.
        self._look_at = self.limit // 16 * 15
        self._tight_since = 0.0
        self._favoured_since = 0.0
        self._lock = threading.Lock()

    def weigh(self, share: Share | None, owner: Any, held: int) -> Share | None:
        """``owner``, who has ``share`` (None: none yet), holds ``held`` bytes now; returns the share it has then."""
        if held < FLOOR:
            if share is not None:
                self.drop(share)
            return None
        if share is None:
            share = Share(owner)
            self._shares.add(share)
        more = held - share.held
        if more >= _STEP or more <= -_STEP:
            share.held = held
            if not share.is_shed:
                self._change(more)
        return share

    def drop(self, share: Share) -> None:
        """Nothing is held any more."""
        self._shares.discard(share)
        held = 0 if share.is_shed else share.held
        share.held = 0
        if self.favoured is share.owner:
            self.favoured = None
        self._change(-held)

    def is_crowded(self) -> bool:
        """Whether new WebSockets should be content with little memory."""
        return self.sockets >= _MANY_SOCKETS

    # Who may read on

    def may_grow(self, owner: Any) -> bool:
        """Whether ``owner``, who holds much, may read on; if not, its ``feed()`` is called when it may."""
        if self.held <= self.most or self.favoured is owner:
            return True
        if self.favoured is None:
            self.favoured = owner
            self._favoured_since = 0.0
            return True
        self._starved.append(owner)
        return False

    def has_starved(self) -> bool:
        """Whether somebody waits for room."""
        return len(self._starved) > 0

    def done(self, owner: Any) -> None:
        """``owner`` does not grow any more."""
        if self.favoured is owner:
            self.favoured = None
            self._feed()

    def _feed(self) -> None:
        steps = max((self.most - self.held) // _READ_STEP, 1 if self.favoured is None else 0)
        starved = self._starved
        while steps > 0 and starved:
            if starved.popleft().feed():
                steps -= 1

    # The bound

    def _change(self, more: int) -> None:
        self.held += more
        self.is_tight = self.held > self.most
        if more > 0:
            if self.held > self._look_at:
                self._reclaim()
            return
        if not self.is_tight:
            self._look_at = self.limit // 16 * 15
        if self._starved:
            self._feed()

    def _reclaim(self) -> None:
        """The bound is reached: look who really holds what, and close some."""
        self._count()
        if self.held > self.limit // 16 * 15:
            self._close_until(self.limit // 8 * 7)
        # Not again before there is something new to find.
        self._look_at = max(self.limit // 16 * 15, self.held + self.limit // 16)
        self.is_tight = self.held > self.most

    def _count(self) -> None:
        """Have the account right: some of what is told is old."""
        held = 0
        for share in self._shares:
            share.held = share.owner.holding()
            if not share.is_shed:
                held += share.held
        self.held = held

    def _close_until(self, held: int) -> None:
        """Close those who would hold on for longest until no more than ``held`` is held."""
        shares = [share for share in self._shares if not share.is_shed]
        shares.sort(key=_rank, reverse=True)
        for share in shares:
            if self.held <= held:
                return
            if share.owner is self.favoured and share.held < self.limit // 2:
                continue
            if share.owner.shed():
                share.is_shed = True
                self.shed += 1
                self.held -= share.held

    def look(self, now_s: float) -> None:
        """About once a second (monotonic seconds): see how fast what is held goes on, and be impatient."""
        if self.held <= self.limit // 2 and not self._starved:
            self._tight_since = 0.0
            return
        for share in self._shares:
            _observe(share, now_s)
        self._count()
        self.is_tight = self.held > self.most
        self._starved = deque([owner for owner in self._starved if owner.is_starved])
        if not self._starved or not self.is_tight:
            self._tight_since = self._favoured_since = 0.0
            self._feed()
            return
        if self._tight_since == 0.0:
            self._tight_since = now_s
        elif now_s - self._tight_since >= _PATIENCE_S:
            # The others hold it without end, and somebody waits for it.
            self._close_until(self.held - 1)
            self.is_tight = self.held > self.most
        if self.favoured is not None:
            if self._favoured_since == 0.0:
                self._favoured_since = now_s
            elif now_s - self._favoured_since >= _PATIENCE_S:
                # Its turn is over.
                self.favoured = None
        self._feed()

    # On disk

    def spool(self, more: int) -> bool:
        """Put ``more`` bytes of a request body on disk, or give them back if negative; False: there is no room.

        On any thread.
        """
        with self._lock:
            if more > 0 and self.spooled + more > self.spool_limit:
                return False
            self.spooled += more
            return True


def _rank(share: Share) -> tuple[float, int]:
    return share.burden(), share.held


def _observe(share: Share, now_s: float) -> None:
    moved = share.owner.moved()
    elapsed = now_s - share.seen_s
    if share.seen_s and elapsed > 0.0:
        share.rate = (moved - share.moved) / elapsed if moved >= share.moved else -1.0
    share.moved = moved
    share.seen_s = now_s


# Compiled, the name above is a C variable (memory.pxd); this keeps it importable from Python.
globals().update(FLOOR=FLOOR)
