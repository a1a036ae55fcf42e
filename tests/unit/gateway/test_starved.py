"""When threads that do not come back are given up: only while something waits, and never for the loop's own pauses."""

from __future__ import annotations

import logging
import threading

import pytest

from torana.gateway.wsgi.raw_socket import OpenSockets
from torana.gateway.wsgi.starved import Starved


class Pool:
    """What is looked at of a pool of threads."""

    def __init__(self) -> None:
        self.count = 0
        self.queue = 0

    def done(self) -> int:
        return self.count

    def waiting(self) -> int:
        return self.queue

    def size(self) -> int:
        return 2

    def idents(self) -> list[int]:
        return [threading.get_ident()] * 2


@pytest.fixture
def pool() -> Pool:
    return Pool()


def looked(pool: Pool, seconds: int, told: list[str], begin: int = 100) -> Starved:
    starved = Starved(5.0, pool, told.append)  # type: ignore[arg-type]
    for now in range(begin, begin + seconds):
        starved.look(float(now))
    return starved


def test_threads_that_stay_away_while_something_waits(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    pool.queue = 1
    told: list[str] = []
    with caplog.at_level(logging.ERROR):
        looked(pool, 5, told)
        assert told == []
        looked(pool, 6, told)
    assert told == ["no thread has come back for 5 s"]
    assert "2 threads:" in caplog.text and "test_starved.py" in caplog.text and "timeout_hang" in caplog.text


def test_nothing_waits(pool: Pool) -> None:
    told: list[str] = []
    looked(pool, 100, told)
    assert told == []


def test_what_waited_once_goes_on_to_count(pool: Pool) -> None:
    """The queue is emptied of requests that have waited too long; that makes nothing better."""
    told: list[str] = []
    pool.queue = 1
    starved = looked(pool, 1, told)
    pool.queue = 0
    for now in range(101, 106):
        starved.look(float(now))
    assert len(told) == 1


def test_a_thread_that_comes_back_begins_a_new_time(pool: Pool) -> None:
    told: list[str] = []
    pool.queue = 1
    starved = looked(pool, 1, told)
    for now in range(101, 200):
        pool.count += now % 4 == 0
        starved.look(float(now))
    assert told == []


def test_a_loop_that_stood_still_says_nothing_about_threads(pool: Pool) -> None:
    told: list[str] = []
    pool.queue = 1
    starved = looked(pool, 2, told)
    starved.look(160.0)
    assert told == []


def test_threads_held_by_sockets_are_no_hang(pool: Pool) -> None:
    told: list[str] = []
    pool.queue = 1
    sockets = OpenSockets()
    starved = Starved(5.0, pool, told.append, sockets)  # type: ignore[arg-type]
    for _ in range(pool.size()):
        sockets.add()
    for now in range(100, 200):
        starved.look(float(now))
    assert told == []
    # One of the two threads is free for others again, and does not come back from what it does then.
    sockets.remove()
    for now in range(200, 207):
        starved.look(float(now))
    assert len(told) == 1


def test_a_socket_that_opens_is_something_that_moves(pool: Pool) -> None:
    """A handshake that had to wait a moment, and then nothing but open sockets for hours."""
    told: list[str] = []
    sockets = OpenSockets()
    starved = Starved(5.0, pool, told.append, sockets)  # type: ignore[arg-type]
    pool.queue = 1
    starved.look(100.0)
    pool.queue = 0
    sockets.add()
    for now in range(101, 200):
        starved.look(float(now))
    assert told == []


def test_it_is_told_once(pool: Pool) -> None:
    told: list[str] = []
    pool.queue = 1
    starved = looked(pool, 50, told)
    pool.count = 1
    for now in range(150, 200):
        starved.look(float(now))
    assert len(told) == 1
