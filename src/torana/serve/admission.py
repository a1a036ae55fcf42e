"""How many connections a worker holds, and which go first when they grow too many (threat G-067)."""

from __future__ import annotations

import heapq
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.serve.connection import Connection

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


class Crowd:
    """All open connections of a worker."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.connections: set[Connection] = set()
        #: Told when a place becomes free while the door is closed.
        self.is_door_closed = False
        self.on_room: list[object] = []

    def __len__(self) -> int:
        return len(self.connections)

    def joined(self, connection: Connection) -> None:
        """A connection was accepted."""
        self.connections.add(connection)

    def left(self, connection: Connection) -> None:
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
        # The one that has been idle longest has the earliest deadline, or the earliest transport without one.
        idle = (connection for connection in self.connections if connection.is_idle())
        for connection in heapq.nsmallest(count, idle, key=_idle_since):
            connection.close_if_idle()


def _idle_since(connection: Connection) -> float:
    return connection.transport.deadline
