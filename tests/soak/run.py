"""One run: servers up, load on, a rest, load on again, the last rest, servers down; and the record of it all.

Lives here: the order of things and their times. Never here: what clients do, what may be.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak import http2_visits, servers, trouble, visits, waiting, websocket_visits
from tests.soak.crowd import Crowd
from tests.soak.ledger import Ledger, complaints
from tests.soak.sample import ObjectsSampler, Sampler
from tests.soak.servers import RENEWED, WORKERS, Running
from tests.support.server import REPOSITORY
from tests.support.supervised import children_of

ROLES = [*visits.ROLES, *http2_visits.ROLES, *websocket_visits.ROLES, *trouble.ROLES, *waiting.ROLES]
#: Answers and messages a second of all clients with the pauses as they are written; another rate stretches them.
NATURAL_RATE = 330.0
#: Of the whole run, and at most.
WARM_UP_SHARE, WARM_UP_MOST_S = 0.2, 300.0
#: The warm-up is faster, so that the busiest moments are behind: allocators keep what they needed for those.
WARM_UP_SPEED = 1.5
#: A rest is over when no descriptor came or went for this long, or after the other.
CALM_S, REST_MOST_S = 3.0, 45.0


@dataclass
class Plan:
    """What was asked for."""

    minutes: float
    folder: Path
    rate: float = 300.0
    seed: int = 6


class Run:
    """Makes one record."""

    def __init__(self, plan: Plan, tell: Callable[[str], None]) -> None:
        self._plan = plan
        self._tell = tell
        self._start_s = time.monotonic()
        self._ledger = Ledger()
        self._spans: list[tuple[str, float, float]] = []
        self._latency: dict[str, dict[str, list[float]]] = {}
        self._reloads = 0

    def clock(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._start_s

    async def make(self) -> dict[str, Any]:
        """The record."""
        plan = self._plan
        run_s = plan.minutes * 60
        with servers.serving(plan.folder, run_s) as running:
            self._start_s = time.monotonic()
            sampler, objects = Sampler(running, self.clock), ObjectsSampler(running, self.clock)
            places = [one.place for one in running]
            crowd = Crowd(places, ROLES, self._ledger, plan.seed, plan.rate / NATURAL_RATE)
            warm_up_s = min(WARM_UP_MOST_S, run_s * WARM_UP_SHARE)
            sampler.start()
            try:
                await asyncio.sleep(CALM_S)
                self._spans.append(("before", 0.0, self.clock()))
                crowd.speed *= WARM_UP_SPEED
                await self._load("warm-up", warm_up_s, crowd, running, objects)
                crowd.speed /= WARM_UP_SPEED
                await self._rest("rest", sampler, objects)
                await self._load("load", run_s - warm_up_s, crowd, running, objects)
                await self._rest("end", sampler, objects)
            finally:
                sampler.stop()
            workers = await _count_workers(running)
            self._end(running)
        return {
            "plan": self._describe(),
            "spans": self._spans,
            "kinds": [role.kind for role in ROLES],
            "processes": sampler.series,
            "objects": objects.series,
            "classes": objects.classes,
            "latency": self._latency,
            "ledger": self._ledger.as_json(),
            "workers": workers,
            "threads": servers.THREADS,
            "renewed": {"replaced": self._replaced(running), "reloads": self._reloads},
        }

    async def _load(
        self, name: str, length_s: float, crowd: Crowd, running: list[Running], objects: ObjectsSampler
    ) -> None:
        self._tell(f"{name}: {length_s:.0f} s")
        start_s = self.clock()
        async with self._probing(running), _beside(objects.run()), _beside(self._reload(running)):
            crowd.start()
            while (left_s := start_s + length_s - self.clock()) > 0:
                await asyncio.sleep(min(left_s, 60.0))
                for missing in [one for each in running for one in servers.missing_workers(each)]:
                    self._ledger.note_unexplained("worker", missing)
                done = sum(self._ledger.done.values())
                self._tell(f"{self.clock():6.0f} s: {done} done, {self._ledger.unexplained_count} unexplained")
            self._spans.append((name, start_s, self.clock()))
            await crowd.stop()

    async def _rest(self, name: str, sampler: Sampler, objects: ObjectsSampler) -> None:
        """Until nothing moves; then what is left is looked at."""
        start_s = self.clock()
        calm_since_s, before = start_s, None
        while self.clock() - calm_since_s < CALM_S and self.clock() - start_s < REST_MOST_S:
            await asyncio.sleep(1.0)
            now = {subject: series["descriptors"][-1] for subject, series in sampler.series.items()}
            if now != before:
                calm_since_s, before = self.clock(), now
        await objects.look()
        await objects.look(has_classes=True)
        await asyncio.sleep(1.0)
        sampler.look()
        self._spans.append((name, start_s, self.clock()))
        self._tell(f"{name}: {self.clock() - start_s:.0f} s")

    async def _reload(self, running: list[Running]) -> None:
        period_s = min(servers.RELOAD_S, self._plan.minutes * 60 / 4)
        while True:
            await asyncio.sleep(period_s)
            for one in running:
                if one.place.is_renewed:
                    servers.reload(one)
                    self._reloads += 1

    @contextlib.asynccontextmanager
    async def _probing(self, running: list[Running]) -> AsyncIterator[None]:
        certificate = self._plan.folder / "localhost.pem"
        words = [
            f"{one.name}={one.place.host}:{one.place.port}" + (f":{certificate}" if one.place.tls else "")
            for one in running
        ]
        probe = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.soak.probe", *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY,
        )  # fmt: skip
        assert probe.stdout is not None and probe.stdin is not None
        reading = asyncio.create_task(self._note_probe(probe.stdout))
        try:
            yield
        finally:
            probe.stdin.close()
            await asyncio.wait_for(probe.wait(), 60)
            await reading

    async def _note_probe(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            told = json.loads(line)
            series = self._latency.setdefault(told["server"], {"t": [], "p50": [], "p99": [], "worst": []})
            series["t"].append(round(told["at_s"] - self._start_s, 2))
            for name in ("p50", "p99", "worst"):
                series[name].append(told[name])
            self._ledger.note_done("healthy probe", told["count"] - len(told["errors"]))
            for error in told["errors"]:
                self._ledger.note_unexplained(f"healthy probe at {told['server']}", error)

    def _end(self, running: list[Running]) -> None:
        for one in running:
            code = one.server.stop()
            (self._plan.folder / f"{one.name}.log").write_text(one.server.log)
            if code != 0:
                self._ledger.note_unexplained(one.name, f"exit code {code}")
            for complaint in complaints(one.server.log, is_renewed=one.place.is_renewed):
                self._ledger.note_unexplained(f"log of {one.name}", complaint)

    def _replaced(self, running: list[Running]) -> int:
        return sum(one.server.log.count(" is to be replaced: ") for one in running if one.name == RENEWED)

    def _describe(self) -> dict[str, Any]:
        import torana
        from torana.base.build import describe

        spans = {name: end - start for name, start, end in self._spans}
        return {
            "minutes": self._plan.minutes,
            "rate": self._plan.rate,
            "seed": self._plan.seed,
            "rate_found": round(sum(self._ledger.done.values()) / max(1.0, spans["warm-up"] + spans["load"]), 1),
            "torana": torana.__version__,
            "build": describe(),
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release().partition('-')[0]}",
            "cpus": len(os.sched_getaffinity(0)),
        }


async def _count_workers(running: list[Running]) -> dict[str, dict[str, int]]:
    """How many there are; those that retire have until then."""
    end_s = time.monotonic() + REST_MOST_S
    while any(len(children_of(one.server.pid)) != WORKERS for one in running) and time.monotonic() < end_s:
        await asyncio.sleep(0.2)
    return {one.name: {"wanted": WORKERS, "found": len(children_of(one.server.pid))} for one in running}


@contextlib.asynccontextmanager
async def _beside(work: Any) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
