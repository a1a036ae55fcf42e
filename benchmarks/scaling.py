"""How much more two workers on two cores serve than one, with applications that need the processor."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks import load
from benchmarks.apps.whoami import spin
from benchmarks.crew import crew
from benchmarks.load import LoadFailedError, Sample
from benchmarks.servers import Launch, Server
from benchmarks.spawn import ServerFailedError, free_port
from benchmarks.works import Target, Work

WORKERS = (1, 2)
MILLISECONDS = (1, 5)
TARGET = 1.8
_CALIBRATION_ROUNDS = 20_000
_CEILING_S = 0.5


@dataclass
class Pair:
    """One and two workers, measured one after the other."""

    one: Sample
    two: Sample

    @property
    def factor(self) -> float:
        """Two workers over one."""
        return self.two.requests_s / self.one.requests_s if self.one.requests_s else 0.0


@dataclass
class Scaled:
    """One server with one application; `rounds` in the order they were run."""

    server: str
    interface: str
    milliseconds: int
    rounds: list[Pair] = field(default_factory=list)
    problem: str = ""
    # Both workers have answered before the load began, in every round.
    is_shared: bool = True

    @property
    def factor(self) -> float:
        """The median of the rounds."""
        return statistics.median(pair.factor for pair in self.rounds)


def spin_rounds_a_ms() -> int:
    """How many rounds of the application's work take a millisecond of this processor."""
    took_s = []
    for _ in range(15):
        began = time.process_time()
        spin(_CALIBRATION_ROUNDS)
        took_s.append(time.process_time() - began)
    return round(_CALIBRATION_ROUNDS / statistics.median(took_s) / 1000)


def _count(until_s: float) -> int:
    done = 0
    while time.monotonic() < until_s:
        spin(1000)
        done += 1
    return done


def ceiling() -> float:
    """What the machine itself gives: two processes that only work, over one. No server can be above it."""
    counts = []
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        pool.map(_count, [0.0, 0.0])
        for processes in WORKERS:
            until_s = time.monotonic() + _CEILING_S
            waiting = [pool.apply_async(_count, (until_s,)) for _ in range(processes)]
            counts.append(sum(one.get() for one in waiting))
    return counts[1] / counts[0]


def measure_round(server: Server, scaled: Scaled, rounds_a_ms: int, duration_s: float, cores: Iterable[int]) -> None:
    """One worker, then two; the pair goes to `scaled`, or why there is none."""
    samples = []
    core_set = set(cores)
    try:
        for workers in WORKERS:
            work = _work(scaled, rounds_a_ms)
            launch = Launch(work.app, work.interface, free_port(), workers=workers)
            with crew(server, launch, core_set) as (started, seen):
                scaled.is_shared = scaled.is_shared and len(seen) == workers
                samples.append(load.run(started, work, duration_s, None))
        scaled.rounds.append(Pair(*samples))
    except (ServerFailedError, LoadFailedError) as error:
        scaled.problem = str(error)


def _work(scaled: Scaled, rounds_a_ms: int) -> Work:
    return Work(
        f"spin-{scaled.milliseconds}",
        f"{scaled.milliseconds} ms of processor time",
        scaled.interface,
        f"benchmarks.apps.whoami:{scaled.interface}",
        bytes.isdigit,
        Target(TARGET),
        path=f"/{rounds_a_ms * scaled.milliseconds}",
    )
