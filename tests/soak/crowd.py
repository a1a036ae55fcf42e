"""The crowd: so many clients of each kind at each server, each doing one visit after another until the load is off.

Lives here: the loops, their pauses, and how what a visit ended with is entered in the ledger. Never here: a visit.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.soak.client import Over, Place
from tests.soak.ledger import Explained, Ledger

#: A visit that takes longer has failed; the longest wait of a client of good will is some seconds.
PATIENCE_S = 60.0
#: Who waits to be cut by a server: its longest limit of time is 75 s.
LONG_PATIENCE_S = 120.0
#: From the end of the load until visits that are not over are broken off.
GOODBYE_S = 5.0


class World:
    """One client's view: the server, its chance, and whether it is time to go."""

    def __init__(self, place: Place, ledger: Ledger, kind: str, chance: random.Random, crowd: Crowd) -> None:
        self.place = place
        self.kind = kind
        #: What it is at, for who wants to know why it takes so long.
        self.doing = ""
        self.chance = chance
        self._ledger = ledger
        self._crowd = crowd

    @property
    def is_over(self) -> bool:
        """No new requests."""
        return self._crowd.is_over.is_set()

    def number(self) -> int:
        """Never the same twice."""
        return next(self._crowd.numbers)

    def done(self, count: int = 1) -> None:
        """An answer was right."""
        self._ledger.note_done(self.kind, count)

    def explained(self, what: str) -> None:
        """A fault that is the client's own."""
        self._ledger.note_explained(self.kind, what)

    async def pause(self, mean_s: float) -> None:
        """By chance; not once it is over."""
        try:
            async with asyncio.timeout(self.chance.expovariate(1 / mean_s) / self._crowd.speed):
                await self._crowd.is_over.wait()
        except TimeoutError:
            pass


@dataclass(frozen=True)
class Role:
    """A kind of client: how many at one server, how long between two visits on average, and what a visit is."""

    kind: str
    count: int
    pause_s: float
    visit: Callable[[World], Awaitable[None]]
    patience_s: float = PATIENCE_S
    #: Only where there is TLS.
    is_for_tls: bool = False


class Crowd:
    """All clients of all servers. ``speed`` divides every pause."""

    def __init__(self, places: list[Place], roles: list[Role], ledger: Ledger, seed: int, speed: float) -> None:
        self.is_over = asyncio.Event()
        self.numbers = itertools.count(1)
        self.speed = speed
        self._ledger = ledger
        chance = random.Random(seed)
        self._members = [
            (role, World(place, ledger, role.kind, random.Random(chance.random()), self))
            for place in places
            for role in roles
            if not role.is_for_tls or place.tls is not None
            for _ in range(role.count)
        ]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Load on."""
        self.is_over.clear()
        self._tasks = [asyncio.create_task(self._live(role, world)) for role, world in self._members]

    async def stop(self) -> None:
        """Load off: no new requests; who waits for long leaves."""
        self.is_over.set()
        _, waiting = await asyncio.wait(self._tasks, timeout=GOODBYE_S)
        for task in waiting:
            task.cancel()
        for task, result in zip(self._tasks, await asyncio.gather(*self._tasks, return_exceptions=True), strict=True):
            if isinstance(result, BaseException) and not task.cancelled():
                raise result
        self._tasks = []

    async def _live(self, role: Role, world: World) -> None:
        await world.pause(role.pause_s + 1)
        while not self.is_over.is_set():
            await self._visit(role, world)
            await world.pause(role.pause_s)

    async def _visit(self, role: Role, world: World) -> None:
        where = f"{role.kind} at {world.place.name}"
        world.doing = ""
        try:
            async with asyncio.timeout(role.patience_s):
                await role.visit(world)
        except Explained as explained:
            world.explained(str(explained))
        except TimeoutError:
            self._ledger.note_unexplained(where, f"not over within {role.patience_s} s: {world.doing}")
        except (Over, OSError, ssl.SSLError, EOFError) as error:
            self._ledger.note_unexplained(where, f"{type(error).__name__}: {error}")
        except Exception as error:
            trace = error.__traceback__
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            line = trace.tb_lineno if trace is not None else 0
            self._ledger.note_unexplained(where, f"{type(error).__name__}: {error} (line {line})")
