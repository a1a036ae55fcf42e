"""Everything at once: workers recycled, reloaded, added, taken away and killed, while clients never stop asking.

No request may fail but those in flight in a worker that was killed with SIGKILL, and no POST may be executed twice.
``make chaos SECONDS=60`` runs it longer and with slower boots.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.load import Failure, Tally, loading
from tests.support.server import Server
from tests.support.supervised import (
    answering,
    children_of,
    is_there,
    ready_workers,
    send,
    supervised,
    until,
    write_site,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SECONDS = float(os.environ.get("CHAOS_SECONDS", "15"))
BOOT_S = os.environ.get("CHAOS_BOOT_S", "0.5")
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))
WORKERS = 4
#: Descriptors that the supervisor holds for a worker: its channel, its end, its listening socket, and one in passing.
PER_WORKER = 4
#: From a kill to the moment when the last client has noticed.
NOTICED_S = 2.0


@dataclass
class Kills:
    """Who was killed, and when: from the signal until he was gone, which takes a while on a busy machine."""

    times: dict[int, tuple[float, float]] = field(default_factory=dict)

    def explain(self, failure: Failure, executed_by: dict[int, int]) -> bool:
        """Whether a request was in flight in a worker that was killed."""
        worker = executed_by.get(failure.number) or failure.worker
        if worker:
            return self._is_near(failure, self.times.get(worker))
        # Nobody knows who had accepted it: a worker that was killed before it read anything.
        is_cut = failure.phase in ("send", "answer") and "within" not in failure.error
        return is_cut and any(self._is_near(failure, killed) for killed in self.times.values())

    def _is_near(self, failure: Failure, killed: tuple[float, float] | None) -> bool:
        # It was under way when the worker was killed, and the client heard of it soon.
        if killed is None:
            return False
        began_s, gone_s = killed
        # On a kept connection a client that had no turn meanwhile sends once more before it sees that end.
        latest_s = gone_s + (NOTICED_S if failure.is_kept else 0.1)
        return failure.sent_s <= latest_s and began_s - 0.1 <= failure.failed_s <= gone_s + NOTICED_S


def make_trouble(server: Server, seconds: float, chance: random.Random) -> Kills:
    """Recycle a worker every 0.3 s, and now and then reload, scale and kill."""
    kills = Kills()
    end = time.monotonic() + seconds
    others = ["SIGHUP", "SIGTTIN", "SIGTTOU", "kill", "kill"]
    next_s = time.monotonic() + 1
    while time.monotonic() < end:
        workers = sorted(filter(is_there, children_of(server.pid)))
        if ready := sorted(set(workers) & set(ready_workers(server))):
            signal_worker(chance.choice(ready), signal.SIGTERM)
        if time.monotonic() >= next_s and workers:
            next_s = time.monotonic() + chance.uniform(0.5, 1.5)
            what = chance.choice(others)
            if what == "kill":
                victim = chance.choice(workers)
                began_s = time.monotonic()
                signal_worker(victim, signal.SIGKILL)
                until(lambda victim=victim: not is_there(victim), "a killed worker is gone")
                kills.times[victim] = (began_s, time.monotonic())
            else:
                send(server, getattr(signal, what))
        time.sleep(0.3)
    return kills


def signal_worker(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def executions(path: Path) -> list[tuple[str, int, int]]:
    """(method, number, process id) of every call of the application."""
    words = (line.split() for line in path.read_text().splitlines())
    return [(method, int(number), int(pid)) for method, number, pid in words if number.isdigit()]


def judge(tally: Tally, kills: Kills, executed: list[tuple[str, int, int]]) -> None:
    executed_by = {number: pid for _, number, pid in executed}
    failures = [failure for failure in tally.failures if not kills.explain(failure, executed_by)]
    told = "\n".join(
        f"{failure} [executed by {executed_by.get(failure.number, 'nobody')}]" for failure in failures[:20]
    )
    assert not failures, f"seed {SEED}: {len(failures)} of {tally.answered} without excuse:\n{told}\n{kills.times}"
    posts = Counter(number for method, number, _ in executed if method == "POST")
    assert [number for number, count in posts.items() if count > 1] == [], f"seed {SEED}: executed twice"
    assert tally.posted <= posts.keys(), f"seed {SEED}: answered and never executed"


@pytest.mark.threat(
    "G-089",
    sent="workers killed, recycled, reloaded and scaled under load",
    verdict="no request fails but those a killed worker had begun",
)
def test_no_request_fails_whatever_happens_to_the_workers(tmp_path: Path) -> None:
    write_site(tmp_path)
    executed = tmp_path / "executed"
    environment = {"BOOT_S": BOOT_S, "DELAY_S": "0.03", "EXECUTED": str(executed)}
    flags = ("--timeout-retire", "5", "--max-lifetime", "3")
    with supervised(tmp_path, *flags, workers=WORKERS, environment=environment) as server:
        descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
        with loading(server.address, kept=64, fresh=64, pause_s=0.02) as load:
            load.wait_for_answers(200)
            kills = make_trouble(server, SECONDS, random.Random(SEED))
            load.wait_for_answers(500)
        tally = load.tally
        print(f"seed {SEED}: {len(kills.times)} killed, {tally.describe()}")
        judge(tally, kills, executions(executed))
        assert len(tally.by_worker) > WORKERS, "no worker was ever replaced"
        # Calm again: as many as are wanted, all of them serving, nothing left behind.
        wanted = int(server.log.rpartition("Workers: ")[2].split()[0]) if "Workers: " in server.log else WORKERS
        until(lambda: len(answering(server, tries=20)) >= min(wanted, 2), "workers answer", 60)
        until(lambda: len(children_of(server.pid)) <= wanted + 1, "no worker is left over", 60)
        # Workers still wear out and are replaced: one more is always about to start, and may be seen.
        most = descriptors + PER_WORKER * (max(0, wanted - WORKERS) + 1) + 2
        until(lambda: len(os.listdir(f"/proc/{server.pid}/fd")) <= most, "no descriptor is left over", 60)
    assert "Traceback" not in server.log
