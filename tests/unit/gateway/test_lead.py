"""Who does the loop's turns: one at a time, a thread only while the loop's stands still, and nothing is left lying."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from torana.gateway import jobs
from torana.gateway import lead as lead_room
from torana.gateway.lead import Lead
from torana.gateway.threads import ThreadPool

WAIT_S = 20.0
#: More than the fewest that are worth it.
ENOUGH = 8


class Job(jobs.Job):
    """Calls ``act``, and notes on which thread."""

    number = 0

    def __init__(self, act: Callable[[], Any] | None = None) -> None:
        self._act = act
        self.ran = threading.Event()
        self.thread = ""

    def run(self) -> None:
        self.thread = threading.current_thread().name
        if self._act is not None:
            self._act()
        self.ran.set()


class Turns:
    """What the loop would do: puts the batches it was given, one a turn, and notes which threads it ran on."""

    def __init__(self, pool: ThreadPool, *batches: list[Job]) -> None:
        self.pool = pool
        self.batches = list(batches)
        self.threads: list[str] = []
        self.act: Callable[[], Any] | None = None

    def __call__(self) -> None:
        self.threads.append(threading.current_thread().name)
        if self.act is not None:
            self.act()
        if self.batches:
            put(self.pool, self.batches.pop(0))


def put(pool: ThreadPool, jobs: list[Job]) -> None:
    for job in jobs:
        pool.put(job)


def some(count: int = ENOUGH) -> list[Job]:
    return [Job() for _ in range(count)]


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool(4, name="test-lead")
    pool.start()
    yield pool
    pool.stop()
    for thread in threading.enumerate():
        if thread.name.startswith("test-lead"):
            thread.join(WAIT_S)
            assert not thread.is_alive()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine does not end the standing still before the threads have had their turn."""
    monkeypatch.setattr(lead_room, "_LOOK_S", WAIT_S)
    monkeypatch.setattr(lead_room, "_TURNS_S", WAIT_S)


def hold(pool: ThreadPool) -> None:
    """Keep the one thread that is awake from its jobs until the loop's thread stands still."""
    pool.put(Job(lambda: _until(lambda: pool.queue.lead is not None)))
    _until(lambda: not pool.waiting())


def _until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0)


@pytest.fixture
def held(pool: ThreadPool) -> Iterator[threading.Event]:
    """The pool's only thread waits until this is set."""
    gate = threading.Event()
    blocker = Job(lambda: gate.wait(WAIT_S))
    pool.put(blocker)
    _until(lambda: not pool.waiting())
    yield gate
    gate.set()
    assert blocker.ran.wait(WAIT_S)


@pytest.mark.usefixtures("patient")
def test_a_thread_that_runs_out_of_jobs_does_the_next_turns(pool: ThreadPool, loop: asyncio.AbstractEventLoop) -> None:
    first, second, third = some(), some(), some()
    turns = Turns(pool, second, third)
    lead = Lead(pool, turns, loop)
    hold(pool)
    put(pool, first)
    lead.offer()
    # It stood still until a turn brought nothing more, and all that the threads were given was done by then.
    assert all(job.ran.is_set() for job in first + second + third)
    assert turns.threads == ["test-lead-1"] * 3
    assert {job.thread for job in first + second + third} == {"test-lead-1"}


@pytest.mark.usefixtures("patient")
def test_few_jobs_are_left_to_their_threads(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, held: threading.Event
) -> None:
    jobs = some(2)
    turns = Turns(pool)
    put(pool, jobs)
    Lead(pool, turns, loop).offer()
    held.set()
    assert all(job.ran.wait(WAIT_S) for job in jobs)
    assert turns.threads == []


@pytest.mark.usefixtures("patient")
def test_nobody_leads_while_another_thread_is_in_the_application(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, held: threading.Event
) -> None:
    pool.grow(1)
    also = threading.Event()
    second = Job(lambda: also.wait(WAIT_S))
    pool.put(second)
    _until(lambda: not pool.waiting())
    assert pool.awake() == 2
    turns = Turns(pool)
    put(pool, some())
    Lead(pool, turns, loop).offer()
    assert turns.threads == []
    also.set()
    assert second.ran.wait(WAIT_S)


def test_the_loop_goes_on_beside_an_application_that_waits(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, held: threading.Event
) -> None:
    turns = Turns(pool)
    lead = Lead(pool, turns, loop)
    rest = some()
    put(pool, rest)
    # The thread is in a job, and stays there: this returns all the same.
    lead.offer()
    assert not any(job.ran.is_set() for job in rest)
    pool.grow(1)
    # Another thread does what was left lying, as ever.
    assert all(job.ran.wait(WAIT_S) for job in rest)
    held.set()
    done = Job()
    pool.put(done)
    assert done.ran.wait(WAIT_S)
    assert turns.threads == [], "the loop has its turns back, and nobody else does one"


def test_jobs_of_a_turn_whose_leader_is_held_up_are_done_by_others(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_room, "_TURNS_S", WAIT_S)
    monkeypatch.setattr(lead_room, "_LOOK_S", 0.1)
    pool.grow(1)
    _until(lambda: pool.awake() == 0)
    stuck, gate = threading.Event(), threading.Event()

    def hold_up() -> None:
        stuck.set()
        # Longer than anybody waits for the rest.
        gate.wait(2 * WAIT_S)

    blocking, rest = Job(hold_up), some()
    turns = Turns(pool, [blocking, *rest])
    lead = Lead(pool, turns, loop)
    # The loop's thread looks when the leader is held up, and not before somebody leads.
    count = pool.done
    monkeypatch.setattr(pool, "done", lambda: stuck.wait(WAIT_S) and count())
    # Of the two sleepers one is on its way when this one waits, and not before.
    switch_s = sys.getswitchinterval()
    sys.setswitchinterval(WAIT_S)
    try:
        put(pool, some())
        lead.offer()
    finally:
        sys.setswitchinterval(switch_s)
    assert stuck.is_set()
    assert all(job.ran.wait(WAIT_S) for job in rest), "nobody was woken for them"
    gate.set()
    assert blocking.ran.wait(WAIT_S)


@pytest.mark.parametrize("computes", [True, False])
def test_a_leader_is_let_go_on_while_it_gets_jobs_done_and_computes(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch, computes: bool
) -> None:
    monkeypatch.setattr(lead_room, "_TURNS_S", WAIT_S)
    monkeypatch.setattr(lead_room, "_LOOK_S", 0.001)
    # Much more than the time that passed: the two clocks are not read at once.
    monkeypatch.setattr(lead_room, "process_time", lambda: 1000 * time.monotonic() if computes else 0.0)
    looks, count, is_over = 0, pool.done, False
    before = count()

    def look() -> int:
        nonlocal looks
        looks += 1
        # Each finds one job more than the last.
        _until(lambda: count() >= before + looks - 1 if looks <= ENOUGH else len(turns.threads) == 2)
        return before + looks - 1

    def look_awaited(number: int) -> Job:
        return Job(lambda: _until(lambda: looks > number or is_over))

    monkeypatch.setattr(pool, "done", look)
    turns, jobs = Turns(pool, some()), [look_awaited(number) for number in range(ENOUGH)]
    put(pool, jobs)
    Lead(pool, turns, loop).offer()
    is_over = True
    assert all(job.ran.wait(WAIT_S) for job in jobs)
    if computes:
        assert len(turns.threads) == 2 and set(turns.threads) == {jobs[0].thread}
    else:
        assert (looks, turns.threads) == (2, [])


def test_who_was_never_held_up_is_looked_after_more_seldom(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_room, "_TURNS_S", 0.05)
    monkeypatch.setattr(lead_room, "_LOOK_S", 0.001)
    monkeypatch.setattr(lead_room, "_LOOK_STEP_S", 2.0)
    monkeypatch.setattr(lead_room, "process_time", lambda: 1000 * time.monotonic())
    looks, is_held = 0, False

    def look() -> int:
        nonlocal looks
        looks += 1
        # Unless held up, one job more than at the last.
        return 0 if is_held else looks

    def looks_in(job: Job) -> int:
        nonlocal looks
        hold(pool)
        looks = 0
        put(pool, [job, *some()])
        lead.offer()
        found = looks
        assert job.ran.wait(WAIT_S)
        _until(lambda: pool.awake() == 0)
        return found

    def lasts() -> None:
        time.sleep(0.06)

    monkeypatch.setattr(pool, "done", look)
    lead = Lead(pool, Turns(pool), loop)
    # The first look of each is where it begins.
    assert looks_in(Job(lambda: (_until(lambda: looks > 3), lasts()))) > 3
    assert looks_in(Job(lasts)) == 1
    is_held = True
    assert looks_in(Job(lambda: _until(lambda: looks == 2))) == 2
    is_held = False
    assert looks_in(Job(lambda: (_until(lambda: looks > 3), lasts()))) > 3


def test_a_turn_that_lasts_is_waited_for(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_room, "_TURNS_S", WAIT_S)
    monkeypatch.setattr(lead_room, "_LOOK_S", 0.1)
    in_turn, gate = threading.Event(), threading.Event()

    def hold_up() -> None:
        in_turn.set()
        gate.wait(WAIT_S)

    turns = Turns(pool)
    turns.act = hold_up
    lead = Lead(pool, turns, loop)
    count = pool.done
    monkeypatch.setattr(pool, "done", lambda: in_turn.wait(WAIT_S) and count())
    hold(pool)
    put(pool, some())
    offered = threading.Thread(target=lead.offer)
    offered.start()
    assert in_turn.wait(WAIT_S)
    # More than once its time is over.
    offered.join(0.35)
    assert offered.is_alive(), "two would do the loop's turns at once"
    gate.set()
    offered.join(WAIT_S)
    assert not offered.is_alive()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("failure", [ValueError, SystemExit, MemoryError])
def test_a_turn_that_fails_ends_neither_the_loop_nor_the_thread(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture, failure: type[BaseException]
) -> None:
    turns = Turns(pool)

    def fail() -> None:
        raise failure("broken")

    turns.act = fail
    hold(pool)
    put(pool, some())
    Lead(pool, turns, loop).offer()
    assert turns.threads == ["test-lead-1"]
    assert "A turn of the loop failed on test-lead-1" in caplog.text
    after = Job()
    pool.put(after)
    assert after.ran.wait(WAIT_S)
    assert after.thread == "test-lead-1"


@pytest.mark.usefixtures("patient")
def test_the_running_loop_is_known_in_a_turn_and_not_in_a_job(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop
) -> None:
    seen: list[Any] = []

    def look() -> None:
        try:
            seen.append(asyncio.get_running_loop())
        except RuntimeError:
            seen.append(None)

    turns = Turns(pool, [Job(look)])
    turns.act = look
    hold(pool)
    put(pool, [*some(), Job(look)])
    Lead(pool, turns, loop).offer()
    assert seen == [None, loop, None, loop]


class Times:
    """Clocks that stand still between two looks: each offer passes ``passed_s`` and computes ``computed_s``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.cpu = 10.0
        self.passed_s = 0.0
        self.computed_s = 0.0
        monkeypatch.setattr(lead_room, "monotonic", lambda: self.now)
        monkeypatch.setattr(lead_room, "process_time", lambda: self.cpu)
        monkeypatch.setattr(lead_room, "_TURNS_S", WAIT_S)
        monkeypatch.setattr(lead_room, "_LOOK_S", WAIT_S)

    def turn(self) -> None:
        self.now += self.passed_s
        self.cpu += self.computed_s

    def turns(self, pool: ThreadPool, *batches: list[Job]) -> Turns:
        """Turns that take this time."""
        turns = Turns(pool, *batches)
        turns.act = self.turn
        return turns


def is_led(pool: ThreadPool, lead: Lead, turns: Turns) -> bool:
    """Whether ``offer`` had a turn done by a thread."""
    before = len(turns.threads)
    gate = threading.Event()
    pool.put(Job(lambda: _until(lambda: pool.queue.lead is not None or gate.is_set())))
    _until(lambda: not pool.waiting())
    jobs = some()
    put(pool, jobs)
    lead.offer()
    gate.set()
    assert all(job.ran.wait(WAIT_S) for job in jobs)
    _until(lambda: pool.awake() == 0)
    return len(turns.threads) > before


def test_where_threads_wait_nobody_leads_for_longer_and_longer(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times(monkeypatch)
    turns = times.turns(pool)
    lead = Lead(pool, turns, loop)
    times.passed_s, times.computed_s = 0.01, 0.005
    for rest_s in (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0):
        assert is_led(pool, lead, turns)
        times.now += rest_s - 0.001
        assert not is_led(pool, lead, turns)
        times.now += 0.002
    # One that computes all the time makes good for it.
    times.computed_s = 0.01
    assert is_led(pool, lead, turns)
    assert is_led(pool, lead, turns)
    times.computed_s = 0.0
    assert is_led(pool, lead, turns)
    times.now += 0.051
    assert is_led(pool, lead, turns)


def test_a_moment_is_not_judged(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times(monkeypatch)
    turns = times.turns(pool)
    lead = Lead(pool, turns, loop)
    times.passed_s, times.computed_s = 0.001, 0.0
    for _ in range(3):
        assert is_led(pool, lead, turns)
    # Together they make four milliseconds, none of which was spent computing.
    times.passed_s = 0.002
    assert is_led(pool, lead, turns)
    assert not is_led(pool, lead, turns)


def test_when_the_time_is_over_the_loop_gets_its_turns_back(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = Times(monkeypatch)
    turns = times.turns(pool, some(), some(), some())
    times.passed_s = times.computed_s = 0.6 * WAIT_S
    assert is_led(pool, Lead(pool, turns, loop), turns)
    assert len(turns.threads) == 2, "the second began in time, for a third it is too late"


def test_a_signal_that_ends_the_standing_still_leaves_no_second_leader(
    pool: ThreadPool, loop: asyncio.AbstractEventLoop, held: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_room, "_LOOK_S", WAIT_S)
    monkeypatch.setattr(lead_room, "_INTERRUPTED_S", 0.01)
    turns = Turns(pool, some())
    lead = Lead(pool, turns, loop)
    jobs = some()
    put(pool, jobs)
    main = threading.get_ident()

    def interrupt() -> None:
        _until(lambda: pool.queue.lead is not None)
        signal.pthread_kill(main, signal.SIGUSR1)

    def raises(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR1, raises)
    another = threading.Thread(target=interrupt)
    try:
        another.start()
        with pytest.raises(KeyboardInterrupt):
            lead.offer()
    finally:
        another.join(WAIT_S)
        signal.signal(signal.SIGUSR1, before)
    assert pool.queue.lead is None
    held.set()
    assert all(job.ran.wait(WAIT_S) for job in jobs)
    _until(lambda: pool.awake() == 0)
    assert turns.threads == []
    assert is_led(pool, lead, turns), "the next time all is as before"
