"""Workers that hang, crash or leave: each is logged with its cause and replaced, and nobody else is disturbed.

A bystander, asking on fresh connections and on kept ones, never fails: what a dying worker had not taken, others take.
"""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path

import pytest

from tests.support.faulty import Asked, Faulty, asking
from tests.support.load import loading
from tests.support.server import Server, running
from tests.support.supervised import answering, children_of, supervised, until, wait_for_replacement

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

HANGS = ("spin", "sleep_in_the_loop", "match_for_ever", "stay_in_c")


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


def is_whole(server: Server, workers: int, lost: set[int]) -> bool:
    """Whether there are as many workers as should be, none of them lost, and nothing else."""
    children = children_of(server.pid)
    return len(children) == workers and not children & lost


def died(server: Server, pid: int) -> str:
    """The line about a worker's death."""
    return server.wait_for_log(f"(pid {pid}) died: ")


@pytest.mark.threat(
    "G-092",
    sent="loops, sleeps and regular expressions that do not end",
    verdict="the stack in the log, the worker replaced",
)
def test_workers_that_hang_show_where_and_are_replaced(faulty: Faulty) -> None:
    workers = len(HANGS) + 1
    with supervised(faulty.place, "--timeout-hang", "1", workers=workers) as server:
        with contextlib.ExitStack() as stack:
            asked, victims = [], {}
            for deed in HANGS:
                asked += stack.enter_context(asking(server.address, f"/do/{deed}"))
                victims[deed] = faulty.done(deed)
            assert len(set(victims.values())) == len(HANGS)
            with loading(server.address, kept=4, fresh=8, pause_s=0.002) as load:
                until(lambda: is_whole(server, workers, set(victims.values())), "all workers")
                load.wait_for_answers(200)
            assert [one.answer() for one in asked] == [b""] * len(HANGS)
        assert not load.tally.failures, load.tally.describe()
        until(lambda: answering(server, tries=60) == children_of(server.pid), "all workers answer")
    for deed in HANGS:
        pid = victims[deed]
        found = server.wait_for_log(f"(pid {pid}): nothing has moved for")
        assert "while work waited" in found and f"in flight: GET /do/{deed} (" in found
        assert f"(pid {pid}) is ended by SIGABRT" in server.log
        # In a stack, not as a path. A crash is written word by word, and others may write in between.
        assert re.search(rf"(?<!/do/){deed}", server.log)
        if deed != "stay_in_c":
            assert f"-- Dump of process {pid}" in server.log
    assert "SIGKILL" not in server.log


@pytest.mark.threat("G-092", sent="long honest work", verdict="nobody is replaced")
def test_nobody_who_works_is_taken_for_hung(faulty: Faulty) -> None:
    """Boots, computations and native calls longer than the limit, as long as nobody waits or something moves."""
    with supervised(faulty.place, "--timeout-hang", "1", environment={"BOOT_S": "2.5"}, workers=3) as server:
        workers = children_of(server.pid)
        with asking(server.address, "/do/hold_the_interpreter/4") as (native,):
            still = faulty.done("hold_the_interpreter")
            # Nobody waits for that worker as long as no new connection comes: its siblings are kept busy on old ones.
            assert native.answer().endswith(b" %d text" % still)
        busy = [Asked(server.address, f"/do/spin/{0.3 + 0.01 * number}") for number in range(12)]
        assert all(b" 200 " in one.answer() for one in busy)
        assert children_of(server.pid) == workers
    assert "nothing has moved" not in server.log and "SIGABRT" not in server.log


@pytest.mark.threat("G-092", sent="threads stuck for ever", verdict="shown, the worker replaced")
@pytest.mark.parametrize("deed", ["wait_for_myself", "spin"])
def test_threads_that_do_not_come_back_are_shown_and_the_worker_is_replaced(faulty: Faulty, deed: str) -> None:
    """The loop turns, so the worker does not hang; but whoever it accepts would wait in vain."""
    flags = ("--workers", "2", "--threads", "2", "--timeout-hang", "1", "--timeout-retire", "1", "--log-level", "debug")
    flags += ("--timeout-graceful", "0.5", "--timeout-cancel", "0.5", "--timeout-thread-queue", "2")
    with running("site_one:wsgi", *flags, cwd=faulty.place) as server:
        server.wait_for_log("All workers")
        with contextlib.ExitStack() as stack:
            while max(map(faulty.pids(deed).count, faulty.pids(deed)), default=0) < 2:
                count = len(faulty.pids(deed))
                stack.enter_context(asking(server.address, f"/do/{deed}"))
                faulty.done(deed, count + 1)
            (stuck,) = {pid for pid in faulty.pids(deed) if faulty.pids(deed).count(pid) == 2}
            waiting = [Asked(server.address, "/pid") for _ in range(20)]
            line = server.wait_for_log("No thread has come back for")
            assert "asks to be replaced" in line
            server.wait_for_log(f"(pid {stuck}) is to be replaced: no thread has come back")
            server.wait_for_log(f"(pid {stuck}) retires")
            assert all(b" 200 " in answer or b" 503 " in answer for answer in (one.answer() for one in waiting))
            until(lambda: is_whole(server, 2, {stuck}), "the stuck one has ended")
            with loading(server.address, kept=2, fresh=4, pause_s=0.02) as load:
                load.wait_for_answers(100)
            assert not load.tally.failures, load.tally.describe()
    assert f"in {deed}" in server.log and "nothing has moved" not in server.log and "SIGKILL" not in server.log


CRASHES = {
    "/do/touch_nothing": ("touch_nothing", "killed by signal 11 (SIGSEGV", "a memory fault in native code"),
    "/do/give_up": ("give_up", "killed by signal 6 (SIGABRT", "it gave up by itself"),
    "/do/leave/0": ("leave", "exited with code 0", ""),
    "/do/leave/7": ("leave", "exited with code 7", ""),
    "/do/send_myself/SIGKILL": ("send_myself", "killed by signal 9 (SIGKILL)", "somebody outside ended it"),
    "/do/send_myself/SIGBUS": ("send_myself", "killed by signal 7 (SIGBUS", "a memory fault"),
}


@pytest.mark.threat(
    "G-090", sent="SIGSEGV, SIGABRT, SIGBUS, `os._exit` within a request", verdict="named with the request, replaced"
)
def test_workers_that_crash_are_named_with_their_requests_and_replaced(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=3) as server:
        for path, (deed, how, why) in CRASHES.items():
            is_shown = "memory fault" in why or deed == "give_up"
            mark = server.mark()
            count = len(faulty.pids(deed)) + 1
            with asking(server.address, path) as (asked,), loading(server.address, fresh=2, kept=0) as load:
                pid = faulty.done(deed, count)
                line = died(server, pid)
                assert asked.answer() == b""
                wait_for_replacement(server, mark)
                load.wait_for_answers(20)
            assert how in line and why in line and f"GET {path} (" in line, line
            text = server.log_since(mark)
            assert ("Fatal Python error" in text and bool(re.search(rf"(?<!/do/){deed}", text))) == is_shown
            # A request that was accepted together with the deadly one goes with it: one of each client at the most.
            assert len(load.tally.failures) <= 2, load.tally.describe()
        until(lambda: is_whole(server, 3, set()), "three workers")
        until(lambda: answering(server) == children_of(server.pid), "all workers answer")


def test_leaving_a_thread_ends_only_the_thread(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=2) as server:
        workers = children_of(server.pid)
        assert Asked(server.address, "/do/leave_a_thread").answer().endswith(b" text")
        until(lambda: answering(server) == workers == children_of(server.pid), "all workers answer")
    assert "died" not in server.log
