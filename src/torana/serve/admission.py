"""How many connections a worker holds, and which go first when they grow too many (threat G-067)."""

from __future__ import annotations

import heapq
import resource
from typing import Protocol

#: Above this share of the cap, each new connection costs the longest idle one its place.
_CROWDED = 0.8
#: Surplus connections get a 503; beyond this share over the cap nobody is accepted until somebody leaves.
_SURPLUS = 1.1


def connection_cap(wanted: int) -> int:
    """Connections this process may hold: what was asked for, within the descriptors that it may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted or 10_000
    possible = max(16, int(soft * 0.8) if soft > 640 else soft - 64)
    return min(wanted, possible) if wanted else min(10_000, possible)


class Member(Protocol):
    """What a crowd asks of those in it."""

    def is_idle(self) -> bool:
        """Whether it serves nobody just now."""
        ...

    def is_fresh(self) -> bool:
        """Whether it was accepted and has not sent a byte."""
        ...

    def close_if_idle(self) -> bool:
        """Close if it serves nobody just now; whether it did."""
        ...

    def idle_until(self) -> float:
        """When it would be closed for being idle; monotonic seconds."""
        ...

    def stop(self) -> None:
        """The time for running requests is spent: end soon."""
        ...

    def kill(self) -> None:
        """End now."""
        ...


class Crowd:
    """All open connections of a worker."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.connections: set[Member] = set()

    def __len__(self) -> int:
        return len(self.connections)

    def joined(self, connection: Member) -> None:
        """A connection was accepted."""
        self.connections.add(connection)

    def left(self, connection: Member) -> None:
        """A connection is over."""
        self.connections.discard(connection)

    def is_over_cap(self) -> bool:
        """Whether a new connection is one too many, to be told so."""
        return len(self.connections) >= self.cap

    def is_shut(self) -> bool:
        """Whether there is no place even for those that would be told."""
        return len(self.connections) >= int(self.cap * _SURPLUS) + 1

    def make_room(self, count: int) -> None:
        """Close the ``count`` connections that have been idle longest, if the worker is crowded."""
        if len(self.connections) < self.cap * _CROWDED:
            return
        # The one that has been idle longest has the earliest deadline.
        idle = (connection for connection in self.connections if connection.is_idle())
        for connection in heapq.nsmallest(count, idle, key=_idle_until):
            connection.close_if_idle()


def _idle_until(connection: Member) -> float:
    return connection.idle_until()
