"""How many connections a worker holds, and which go first when they grow too many (threat G-067)."""

from __future__ import annotations

import heapq
import resource
import time
from collections.abc import Callable
from typing import Protocol

#: Above this share of the cap, each new connection costs the longest idle one its place.
_CROWDED = 0.8
#: Surplus connections get a 503; beyond this share over the cap nobody is accepted until somebody leaves.
_SURPLUS = 1.1
#: How long nobody is looked for after too few were found who may be closed; seconds.
_NOBODY_S = 0.02


def connection_cap(wanted: int) -> int:
    """Connections this process may hold: what was asked for, within the descriptors that it may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted or 10_000
    # What connections leave is for files, upstreams, logs, and for those that are told that there is no room.
    possible = max(16, min(int(soft * 0.8), soft - 64))
    return min(wanted, possible) if wanted else min(10_000, possible)


class Member(Protocol):
    """What a crowd asks of those in it."""

    def waiting_since(self, has_heads: bool) -> float:
        """Since when (monotonic seconds) it waits for its client and may be closed in favour of others; 0: it may not.

        ``has_heads``: there is no place left, so a request head that does not end counts as waiting too, and the young
        are less spared.
        """
        ...

    def evict(self) -> None:
        """Close to make room for others."""
        ...

    def close_if_idle(self, before: float) -> bool:
        """Close if it has only waited for its client since ``before`` (monotonic seconds); whether it did."""
        ...

    def doing(self) -> list[tuple[bool, str]]:
        """Why it is still open, for the log: (True, request under way) for each, or (False, phrase in the plural)."""
        ...

    def stop(self) -> None:
        """The time for running requests is spent: end soon."""
        ...

    def kill(self) -> None:
        """End now."""
        ...

    def forsake(self) -> None:
        """In a forked child: close the copy of the socket, which is the parent's, and tell nobody."""
        ...


class Crowd:
    """All open connections of a worker."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.connections: set[Member] = set()
        self._told: list[Callable[[], None]] = []
        self._nobody_until = 0.0

    def __len__(self) -> int:
        return len(self.connections)

    def joined(self, connection: Member) -> None:
        """A connection was accepted."""
        self.connections.add(connection)

    def left(self, connection: Member) -> None:
        """A connection is over."""
        self.connections.discard(connection)
        if self._told:
            told, self._told = self._told, []
            for tell in told:
                tell()

    def when_left(self, tell: Callable[[], None]) -> None:
        """Call ``tell`` once, when the next connection is over."""
        if tell not in self._told:
            self._told.append(tell)

    def is_over_cap(self) -> bool:
        """Whether a new connection is one too many, to be told so."""
        return len(self.connections) >= self.cap

    def is_shut(self) -> bool:
        """Whether there is no place even for those that would be told."""
        return len(self.connections) >= int(self.cap * _SURPLUS) + 1

    def make_room(self, count: int) -> None:
        """If the worker is crowded, close those that wait for their clients: ``count``, the longest waiting first.

        At the cap these are also connections whose request head does not end (G-064). To look at all of them costs
        as much for one as for a hundredth of the cap, so no fewer than that are closed.
        """
        held = len(self.connections)
        if held < self.cap * _CROWDED:
            return
        self.make_way(max(count, self.cap // 100), held + count > self.cap)

    def make_way(self, wanted: int, has_heads: bool = True) -> int:
        """Close so many of those that wait for their clients, the longest waiting first; how many there were.

        ``has_heads``: see ``Member.waiting_since``.
        """
        now = time.monotonic()
        if now < self._nobody_until:
            return 0
        waiting = [(connection.waiting_since(has_heads), id(connection), connection) for connection in self.connections]
        waiting = [entry for entry in waiting if entry[0]]
        for _, _, connection in heapq.nsmallest(wanted, waiting):
            connection.evict()
        if len(waiting) < wanted:
            self._nobody_until = now + _NOBODY_S
        return min(wanted, len(waiting))
