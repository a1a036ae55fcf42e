"""Who brings much is served after all others, for a moment in each turn, and nobody of them is left out."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from torana.net.clock import Clock
from torana.net.poller import READ, Poller, Watched
from torana.net.poller_fallback import LoopPoller, poller_class

#: Longer than those that bring much are served in one turn.
LONG_S = 0.01


class Bringer(Watched):
    """Notes when it is told, and reads all that there is unless it ``stays`` ready."""

    def __init__(self, name: str, sock: socket.socket, told: list[str], *, takes_s: float = 0.0, stays: bool = False):
        Watched.__init__(self, sock.fileno())
        self.name, self.sock, self.told = name, sock, told
        self.takes_s, self.stays = takes_s, stays
        self.expirations = 0
        self.is_bulky = name.startswith("much")

    def ready(self, events: int) -> None:
        self.told.append(self.name)
        self.deadline = 0.0
        if not self.stays:
            self.sock.recv(100)
        if self.takes_s:
            time.sleep(self.takes_s)

    def expired(self, now: float) -> None:
        self.expirations += 1
        self.deadline = 0.0


class Stage:
    """A poller, and what it watches by name."""

    def __init__(self, poller: Poller) -> None:
        self.poller = poller
        self.told: list[str] = []
        self.bringers: dict[str, Bringer] = {}
        self._far: dict[str, socket.socket] = {}

    def add(self, name: str, *, takes_s: float = 0.0, stays: bool = False) -> None:
        ours, theirs = socket.socketpair()
        self._far[name] = theirs
        self.bringers[name] = Bringer(name, ours, self.told, takes_s=takes_s, stays=stays)
        self.poller.watch(self.bringers[name], READ)

    def send(self, *names: str) -> None:
        for name in names:
            self._far[name].send(b"x")

    def turn(self) -> list[str]:
        """Who is told in the next turn."""
        self.told.clear()
        self.poller.turn()
        return list(self.told)

    def turns(self) -> list[str]:
        """Who is told in the next few: a slow machine needs more than one for a moment's work."""
        return [name for _ in range(8) for name in self.turn()]

    def close(self) -> None:
        for name, bringer in self.bringers.items():
            self.poller.forget(bringer)
            bringer.sock.close()
            self._far[name].close()


@pytest.fixture
def stage(loop: asyncio.AbstractEventLoop) -> Iterator[Stage]:
    poller = poller_class()(Clock(), tick_s=3600.0)
    if isinstance(poller, LoopPoller):
        pytest.skip("the loop itself tells each")
    poller.attach(loop)
    with contextlib.closing(Stage(poller)) as stage:
        yield stage
    poller.detach()


def test_much_comes_after_all_others(stage: Stage) -> None:
    for name in ("much 1", "little 1", "much 2", "little 2"):
        stage.add(name)
        stage.send(name)
    assert stage.turns() == ["little 1", "little 2", "much 1", "much 2"]


def test_much_that_takes_long_is_served_in_turns_and_in_order(stage: Stage) -> None:
    names = ["much 1", "much 2", "much 3"]
    for name in names:
        stage.add(name, takes_s=LONG_S, stays=True)
        stage.send(name)
    stage.add("little")
    told = []
    for _ in range(6):
        stage.send("little")
        told += stage.turn()
    assert told[::2] == ["little"] * 6
    assert told[1::2] == names * 2


def test_whoever_was_forgotten_while_it_waited_is_told_nothing(stage: Stage) -> None:
    for name in ("much 1", "much 2", "much 3"):
        stage.add(name, takes_s=LONG_S)
        stage.send(name)
    assert stage.turn() == ["much 1"]
    gone = stage.bringers["much 2"]
    stage.poller.forget(gone)
    assert stage.turn() == ["much 3"]
    # Watched again, it is told of what has stayed.
    stage.poller.watch(gone, READ)
    assert stage.turn() == ["much 2"]


def test_a_failure_leaves_the_others_their_turn(stage: Stage, loop: asyncio.AbstractEventLoop) -> None:
    reported = []
    loop.set_exception_handler(lambda _, context: reported.append(context["message"]))
    for name in ("much 1", "much 2"):
        stage.add(name)
        stage.send(name)
    stage.bringers["much 1"].takes_s = -1.0  # which nobody can sleep
    assert stage.turns() == ["much 1", "much 2"]
    assert reported == ["error while serving Bringer"]


def test_whoever_is_due_is_heard_first_though_it_is_not_its_turn(stage: Stage) -> None:
    for name in ("much 1", "much 2", "much 3"):
        stage.add(name, takes_s=LONG_S)
        stage.send(name)
    due = stage.bringers["much 3"]
    due.deadline = stage.poller.clock.now
    stage.poller._sweep()
    assert stage.told == ["much 1", "much 3"] and due.expirations == 0
    assert stage.turn() == ["much 2"]
    # Nothing has come of it: now it is over.
    due.deadline = stage.poller.clock.now
    stage.poller._sweep()
    assert due.expirations == 1
