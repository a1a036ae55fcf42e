"""What processes hold and use, seen from outside, once a second; and what workers tell of their own objects.

Lives here: /proc, and the diagnostic route of the site. Never here: what may grow (``judge``).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.soak.client import Connection, Over, request
from tests.soak.servers import Running
from tests.support.supervised import children_of

PROC = Path("/proc")
TICK_S = 1.0
#: Collecting garbage holds a worker up for some hundredths of a second: not often.
OBJECTS_TICK_S = 15.0
#: Connections made until the right worker takes one.
MOST_TRIES = 60
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")

#: By subject: "t" and what was measured at that time.
Series = dict[str, dict[str, list[float]]]


def of_process(pid: int) -> dict[str, float] | None:
    """Memory (bytes), descriptors, threads and CPU time (seconds) of a process; None once it is gone."""
    try:
        rollup = (PROC / str(pid) / "smaps_rollup").read_text()
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        descriptors = len(os.listdir(PROC / str(pid) / "fd"))
    except (OSError, IndexError):
        return None
    sizes = {name: float(kib) * 1024 for name, kib in re.findall(r"(?m)^(Rss|Pss): +(\d+) kB", rollup)}
    if len(sizes) < 2:
        return None
    return {
        "rss": sizes["Rss"],
        "pss": sizes["Pss"],
        "descriptors": descriptors,
        "threads": float(fields[17]),
        "cpu_s": (int(fields[11]) + int(fields[12])) / CLOCK_TICKS,
    }


class Sampler:
    """Samples in a thread of its own until it is stopped; ``clock`` gives seconds since the beginning."""

    def __init__(self, servers: list[Running], clock: Callable[[], float]) -> None:
        self.series: Series = defaultdict(lambda: defaultdict(list))
        self._servers = servers
        self._clock = clock
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._is_over.set()
        self._thread.join()

    def look(self) -> None:
        """One sample of each process."""
        for running in self._servers:
            self._note(f"{running.name}, supervisor", of_process(running.server.pid))
            if not running.place.is_renewed:
                for number, pid in enumerate(running.workers, 1):
                    self._note(f"{running.name}, worker {number}", of_process(pid))
                continue
            found = [one for pid in sorted(children_of(running.server.pid)) if (one := of_process(pid)) is not None]
            sums = {name: sum(one[name] for one in found) for name in ("rss", "pss", "descriptors", "threads")}
            self._note(f"{running.name}, all workers", sums | {"count": float(len(found))})

    def _note(self, subject: str, sample: dict[str, float] | None) -> None:
        if sample is not None:
            for name, value in {"t": round(self._clock(), 2), **sample}.items():
                self.series[subject][name].append(value)

    def _run(self) -> None:
        next_s = time.monotonic()
        while not self._is_over.wait(max(0.0, next_s - time.monotonic())):
            self.look()
            next_s = max(next_s + TICK_S, time.monotonic())


class ObjectsSampler:
    """Asks the workers that stay what they hold."""

    def __init__(self, servers: list[Running], clock: Callable[[], float]) -> None:
        self.series: Series = defaultdict(lambda: defaultdict(list))
        #: How many objects of each class, by subject, at the moments when it was asked for.
        self.classes: dict[str, list[dict[str, int]]] = defaultdict(list)
        self._servers = [running for running in servers if not running.place.is_renewed]
        self._clock = clock

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(OBJECTS_TICK_S)
            await self.look()

    async def look(self, *, has_classes: bool = False) -> None:
        """One sample of each worker."""
        for running in self._servers:
            for number, pid in enumerate(running.workers, 1):
                told = await _ask(running, pid, has_classes)
                subject = f"{running.name}, worker {number}"
                for name in ("objects", "tasks", "blocks", "heap"):
                    self.series[subject][name].append(told[name])
                self.series[subject]["t"].append(round(self._clock(), 2))
                if has_classes:
                    self.classes[subject].append({name: count for name, count in told.items() if "." in name})


async def _ask(running: Running, pid: int, has_classes: bool) -> dict[str, Any]:
    target = f"/objects/{pid}" + ("/classes" if has_classes else "")
    for _ in range(MOST_TRIES):
        async with await Connection.open(running.place) as connection:
            await connection.send(request("GET", target, is_last=True))
            told: dict[str, Any] = json.loads((await connection.read()).expect(200).body)
        if told["pid"] == pid:
            return told
    raise Over(f"worker {pid} of {running.name} took none of {MOST_TRIES} connections", False)
