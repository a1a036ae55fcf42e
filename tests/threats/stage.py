"""A server under attack and what is seen of it: the five oracles.

(a) the calls its application got, (b) and (c) what a connection brought back and how it ended (``wire``), (d) the
worker's process: pid, memory, descriptors, processor time, (e) a bystander, who is to be served through all of it.
Never here: attacks, verdicts.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.support.memory import resident_bytes
from tests.support.raw import Answer, Connection
from tests.support.server import REPOSITORY, Server, running

#: Between two requests of the bystander: 50 a second.
_PAUSE_S = 0.02
#: The bystander comes on a new connection every so many requests.
_RENEWED = 10
#: How long descriptors may take to be given back after an attack: timers of closing connections among them.
SETTLED_S = 10.0
#: Pages of the allocator that one attack may leave behind.
GROWTH_BYTES = 8 * 1024 * 1024


class Bystander:
    """A healthy client that asks 50 times a second, on kept and on new connections, until the block ends."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="bystander", daemon=True)
        #: Of each request, its connection included; seconds.
        self.latencies_s: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def p99_s(self) -> float:
        """The 99th percentile of the latencies; seconds."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                with Connection(self._address) as connection:
                    for _ in range(_RENEWED):
                        began = time.monotonic()
                        answer = connection.ask("GET", "/bystander")
                        self.latencies_s.append(time.monotonic() - began)
                        if (answer.status, answer.body) != (200, b"well"):
                            self.failures.append(f"{answer.status} {answer.body[:40]!r}")
                        if self._over.wait(_PAUSE_S):
                            return
            except (OSError, EOFError, AssertionError) as error:
                self.failures.append(repr(error))
                if self._over.wait(_PAUSE_S):
                    return


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
        return [event for event in events if event["event"] != "fence"]

    def calls(self) -> list[dict[str, Any]]:
        """The calls among `events`."""
        return [event for event in self.events() if event["event"] == "call"]

    def vitals(self) -> Vitals:
        """Of the worker."""
        return Vitals.of(self.server.pid)

    @contextlib.contextmanager
    def attacked(self, *, growth_bytes: int = GROWTH_BYTES) -> Iterator[Bystander]:
        """While the block attacks: a bystander is served, and afterwards the worker is as it was."""
        self.fence()
        before = self.vitals()
        with Bystander(self.address) as bystander:
            yield bystander
        assert bystander.latencies_s, "the bystander never got an answer"
        assert not bystander.failures, bystander.failures[:5]
        assert self.server.process.poll() is None, f"the worker ended:\n{self.server.log[-4000:]}"
        self.settle(before)
        after = self.vitals()
        assert after.resident_bytes - before.resident_bytes <= growth_bytes, "the worker kept memory"
        assert "Traceback" not in self.server.log, self.server.log[-4000:]

    def settle(self, before: Vitals) -> None:
        """Wait until the worker has no more descriptors than before."""
        end = time.monotonic() + SETTLED_S
        while (now := self.vitals()).descriptors > before.descriptors:
            assert time.monotonic() < end, f"{now.descriptors} descriptors, {before.descriptors} before"
            time.sleep(0.05)


@contextlib.contextmanager
def staged(place: Path, site: str, *flags: str, environment: dict[str, str] | None = None) -> Iterator[Stage]:
    """Serve ``tests.threats.sites.SITE`` in one worker, by the real command; notes go to ``place``."""
    notes = place / "notes"
    notes.touch()
    known = {"NOTES": str(notes)} | (environment or {})
    with running(f"tests.threats.sites.{site}:app", *flags, app_dir=REPOSITORY, environment=known) as server:
        yield Stage(server, notes)
