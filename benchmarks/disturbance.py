"""What clients notice when four workers are replaced under load (HUP), and when one of them is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks import traffic
from benchmarks.crew import crew, server_cores
from benchmarks.machine import Cores
from benchmarks.servers import Launch, Server
from benchmarks.spawn import Running, ServerFailedError, free_port
from benchmarks.traffic import NO_LATENCY, Latency, Record, Traffic

WORKERS = 4
KEPT = 64
FRESH = 16
RATE = 1000.0
BOOT_S = 1.0
TARGET_WAIT_S = 0.05
HUP = "HUP"
KILL = "kill -9"

_SETTLE_S = 0.5
_BEFORE_S = 1.0
_AFTER_S = 1.0
_LIMIT_S = 20.0
_POLL_S = 0.02


@dataclass
class Disturbed:
    """One server, once. Everything `_s` is seconds; `failed` counts by how, from the signal to the end of the load."""

    server: str
    interface: str
    event: str
    problem: str = ""
    before: Latency = NO_LATENCY
    during: Latency = NO_LATENCY
    workers_seen: int = 0
    failed_before: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    silence_s: float = 0.0
    wait_s: float = 0.0
    done_s: float | None = None
    client_busy: float = 0.0
    client_lag_s: float = 0.0

    @property
    def extra_wait_s(self) -> float:
        """How much longer than usual the client that waited longest waited."""
        return max(0.0, self.wait_s - self.before.p50_s)


def measure(server: Server, interface: str, event: str, cores: Cores) -> Disturbed:
    """Four workers under load, the event in the middle, and on until all is as it was or 20 seconds have passed."""
    found = Disturbed(server.name, interface, event)
    launch = Launch(f"benchmarks.apps.slow_boot:{interface}", interface, free_port(), workers=WORKERS)
    try:
        with crew(server, launch, server_cores(cores)) as (started, workers):
            found.workers_seen = len(workers)
            load = Traffic(int(launch.port), kept=KEPT, fresh=FRESH, rate=RATE, core=cores.load)
            try:
                time.sleep(_SETTLE_S + _BEFORE_S)
                known = workers | {record.pid for record in list(load.records) if record.is_ok}
                happened = _disturb(started, event, known)
                _watch(started, load, happened)
            finally:
                load.stop()
            _sum_up(found, load, happened)
            if started.process.poll() is not None:
                found.problem = f"ended with {started.process.returncode}: {started.output()}"
    except ServerFailedError as error:
        found.problem = str(error)
    return found


@dataclass(frozen=True)
class _Happened:
    """When, on the monotonic clock, and which workers are not among those that must answer afterwards."""

    at_s: float
    leaving: frozenset[int]


def _disturb(started: Running, event: str, known: set[int]) -> _Happened:
    if event == HUP:
        happened = _Happened(time.monotonic(), frozenset(known))
        started.process.send_signal(signal.SIGHUP)
        return happened
    # Only a process of this session that has named itself as a worker.
    victims = known & set(started.pids()) - {started.process.pid}
    if not victims:
        raise ServerFailedError("no worker of it has answered")
    happened = _Happened(time.monotonic(), frozenset({min(victims)}))
    os.kill(min(victims), signal.SIGKILL)
    return happened


def _watch(started: Running, load: Traffic, happened: _Happened) -> None:
    """Return some time after it is over; the load goes on meanwhile, to see that it is."""
    ended_s = None
    while time.monotonic() < happened.at_s + _LIMIT_S:
        time.sleep(_POLL_S)
        done_s = _done_s(list(load.records), happened)
        if done_s is None and started.process.poll() is not None:
            ended_s = done_s = ended_s or time.monotonic()
        if done_s is not None and time.monotonic() > done_s + _AFTER_S:
            return


def _done_s(records: Iterable[Record], happened: _Happened) -> float | None:
    """When the last of the workers wanted first answered, and the last of those that leave last did."""
    first: dict[int, float] = {}
    last_old_s = happened.at_s
    for record in records:
        if record.began_s < happened.at_s or not record.is_ok:
            continue
        if record.pid in happened.leaving:
            last_old_s = max(last_old_s, record.ended_s)
        else:
            first.setdefault(record.pid, record.ended_s)
    return max(last_old_s, sorted(first.values())[WORKERS - 1]) if len(first) >= WORKERS else None


def _sum_up(found: Disturbed, load: Traffic, happened: _Happened) -> None:
    records, event_s, before_s = load.records, happened.at_s, happened.at_s - _BEFORE_S
    end_s = max([event_s, *(record.ended_s for record in records)])
    done_s = _done_s(records, happened)
    found.done_s = None if done_s is None else done_s - event_s
    found.before = traffic.latency(records, before_s, event_s)
    found.during = traffic.latency(records, event_s, done_s or end_s)
    found.failed_before = traffic.failures(records, 0.0, event_s)
    found.failed = traffic.failures(records, event_s, end_s)
    found.silence_s = traffic.longest_silence_s(records, event_s, end_s)
    found.wait_s = traffic.longest_wait_s(records, event_s, end_s)
    found.client_busy, found.client_lag_s = load.busy, load.worst_lag_s(before_s, end_s)
