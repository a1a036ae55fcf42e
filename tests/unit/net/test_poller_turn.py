"""A turn of the loop by another thread: what is ready, woken or kept is told there while the loop stands still."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from torana.net.clock import Clock
from torana.net.poller import READ, Poller, Watched
from torana.net.poller_fallback import LoopPoller, poller_class

WAIT_S = 20.0


class Told(Watched):
    """Notes what it is told, and on which thread."""

    def __init__(self, sock: socket.socket | None = None) -> None:
        Watched.__init__(self, -1 if sock is None else sock.fileno())
        self.sock = sock
        self.told: list[tuple[str, str]] = []

    def _note(self, word: str) -> None:
        self.told.append((word, threading.current_thread().name))

    def ready(self, events: int) -> None:
        assert self.sock is not None
        self.sock.recv(100)
        self._note("ready")

    def woken(self) -> None:
        self._note("woken")

    def leave(self) -> None:
        self._note("leave")


@contextlib.contextmanager
def watched(poller: Poller) -> Iterator[tuple[Told, socket.socket]]:
    """Something watched, and the socket that makes it ready."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        told = Told(ours)
        poller.watch(told, READ)
        yield told, theirs
        poller.forget(told)


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_another_thread_does_turns_while_the_loop_stands_still(kind: str) -> None:
    loop = asyncio.new_event_loop() if kind == "asyncio" else pytest.importorskip("uvloop").new_event_loop()
    poller = poller_class()(Clock())
    poller.attach(loop)
    if isinstance(poller, LoopPoller):
        pytest.skip("only the loop knows what is ready here")
    woken, kept = Told(), Told()
    after: list[str] = []

    def turns() -> None:
        first[1].send(b"x")
        poller.turn()
        # More comes between two turns.
        second[1].send(b"x")
        poller.wake(woken)
        while not poller.keeps(kept):
            pass
        poller.turn()

    def stand_still() -> None:
        after.append(threading.current_thread().name)
        thread = threading.Thread(target=turns, name="another")
        thread.start()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        poller.after_batch = None
        loop.call_soon(loop.stop)

    with watched(poller) as first, watched(poller) as second:
        poller.after_batch = stand_still
        first[1].send(b"x")
        loop.run_forever()
        assert after == ["MainThread"], "a turn by another thread is followed by no standing still"
        assert first[0].told == [("ready", "MainThread"), ("ready", "another")]
        assert second[0].told == [("ready", "another")]
        assert woken.told == [("woken", "another")]
        assert kept.told == [("leave", "another")]
    # What the loop was asked for meanwhile finds nothing left to do, and the loop serves on.
    with watched(poller) as third:
        third[1].send(b"x")
        poller.after_batch = loop.stop
        loop.run_forever()
        assert third[0].told == [("ready", "MainThread")]
    assert woken.told == [("woken", "another")]
    poller.detach()
    loop.close()
