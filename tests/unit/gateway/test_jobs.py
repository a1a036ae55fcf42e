"""The queue between loop and threads: order, completeness, and that a burst wakes no crowd."""

from __future__ import annotations

import threading
import time
from queue import Empty

import pytest

from torana.base.burst import Burst, Sender
from torana.gateway.jobs import JobQueue, Place, let_leave


def test_jobs_come_out_in_the_order_they_went_in() -> None:
    queue = JobQueue()
    for number in range(100):
        queue.put(number)
    place = Place()
    assert [queue.get(place, None) for _ in range(100)] == list(range(100))
    assert queue.qsize() == 0


def test_empty_is_raised_when_nothing_comes() -> None:
    queue = JobQueue()
    with pytest.raises(Empty):
        queue.get(Place(), 0.01)
    with pytest.raises(Empty):
        queue.get_nowait()
    queue.put("later")
    # The place that timed out is no sleeper any more: the job is there for whoever asks.
    assert queue.get(Place(), 0.01) == "later"


def test_every_job_is_done_once_by_threads_that_sleep_in_between() -> None:
    queue = JobQueue()
    done: list[int] = []
    ended = threading.Barrier(9)

    def work() -> None:
        place = Place()
        while (job := queue.get(place, None)) is not None:
            done.append(job)
        ended.wait(10)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for number in range(20_000):
        queue.put(number)
        if number % 97 == 0:
            # Let the threads catch up and fall asleep: the next job has to wake one.
            while queue.qsize():
                pass
    for _ in threads:
        queue.put(None)
    ended.wait(10)
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(20_000))


def test_jobs_that_block_run_side_by_side() -> None:
    queue = JobQueue()
    together = threading.Barrier(5)

    def work() -> None:
        place = Place()
        while (job := queue.get(place, None)) is not None:
            job()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        # Each of these ends only when all four run at the same time.
        queue.put(lambda: together.wait(10))
    together.wait(10)
    for _ in threads:
        queue.put(None)
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


class Leaver(Sender):
    """Notes when it leaves."""

    def __init__(self, name: str, left: list[str], keeps: bool = True) -> None:
        self.name = name
        self.left = left
        self._keeps = keeps

    def has_kept(self) -> bool:
        return self._keeps

    def leave(self) -> None:
        self.left.append(self.name)
        if self.name == "bad":
            raise RuntimeError("cannot leave")


def kept_quickly(*leavers: Leaver, waiting: int) -> tuple[JobQueue, Place, list[Burst]]:
    """Let a thread have done a job for each in turn, while jobs wait; with it, what somebody was asked to see to.

    Only quick jobs are kept: a machine that was too slow tries again.
    """
    for _ in range(1000):
        queue, place = JobQueue(), Place()
        told: list[Burst] = []
        queue.see_to = told.append
        for number in range(waiting):
            queue.put(number)
        leavers[0].left.clear()
        began = time.monotonic()
        for leaver in leavers:
            queue.keep(place, leaver)
        if told and time.monotonic() - began <= 0.0004:
            return queue, place, told
    raise AssertionError("nothing is kept")


def test_what_quick_jobs_keep_leaves_when_no_job_waits_and_in_order() -> None:
    left: list[str] = []
    queue, place, told = kept_quickly(*(Leaver(name, left) for name in ("first", "bad", "third")), waiting=1)
    # The first came alone, so it left at once; somebody was asked once to see to the others.
    assert left == ["first"] and told == [place.burst]
    queue.get(place, None)
    queue.keep(place, Leaver("last", left))
    assert left == ["first", "bad", "third", "last"]


def test_nothing_is_kept_by_a_thread_that_falls_asleep_or_has_nobody_to_see_to_it() -> None:
    queue, place, left = JobQueue(), Place(), []
    queue.put("more")
    for name in ("a", "b"):
        queue.keep(place, Leaver(name, left))
    assert left == ["a", "b"], "nobody sees to it"
    queue.see_to = lambda burst: None
    for _ in range(1000):
        # Kept is what comes quickly after the last.
        del left[2:]
        queue.keep(place, Leaver("c", left))
        if left == ["a", "b"]:
            break
    assert left == ["a", "b"]
    queue.get_nowait()
    with pytest.raises(Empty):
        queue.get(place, 0.001)
    assert left == ["a", "b", "c"]


def test_whoever_has_nothing_to_send_leaves_at_once_and_passes_those_who_have() -> None:
    left: list[str] = []
    leavers = [Leaver(name, left, keeps=name != "large") for name in ("alone", "kept", "large", "last")]
    _, place, _ = kept_quickly(*leavers, waiting=1)
    assert left == ["alone", "large"]
    let_leave(place.burst)
    assert left == ["alone", "large", "kept", "last"]


def test_another_thread_ends_a_burst_whose_own_is_held_up() -> None:
    queue, place, left = JobQueue(), Place(), []
    held_up, seen_to, asked = threading.Event(), threading.Event(), threading.Event()

    def see_to(burst: Burst) -> None:
        asked.set()

        def later() -> None:
            let_leave(burst)
            seen_to.set()

        threading.Thread(target=later).start()

    queue.see_to = see_to

    def work() -> None:
        queue.keep(place, Leaver("a", left))
        while not asked.is_set():
            # Kept is what comes quickly after the last.
            del left[1:]
            queue.keep(place, Leaver("b", left))
        held_up.wait(10)

    queue.put("more")
    thread = threading.Thread(target=work)
    thread.start()
    assert seen_to.wait(10)
    assert left == ["a", "b"]
    held_up.set()
    thread.join()
