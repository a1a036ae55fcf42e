"""Workers that are replaced for their age, their size, their requests or their threads: softly, and nobody notices."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.support.faulty import Asked, Faulty, asking
from tests.support.load import loading
from tests.support.server import Server
from tests.support.supervised import answering, children_of, is_there, supervised, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


def steps(server: Server, since: int) -> list[str]:
    """What became of workers, in order: "starts", "ready", "retires"."""
    found = re.findall(r"\] (?:DEBUG|INFO) Worker \d+ \(pid \d+\) (starts|is ready|retires)", server.log_since(since))
    return [word.removeprefix("is ") for word in found]


@pytest.mark.threat(
    "G-103", sent="max_requests reached by all workers under load", verdict="one after another, nothing lost"
)
@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--max-requests", "60", "--max-requests-jitter", "40"), "max_requests"),
        (("--max-lifetime", "1.5"), "it reached its lifetime"),
    ],
    ids=["requests", "age"],
)
def test_workers_are_replaced_one_after_another_and_no_request_is_lost(
    faulty: Faulty, flags: tuple[str, ...], why: str
) -> None:
    with supervised(faulty.place, *flags, workers=3) as server:
        mark = server.mark()
        with loading(server.address, kept=6, fresh=6, pause_s=0.01) as load:
            until(lambda: steps(server, mark).count("retires") >= 8, "eight workers are replaced", 40)
        tally = load.tally
        assert not tally.failures, tally.describe()
        assert len(tally.by_worker) >= 8
        assert server.log_since(mark).count(f"is to be replaced: {why}") >= 8
        found = steps(server, mark)
        # Never fewer than three that accept, and never more than one beyond them.
        for position in range(1, len(found) + 1):
            part = found[:position]
            assert part.count("retires") <= part.count("ready") <= part.count("starts") <= part.count("retires") + 1
        assert "ERROR" not in server.log


@pytest.mark.threat("G-091", sent="an application that leaks", verdict="replaced at max_rss, gracefully")
def test_a_worker_that_grows_is_replaced_before_it_costs_the_others(faulty: Faulty) -> None:
    with supervised(faulty.place, "--max-rss", "150MiB", workers=2) as server:
        mark = server.mark()
        with loading(server.address, kept=4, fresh=4, pause_s=0.01) as load, asking(server.address, "/stream"):
            assert b" 200 " in Asked(server.address, "/do/grow/200").answer()
            large = faulty.done("grow")
            line = server.wait_for_log(f"(pid {large}) is to be replaced: ", since=mark)
            assert (found := re.search(r"it takes (\d+) MiB of memory, more than (\d+)", line)), line
            assert int(found[1]) > 200 and 134 <= int(found[2]) <= 150
            server.wait_for_log(f"(pid {large}) retires: ", since=mark)
            load.wait_for_answers(100)
        assert not load.tally.failures, load.tally.describe()
        until(lambda: len(children_of(server.pid)) == 2 and not is_there(large), "the large one has ended")
        until(lambda: answering(server) == children_of(server.pid), "all workers answer")


@pytest.mark.threat("G-103", sent="a replacement that fails to start", verdict="the old worker stays")
def test_a_replacement_that_does_not_start_leaves_the_old_one_at_work(faulty: Faulty) -> None:
    with supervised(faulty.place, workers=2) as server:
        workers = children_of(server.pid)
        faulty.break_()
        mark = server.mark()
        with loading(server.address, kept=4, fresh=4, pause_s=0.01) as load:
            for pid in workers:
                os.kill(pid, signal.SIGTERM)
            faulty.done("broken", 4)
            until(lambda: answering(server) == workers, "all workers answer")
            faulty.mend()
            until(lambda: steps(server, mark).count("retires") == 2, "both are replaced", 30)
        assert not load.tally.failures, load.tally.describe()
        until(lambda: len(children_of(server.pid)) == 2 and not children_of(server.pid) & workers, "the old ones end")
