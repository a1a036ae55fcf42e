"""What may become of a worker, and of the whole fleet: two tables, which all others ask.

    worker   STARTING ──ready──> READY ──retire──> RETIRING ──stop──> STOPPING ──> GONE
             each may skip ahead (a crash is a step to GONE), none goes back

    fleet    RUNNING <──pause, reload──> PAUSED;  both ──> HANDED_OVER ──> STOPPING ──> ABORTING

A RETIRING worker is healthy: it takes no new connection and finishes what it has, while another already serves.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a worker is in its life."""

    #: It loads the application; nobody knows yet whether that will work.
    STARTING = "starting"
    #: It takes connections.
    READY = "ready"
    #: It takes no more connections; streams may go on for long.
    RETIRING = "retiring"
    #: It was told to end within the time of a graceful stop, or its end has begun otherwise.
    STOPPING = "stopping"
    #: The process is no more.
    GONE = "gone"


class Mode(Enum):
    """What the server as a whole is about."""

    RUNNING = "running"
    #: No workers are wanted; the listeners stay open, so clients wait in the queue.
    PAUSED = "paused"
    #: Another program has the listeners; ours finish what they have.
    HANDED_OVER = "handed over"
    STOPPING = "stopping"
    ABORTING = "aborting"


_NEXT: dict[State, frozenset[State]] = {
    State.STARTING: frozenset({State.READY, State.STOPPING, State.GONE}),
    State.READY: frozenset({State.RETIRING, State.STOPPING, State.GONE}),
    State.RETIRING: frozenset({State.STOPPING, State.GONE}),
    State.STOPPING: frozenset({State.GONE}),
    State.GONE: frozenset(),
}

_NEXT_MODE: dict[Mode, frozenset[Mode]] = {
    Mode.RUNNING: frozenset({Mode.PAUSED, Mode.HANDED_OVER, Mode.STOPPING, Mode.ABORTING}),
    Mode.PAUSED: frozenset({Mode.RUNNING, Mode.HANDED_OVER, Mode.STOPPING, Mode.ABORTING}),
    Mode.HANDED_OVER: frozenset({Mode.STOPPING, Mode.ABORTING}),
    Mode.STOPPING: frozenset({Mode.ABORTING}),
    Mode.ABORTING: frozenset(),
}


def can_become(state: State, after: State) -> bool:
    """Whether a worker may go from ``state`` to ``after``."""
    return after in _NEXT[state]


def can_turn(mode: Mode, after: Mode) -> bool:
    """Whether the server may turn from ``mode`` to ``after``."""
    return after in _NEXT_MODE[mode]
