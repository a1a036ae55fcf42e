"""A poller short of memory or of time: nobody waits for ever for a call never made (G-091), and nobody who was in time
is told that it is over."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from torana.net.clock import Clock
from torana.net.poller import READ, Poller, Watched
from torana.net.poller_fallback import poller_class

TICK_S = 0.05


class StarvedLoop(asyncio.SelectorEventLoop):
    """Memory does not suffice for the next call, or for the next timer."""

    no_call = False
    no_timer = False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.no_call:
            self.no_call = False
            raise MemoryError
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        if self.no_call:
            self.no_call = False
            raise MemoryError
        return super().call_soon_threadsafe(callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if self.no_timer:
            self.no_timer = False
            raise MemoryError
        return super().call_at(when, callback, *args, context=context)


class Told(Watched):
    """Counts what it was told."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.words: list[str] = []
        self.enough = asyncio.Event()

    def _hear(self, word: str) -> None:
        self.words.append(word)
        self.enough.set()

    def woken(self) -> None:
        self._hear("woken")

    def leave(self) -> None:
        self._hear("leave")

    def expired(self, now: float) -> None:
        self.deadline = 0.0
        self._hear("expired")

    def ready(self, events: int) -> None:
        self._hear("ready")


@pytest.fixture
def loop() -> Iterator[StarvedLoop]:
    loop = StarvedLoop()
    yield loop
    loop.close()


def attached(loop: StarvedLoop) -> Poller:
    poller = poller_class()(Clock(), TICK_S)
    poller.attach(loop)
    return poller


async def _said(told: Told, word: str) -> None:
    async with asyncio.timeout(5):
        while word not in told.words:
            told.enough.clear()
            await told.enough.wait()


@pytest.mark.parametrize("ask", [Poller.later, Poller.wake, Poller.last], ids=["later", "wake", "last"])
def test_a_wake_that_failed_makes_no_later_one_wait(loop: StarvedLoop, ask: Callable[[Poller, Watched], None]) -> None:
    poller = attached(loop)
    first, second = Told(-1), Told(-1)
    loop.no_call = True
    with pytest.raises(MemoryError):
        ask(poller, first)
    ask(poller, second)
    loop.run_until_complete(_said(second, "woken"))
    poller.detach()


def test_what_could_not_be_kept_makes_nothing_else_wait(loop: StarvedLoop) -> None:
    poller = attached(loop)
    first, second = Told(-1), Told(-1)
    # Something is only kept close behind another: who is too slow for that tries again.
    loop.no_call = True
    while loop.no_call:
        with suppress(MemoryError):
            poller.keeps(first)
    while not poller.keeps(second):
        pass
    loop.run_until_complete(_said(second, "leave"))
    poller.detach()


def test_a_sweep_whose_timer_failed_is_made_up_for(loop: StarvedLoop) -> None:
    poller = attached(loop)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = Told(ours.fileno())
        poller.watch(told, READ)
        failed = asyncio.Event()
        loop.set_exception_handler(lambda loop, context: failed.set())
        loop.no_timer = True
        loop.run_until_complete(failed.wait())
        told.deadline = 1e-9
        theirs.send(b"x")
        loop.run_until_complete(_said(told, "expired"))
        poller.forget(told)
    poller.detach()


class Punctual(Told):
    """Its time is over unless it hears something."""

    def ready(self, events: int) -> None:
        self.deadline = 0.0
        self._hear("ready")


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_what_has_come_in_time_counts_however_late_the_loop_is(kind: str) -> None:
    loop = asyncio.new_event_loop() if kind == "asyncio" else pytest.importorskip("uvloop").new_event_loop()
    poller = poller_class()(Clock(), TICK_S)
    poller.attach(loop)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = Punctual(ours.fileno())
        poller.watch(told, READ)

        def stand_still() -> None:
            told.deadline = time.monotonic() + TICK_S
            theirs.send(b"x")
            time.sleep(3 * TICK_S)

        loop.call_soon(stand_still)
        loop.run_until_complete(_said(told, "ready"))
        assert "expired" not in told.words
        poller.forget(told)
    poller.detach()
    loop.close()
