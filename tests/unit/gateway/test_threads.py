"""The pool of threads: its bounds, its jobs' failures, what it does when the system gives no more."""

from __future__ import annotations

import threading

import pytest

from torana.gateway import jobs
from torana.gateway.threads import ThreadPool, default_threads

WAIT_S = 20.0


class Job(jobs.Job):
    def __init__(self, number=0, act=None):
        self.number = number
        self.act = act
        self.ran = threading.Event()
        self.thread = None

    def run(self):
        self.thread = threading.current_thread()
        try:
            if self.act is not None:
                self.act()
        finally:
            self.ran.set()


@pytest.fixture
def pool():
    pool = ThreadPool(4, name="test-pool")
    yield pool
    pool.stop()


def join_all(pool, threads):
    pool.stop()
    for thread in threads:
        thread.join(WAIT_S)
        assert not thread.is_alive()


def mine():
    return [thread for thread in threading.enumerate() if thread.name.startswith("test-pool")]


def test_default_is_within_bounds():
    assert 6 <= default_threads() <= 32


def test_starts_few_and_grows_to_the_bound(pool):
    pool.start()
    assert pool.size() == 1
    assert pool.grow(2) == 2
    assert pool.grow(10) == 1
    assert pool.is_full()
    assert pool.grow(1) == 0
    assert sorted(pool.alive()) == [f"test-pool-{number}" for number in (1, 2, 3, 4)]
    assert all(thread.daemon for thread in mine())
    join_all(pool, mine())
    assert pool.alive() == []


@pytest.mark.parametrize("failure", [ValueError, SystemExit, KeyboardInterrupt, MemoryError])
def test_a_failing_job_ends_no_thread(pool, failure, caplog):
    def act():
        raise failure

    pool.start()
    bad, good = Job(act=act), Job()
    pool.put(bad)
    pool.put(good)
    assert good.ran.wait(WAIT_S)
    assert good.thread is bad.thread
    assert "failed" in caplog.text


def test_grows_by_what_waits_at_most_twofold(pool):
    assert pool.grow_if_waiting() == 0
    block = threading.Event()
    pool.start()
    for _ in range(10):
        pool.put(Job(act=block.wait))
    sizes = []
    for _ in range(4):
        pool.grow_if_waiting()
        sizes.append(pool.size())
    assert sizes == [2, 4, 4, 4]
    block.set()


def test_idle_threads_end_and_the_core_stays():
    pool = ThreadPool(3, core=1, idle_s=0.01, name="test-pool")
    pool.start()
    pool.grow(2)
    extra = [thread for thread in mine() if not thread.name.endswith("-1")]
    for thread in extra:
        thread.join(WAIT_S)
    assert pool.alive() == ["test-pool-1"]
    job = Job()
    pool.put(job)
    assert job.ran.wait(WAIT_S)
    assert pool.grow(1) == 1
    join_all(pool, mine())
    assert pool.done() == 1


def test_system_that_gives_no_more_threads(monkeypatch, pool, caplog):
    pool.start()

    def refuse(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert pool.grow(3) == 0
    assert "no more threads" in caplog.text
    job = Job()
    pool.put(job)
    assert job.ran.wait(WAIT_S)
    with pytest.raises(RuntimeError):
        ThreadPool(2).start()


def test_jobs_put_before_the_stop_are_done(pool):
    jobs = [Job(number) for number in range(20)]
    for job in jobs:
        pool.put(job)
    pool.start()
    join_all(pool, mine())
    assert all(job.ran.is_set() for job in jobs)
    assert pool.done() == 20
    assert pool.grow(1) == 0


def test_overdue_takes_the_oldest_and_no_more():
    pool = ThreadPool(1)
    jobs = [Job(number) for number in range(4)]
    for job in jobs[:2]:
        pool.put(job)
    assert pool.overdue(0.0, 2, 5.0) == []
    for job in jobs[2:]:
        pool.put(job)
    assert pool.overdue(1.0, 4, 5.0) == []
    assert pool.overdue(4.9, 4, 5.0) == []
    assert pool.overdue(5.0, 4, 5.0) == jobs[:2]
    assert pool.overdue(5.5, 4, 5.0) == []
    assert pool.overdue(30.0, 4, 5.0) == jobs[2:]
    assert pool.overdue(60.0, 4, 5.0) == []
    assert pool.waiting() == 0


def test_overdue_gives_back_what_is_not_its_own():
    pool = ThreadPool(1)
    pool.put(Job(0))
    pool.overdue(0.0, 1, 5.0)
    # A thread took job 0 while we counted; what is first now is younger.
    pool.queue.get_nowait()
    young = Job(1)
    pool.put(young)
    assert pool.overdue(6.0, 1, 5.0) == []
    assert pool.waiting() == 1
