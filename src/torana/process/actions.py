"""What the plan may order: values that the supervisor carries out and the fleet then notes.

``why`` is for the log, a word or a sentence. Never here: how any of it is done.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct


class Spawn(Struct, frozen=True):
    """Make a worker; noted by ``note_spawned`` or ``note_spawn_failed``, not as an action."""

    slot: int
    generation: int
    #: The worker it takes over from, which serves on until the new one is ready.
    replaces: int | None
    why: str = ""


class Retire(Struct, frozen=True):
    """Tell a worker to take no more connections, finish what it has, and end; ``with_all``: as all do."""

    pid: int
    why: str = ""
    with_all: bool = False


class Stop(Struct, frozen=True):
    """Tell a worker to end within the time of a graceful stop. One that is still starting must hear it too."""

    pid: int
    why: str = ""


class Abort(Struct, frozen=True):
    """Tell a worker to end at once."""

    pid: int


class Dump(Struct, frozen=True):
    """Have a worker log its stacks and the requests in flight."""

    pid: int
    why: str = ""


class Kill(Struct, frozen=True):
    """Send a signal: SIGABRT or SIGKILL."""

    pid: int
    signal: int
    why: str = ""


class Adopt(Struct, frozen=True):
    """Have these workers also accept what waits in a slot that nobody looks after."""

    slot: int
    pids: tuple[int, ...]


class Release(Struct, frozen=True):
    """Have these workers leave a slot to its own worker again."""

    slot: int
    pids: tuple[int, ...]


class CompleteReload(Struct, frozen=True):
    """Every worker is of the new generation: whoever asked for the reload gets his answer."""

    generation: int


class AbandonReload(Struct, frozen=True):
    """The new generation does not work: the old one stays, and whoever asked is told why."""

    generation: int
    reason: str


class GiveUp(Struct, frozen=True):
    """The application cannot be served: say why, once. The workers are ended next, and ``Finish`` follows."""

    code: int
    reason: str


class Finish(Struct, frozen=True):
    """Nothing is left to look after: end with this exit code."""

    code: int


Action: TypeAlias = (
    Spawn | Retire | Stop | Abort | Dump | Kill | Adopt | Release | CompleteReload | AbandonReload | GiveUp | Finish
)
