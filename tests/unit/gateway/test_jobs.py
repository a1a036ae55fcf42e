"""The queue between loop and threads: order, completeness, and that a burst wakes no crowd."""

from __future__ import annotations

import threading
from queue import Empty

import pytest

from torana.gateway.jobs import JobQueue, Place


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
