"""One attack: a server by the real command, a crowd, a healthy client beside it, and what was measured meanwhile.

The healthy client asks 50 times a second whatever becomes of its answers: a request that has to wait for the one
before it counts from when it was due, so that a server that stands still is not asked less. Never here: what the crowd
does (``moves``), what a number is compared with (the tests).
"""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.attacks.crowd import Plan
from tests.support.memory import resident_bytes
from tests.support.raw import Connection
from tests.support.server import REPOSITORY, Server, child_environment, command_for
from tests.threats.stage import Vitals

#: Seconds between two requests of the healthy client, and how many come on one connection.
_PAUSE_S = 0.02
_RENEWED = 10
_PATIENCE_S = 10.0
#: How long the worker may take to give back what it held, once its attackers are gone.
_SETTLED_S = 15.0
_SAMPLE_S = 0.05
#: Pages that hold a little of something may remain.
KEPT_MIB = 32
_MIB = 1024 * 1024
#: Attackers are niced: they have computers of their own.
_NICE = 10


@dataclass
class Outcome:
    """What was measured; times in milliseconds, memory in MiB."""

    attack: str
    clients: int
    seconds: float
    asked: int = 0
    answered: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    slowest_ms: float = 0.0
    before_mib: float = 0.0
    peak_mib: float = 0.0
    after_mib: float = 0.0
    #: Of one processor, while the attack went on.
    cpu_percent: float = 0.0
    log_bytes: int = 0
    descriptors: tuple[int, int, int] = (0, 0, 0)
    #: What became of the crowd's connections, added up.
    crowd: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def growth_mib(self) -> float:
        """Memory at its highest above that before."""
        return self.peak_mib - self.before_mib

    def describe(self) -> str:
        """For a failing test."""
        return json.dumps(asdict(self), indent=1)


class Healthy:
    """The healthy client, in a thread, from ``start`` until the block ends."""

    def __init__(self, address: tuple[str, int], tls: ssl.SSLContext | None = None, renewed: int = _RENEWED) -> None:
        self._address = address
        self._renewed = renewed
        self._tls = tls
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="healthy", daemon=True)
        self.asked = 0
        self.latencies_s: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def share_ms(self, hundredth: int) -> float:
        """A percentile of the latencies."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, len(ordered) * hundredth // 100)] * 1000 if ordered else 0.0

    def _ask(self) -> None:
        connection: Connection | None = None
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self.asked += 1
            try:
                if connection is None:
                    connection = Connection(self._address, timeout_s=_PATIENCE_S, tls=self._tls)
                answer = connection.ask("GET", "/bystander")
                self.latencies_s.append(time.monotonic() - due)
                if (answer.status, answer.body) != (200, b"well"):
                    self.failures.append(f"{answer.status} {answer.body[:40]!r}")
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(repr(error))
                if connection is not None:
                    connection.close()
                    connection = None
            if connection is not None and self.asked % self._renewed == 0:
                connection.close()
                connection = None
            due += _PAUSE_S
        if connection is not None:
            connection.close()


class Attackers:
    """Crowds, each in a process of its own."""

    def __init__(self, address: tuple[str, int], crowds: list[list[Plan]]) -> None:
        self._processes = []
        for plans in crowds:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.attacks.crowd"], cwd=REPOSITORY, env=child_environment(),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
            )  # fmt: skip
            assert process.stdin is not None
            said = {"address": address, "nice": _NICE, "plans": [asdict(plan) for plan in plans]}
            process.stdin.write(json.dumps(said) + "\n")
            self._processes.append(process)

    def wait_until_inside(self) -> None:
        """Until each client has had a connection, or that has taken too long."""
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", "the crowd ended before it began"

    def stop(self) -> Counter[str]:
        """Have them leave; what became of them."""
        found: Counter[str] = Counter()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self._processes:
            assert process.stdout is not None
            for count in json.loads(process.stdout.readline() or "[]"):
                found.update(count)
            process.stdout.close()
            process.wait(30)
        self._processes = []
        return found

    def kill(self) -> None:
        """If ``stop`` was not reached."""
        for process in self._processes:
            process.kill()
            process.wait()


class _Gauge:
    """The highest memory and the most descriptors, looked at twenty times a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="gauge", daemon=True)
        self.highest_bytes = 0
        self.descriptors = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        looks = 0
        while not self._over.wait(_SAMPLE_S):
            self.highest_bytes = max(self.highest_bytes, resident_bytes(self._pid))
            looks += 1
            if looks % 10 == 0:
                with contextlib.suppress(OSError):
                    self.descriptors = max(self.descriptors, len(os.listdir(f"/proc/{self._pid}/fd")))


@contextlib.contextmanager
def serving(site: str, *flags: str, descriptors: int = 0) -> Iterator[Server]:
    """``tests.attacks.sites.SITE`` in one worker by the real command, with so many descriptors (0: as many as here)."""
    command = command_for(f"tests.attacks.sites.{site}:app", *flags, app_dir=REPOSITORY)
    if descriptors:
        command = ["/bin/sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *command]
    server = Server(command, REPOSITORY, child_environment())
    try:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, server.log[-4000:]
    finally:
        if server.process.poll() is None:
            server.kill()


def besiege(
    server: Server, attack: str, *crowds: list[Plan], seconds: float, tls: ssl.SSLContext | None = None,
    renewed: int = _RENEWED,
) -> Outcome:  # fmt: skip
    """Attack for so long from when the crowds are inside, and measure.

    ``renewed``: after how many requests the healthy client comes on a new connection.
    """
    clients = sum(plan.clients for plans in crowds for plan in plans)
    with attacked(server, attack, clients, tls, renewed) as outcome:
        attackers = Attackers(server.address, list(crowds))
        try:
            attackers.wait_until_inside()
            began, before = time.monotonic(), Vitals.of(server.pid)
            time.sleep(seconds)
            spent_s = Vitals.of(server.pid).processor_s - before.processor_s
            outcome.seconds = time.monotonic() - began
            outcome.cpu_percent = 100 * spent_s / outcome.seconds
            outcome.crowd = dict(attackers.stop())
        finally:
            attackers.kill()
    return outcome


@contextlib.contextmanager
def attacked(
    server: Server, attack: str, clients: int, tls: ssl.SSLContext | None = None, renewed: int = _RENEWED
) -> Iterator[Outcome]:
    """Measure a server while the block attacks it."""
    with Healthy(server.address, tls):
        time.sleep(0.5)
    before = Vitals.of(server.pid)
    mark = server.mark()
    outcome = Outcome(attack, clients, 0.0, before_mib=before.resident_bytes / _MIB)
    with _Gauge(server.pid) as gauge, Healthy(server.address, tls, renewed) as healthy:
        yield outcome
        time.sleep(0.2)
    outcome.asked, outcome.answered = healthy.asked, len(healthy.latencies_s)
    outcome.failures = healthy.failures[:5]
    outcome.p50_ms, outcome.p99_ms, outcome.slowest_ms = map(healthy.share_ms, (50, 99, 100))
    outcome.peak_mib = gauge.highest_bytes / _MIB
    outcome.log_bytes = sum(len(line) for line in server.log_since(mark).splitlines() if "/bystander" not in line)
    after = _settled(server, before)
    outcome.after_mib = after.resident_bytes / _MIB
    outcome.descriptors = (before.descriptors, gauge.descriptors, after.descriptors)


def _settled(server: Server, before: Vitals) -> Vitals:
    """When descriptors and memory are about what they were before, or that has taken too long."""
    end = time.monotonic() + _SETTLED_S
    while True:
        assert server.process.poll() is None, f"the worker ended:\n{server.log[-4000:]}"
        now = Vitals.of(server.pid)
        is_small = now.resident_bytes <= before.resident_bytes + KEPT_MIB * _MIB
        if (now.descriptors <= before.descriptors and is_small) or time.monotonic() > end:
            return now
        time.sleep(0.1)


def file_of(place: Path, size: int) -> Path:
    """A file of zeros that takes no room on the disk."""
    path = place / "large"
    with path.open("wb") as file:
        file.truncate(size)
    return path


def split(plan: Plan, processes: int = 2) -> list[list[Plan]]:
    """One plan for several processes."""
    words: dict[str, Any] = asdict(plan)
    share = plan.clients // processes
    return [[Plan(**{**words, "clients": share, "pace": plan.pace / processes})] for _ in range(processes)]
