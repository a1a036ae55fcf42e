"""The clients of benchmarks/clients.py as the benchmark sees them: started, listened to, and summed up."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import NamedTuple

from benchmarks import clients
from benchmarks.spawn import ROOT, pin_to

_NO_FAILURE = (clients.OK, clients.OPEN)


class Record(NamedTuple):
    """One request of one client: seconds of the monotonic clock, how it ended, and the worker that answered."""

    began_s: float
    ended_s: float
    client: int
    outcome: str
    pid: int

    @property
    def is_ok(self) -> bool:
        """Answered with 200, wholly."""
        return self.outcome == clients.OK


class Traffic:
    """A running crowd of clients. `records` grows while it runs; whole after `stop`."""

    def __init__(
        self, port: int, *, kept: int = 0, fresh: int = 0, rate: float = 0, total: int = 0, core: int | None = None
    ) -> None:
        command = [sys.executable, "-m", "benchmarks.clients", "--port", str(port), "--kept", str(kept)]
        command += ["--fresh", str(fresh), "--rate", str(rate)] + (["--total", str(total)] if total else [])
        self.records: list[Record] = []
        self._lags: list[Record] = []
        self.busy = 0.0
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=partial(pin_to, core),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            began, ended, client, outcome, pid = line.split()
            record = Record(float(began), float(ended), int(client), outcome, int(pid))
            if outcome == clients.LAG:
                self._lags.append(record)
            elif outcome == clients.SPENT:
                self.busy = record.pid / 1e6 / max(record.ended_s - record.began_s, 1e-6)
            else:
                self.records.append(record)

    def worst_lag_s(self, from_s: float, to_s: float) -> float:
        """The longest time this client process itself was late; what hides in it cannot be blamed on the server."""
        return max((r.ended_s - r.began_s for r in self._lags if r.ended_s > from_s and r.began_s < to_s), default=0.0)

    def wait(self, limit_s: float) -> bool:
        """Whether all requests asked for were made before the limit."""
        self._reader.join(limit_s)
        return not self._reader.is_alive()

    def stop(self) -> None:
        """Close its input, read what is left, and see it end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5.0)
        self._process.stdout.close()


class Latency(NamedTuple):
    """Of the requests answered in a window, in seconds."""

    answers: int
    p50_s: float
    p99_s: float
    max_s: float


NO_LATENCY = Latency(0, 0.0, 0.0, 0.0)


def latency(records: Iterable[Record], from_s: float, to_s: float) -> Latency:
    """Percentiles of what was answered between the two moments."""
    seconds = sorted(r.ended_s - r.began_s for r in records if r.is_ok and from_s <= r.ended_s <= to_s)
    if not seconds:
        return NO_LATENCY
    high = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
    return Latency(len(seconds), statistics.median(seconds), high, seconds[-1])


def failures(records: Iterable[Record], from_s: float, to_s: float) -> dict[str, int]:
    """How many requests that ended between the two moments failed, by how."""
    return dict(Counter(r.outcome for r in records if r.outcome not in _NO_FAILURE and from_s <= r.ended_s <= to_s))


def longest_silence_s(records: Iterable[Record], from_s: float, to_s: float) -> float:
    """The longest time in which no client at all got an answer."""
    moments = sorted(r.ended_s for r in records if r.is_ok and from_s <= r.ended_s <= to_s)
    return max(later - earlier for earlier, later in itertools.pairwise([from_s, *moments, to_s]))


def longest_wait_s(records: Iterable[Record], from_s: float, to_s: float) -> float:
    """The longest a client waited for an answer, counted from the first of its tries that failed."""
    wanting: dict[int, float] = {}
    longest = 0.0
    for record in sorted(records, key=lambda r: r.ended_s):
        if not from_s <= record.ended_s <= to_s:
            continue
        since = wanting.pop(record.client, record.began_s)
        longest = max(longest, record.ended_s - since)
        if not record.is_ok:
            wanting[record.client] = since
    return max([longest, *(to_s - since for since in wanting.values())])
