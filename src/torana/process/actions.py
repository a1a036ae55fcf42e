"""What the plan may order: values that the supervisor carries out and the fleet then notes.

``why`` is for the log, a word or a sentence. Never here: how any of it is done.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Spawn:
    """Make a worker; noted by ``note_spawned`` or ``note_spawn_failed``, not as an action."""

    slot: int
    generation: int
    #: The worker it takes over from, which serves on until the new one is ready.
    replaces: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Retire:
    """Tell a worker to take no more connections, finish what it has, and end."""

    pid: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Tell a worker to end within the time of a graceful stop. One that is still starting must hear it too."""

    pid: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """Tell a worker to end at once."""

    pid: int


@dataclass(frozen=True, slots=True)
class Dump:
    """Have a worker log its stacks and the requests in flight."""

    pid: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Kill:
    """Send a signal: SIGABRT or SIGKILL."""

    pid: int
    signal: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Have these workers also accept what waits in a slot that nobody looks after."""

    slot: int
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """Have these workers leave a slot to its own worker again."""

    slot: int
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompleteReload:
    """Every worker is of the new generation: whoever asked for the reload gets his answer."""

    generation: int


@dataclass(frozen=True, slots=True)
class AbandonReload:
    """The new generation does not work: the old one stays, and whoever asked is told why."""

    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The application cannot be served: say why, once. The workers are ended next, and ``Finish`` follows."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to look after: end with this exit code."""

    code: int


Action: TypeAlias = (
    Spawn | Retire | Stop | Abort | Dump | Kill | Adopt | Release | CompleteReload | AbandonReload | GiveUp | Finish
)
