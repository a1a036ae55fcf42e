"""A server under attack and what is seen of it: the five oracles.

(a) the calls its application got, (b) and (c) what a connection brought back and how it ended (``wire``), (d) the
worker's process: pid, memory, descriptors, processor time, (e) a bystander, who is to be served through all of it.
Never here: attacks, verdicts.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sysconfig
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.memory import resident_bytes
from tests.support.raw import Answer, Connection
from tests.support.server import REPOSITORY, Server, running
from tests.support.supervised import until

#: Between two requests of the bystander: 50 a second.
_PAUSE_S = 0.02
#: The bystander comes on a new connection every so many requests.
_RENEWED = 10
#: A connection that was not used for longer is not used again: the server may be about to close it.
_STALE_S = 0.2
#: What a terminal may take for a command.
_RAW = re.compile(rb"[^\n\t -~]")
#: How long descriptors may take to be given back after an attack: timers of closing connections among them.
SETTLED_S = 10.0
#: Pages of the allocator that one attack may leave behind.
GROWTH_BYTES = 8 * 1024 * 1024
#: So much more of it may stay: the allocator of free-threaded builds gives back later, but what it has it uses again.
SLACK = 3 if sysconfig.get_config_var("Py_GIL_DISABLED") else 1


class Bystander:
    """A healthy client that asks 50 times a second, on kept and on new connections, while it is on.

    One for the life of a stage: between attacks it rests, holding its one connection.
    """

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._is_on = False
        self._is_over = False
        self._is_resting = True
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._live, name="bystander", daemon=True)
        self._connection: Connection | None = None
        self._asked = 0
        self._used_at = 0.0
        #: Of each request since it was turned on, its connection included; seconds.
        self.latencies_s: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._is_over = True
            self._news.notify_all()
        self._thread.join()
        self._leave()

    def arrive(self) -> None:
        """Have its one connection open, and fit for use."""
        if self._connection is None or time.monotonic() - self._used_at > _STALE_S:
            self._leave()
            self._connection = Connection(self._address)
            self._used_at = time.monotonic()

    def begin(self) -> None:
        """From now on it asks, and forgets what was before."""
        with self._news:
            assert self._is_resting
            self.latencies_s, self.failures = [], []
            self._is_on, self._is_resting = True, False
            self._news.notify_all()

    def rest(self) -> None:
        """After one more answer it asks no more, until `begin`."""
        with self._news:
            self._is_on = False
            self._news.notify_all()
            self._news.wait_for(lambda: self._is_resting)

    def p99_s(self) -> float:
        """The 99th percentile of the latencies; seconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def _live(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._is_over or not self._is_resting)
                if self._is_over:
                    return
            self._ask()
            with self._news:
                if not self._is_on:
                    self._is_resting = True
                    self._news.notify_all()
                else:
                    self._news.wait_for(lambda: self._is_over or not self._is_on, _PAUSE_S)

    def _ask(self) -> None:
        try:
            began = time.monotonic()
            if self._asked >= _RENEWED:
                self._leave()
            self.arrive()
            assert self._connection is not None
            answer = self._connection.ask("GET", "/bystander")
            self._asked, self._used_at = self._asked + 1, time.monotonic()
            self.latencies_s.append(time.monotonic() - began)
            if (answer.status, answer.body) != (200, b"well"):
                self.failures.append(f"{answer.status} {answer.body[:40]!r}")
        except (OSError, EOFError, AssertionError) as error:
            self.failures.append(repr(error))
            self._leave()

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection, self._asked = None, 0


@dataclass(frozen=True)
class Vitals:
    """Of one process."""

    pid: int
    resident_bytes: int
    descriptors: int
    processor_s: float

    @classmethod
    def of(cls, pid: int) -> Vitals:
        """Read /proc."""
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        processor_s = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        return cls(pid, resident_bytes(pid), len(os.listdir(f"/proc/{pid}/fd")), processor_s)


@dataclass
class Stage:
    """One running server, whose command is its only worker, and the notes of its application."""

    server: Server
    notes: Path
    bystander: Bystander
    #: The name of the application's module.
    site: str
    _read_bytes: int = field(default=0)

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect."""
        return self.server.address

    def connect(self, **how: Any) -> Connection:
        """A new connection."""
        return Connection(self.address, **how)

    def ask(self, target: str, method: str = "GET", *fields: str, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connect() as connection:
            return connection.ask(method, target, "Connection: close", *fields, body=body)

    def fence(self) -> None:
        """Two turns of the worker: what was sent before has been read, and been given to the application."""
        for _ in range(2):
            assert self.ask("/fence").status == 200

    def events(self) -> list[dict[str, Any]]:
        """What the application noted since the last time, fences left out."""
        with self.notes.open("rb") as file:
            file.seek(self._read_bytes)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        events = [json.loads(line) for line in whole.splitlines()]
        return [event for event in events if event["event"] != "fence" and event.get("path") != "/fence"]

    def calls(self) -> list[dict[str, Any]]:
        """The calls among `events`."""
        return [event for event in self.events() if event["event"] == "call"]

    def wait_for_calls(self, count: int) -> None:
        """Until the application has been called so many times more."""
        end = time.monotonic() + 20
        while (count := count - len(self.calls())) > 0:
            assert time.monotonic() < end, f"{count} calls more are awaited"
            time.sleep(0.01)

    def vitals(self) -> Vitals:
        """Of the worker."""
        return Vitals.of(self.server.pid)

    @contextlib.contextmanager
    def attacked(self, *, growth_bytes: int = GROWTH_BYTES, shows_failures: bool = False) -> Iterator[Bystander]:
        """While the block attacks: a bystander is served, and afterwards the worker is as it was.

        ``shows_failures``: the application is made to fail, and its failures may be logged.
        """
        mark = self.server.mark()
        # While it rests, for on its way from one connection to the next it has none.
        self.bystander.arrive()
        self.fence()
        before = self.vitals()
        self.bystander.begin()
        try:
            yield self.bystander
        finally:
            self.bystander.rest()
        log = self.server.log_since(mark)
        assert self.server.process.poll() is None, f"the worker ended:\n{log[-4000:]}"
        assert not self.bystander.failures, self.bystander.failures[:5]
        assert self.bystander.latencies_s, "the bystander never got an answer"
        self.settle(before)
        # What ended with the attack is told to the application before anybody asks what it has noted.
        self.fence()
        after = self.vitals()
        assert after.resident_bytes - before.resident_bytes <= growth_bytes * SLACK, "the worker kept memory"
        assert shows_failures or "Traceback" not in log, log[-4000:]

    def settle(self, before: Vitals) -> None:
        """Wait until the worker has no more descriptors than before."""
        end, pause_s = time.monotonic() + SETTLED_S, 0.001
        while (now := self.vitals()).descriptors > before.descriptors:
            assert time.monotonic() < end, f"{now.descriptors} descriptors, {before.descriptors} before"
            time.sleep(pause_s)
            pause_s = min(0.05, pause_s * 2)


@contextlib.contextmanager
def staged(place: Path, site: str, *flags: str, environment: dict[str, str] | None = None) -> Iterator[Stage]:
    """Serve ``tests.threats.sites.SITE`` in one worker, by the real command; notes and the access log go to ``place``.

    In the end nothing that came from a client may stand raw in either log.
    """
    notes, access_log = place / "notes", place / "access.log"
    notes.touch()
    known = {"NOTES": str(notes)} | (environment or {})
    logged = () if {"--access-log-file", "--no-access-log"} & set(flags) else ("--access-log-file", str(access_log))
    with running(f"tests.threats.sites.{site}:app", *flags, *logged, app_dir=REPOSITORY, environment=known) as server:
        if logged:
            # A thread of its own opens it, for which nobody waits.
            until(access_log.exists, "the access log")
        with Bystander(server.address) as bystander:
            yield Stage(server, notes, bystander, site)
    for log in (server.log.encode(), access_log.read_bytes() if logged else b""):
        assert (raw := _RAW.search(log)) is None, log[max(0, raw.start() - 100) : raw.end() + 100]
