"""Closed-loop HTTP/1.1 clients that keep a server busy and tell of each request exactly what became of it.

Each client has one request under way at any time, on a connection it keeps or on a fresh one each time; requests are
numbered, and a number is never used twice. Nothing is ever tried again: an answer that is missing, cut, late or not
the one to this very request is a failure, with what is known about it. Lives here: clients, failures. Never here: a
server, what may be excused.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

#: A request without an answer after this has failed.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Failure:
    """One request that did not get its answer."""

    number: int
    method: str
    is_kept: bool
    #: Requests answered before on the same connection, and the process that answered the last of them.
    answered_before: int
    worker: int
    #: "connect", "send", "answer" (nothing of it came), "rest" (a part of it came) or "content".
    phase: str
    error: str
    sent_s: float
    failed_s: float

    def __str__(self) -> str:
        kind = "kept" if self.is_kept else "fresh"
        return (
            f"{self.method} {self.number} on a {kind} connection ({self.answered_before} answered before, by "
            f"{self.worker or 'nobody'}): {self.phase}: {self.error}, after {self.failed_s - self.sent_s:.3f} s"
        )


@dataclass
class Tally:
    """What became of the requests so far."""

    answered: int = 0
    #: By process id of the worker that answered.
    by_worker: Counter[int] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    #: Numbers of POST requests that were answered.
    posted: set[int] = field(default_factory=set)
    #: Longest and all waits for an answer, seconds.
    slowest_s: float = 0.0
    #: Answers by their text without number and process id: which code answered.
    texts: Counter[str] = field(default_factory=Counter)

    def describe(self) -> str:
        """For a failing test."""
        shown = "\n".join(map(str, self.failures[:20]))
        return f"{self.answered} answered, {len(self.failures)} failed, slowest {self.slowest_s:.2f} s\n{shown}"


class _Lost(Exception):
    def __init__(self, phase: str, error: object) -> None:
        super().__init__(phase)
        self.phase = phase
        self.error = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)


class Load:
    """``kept`` + ``fresh`` clients in a thread of their own. Every third request is a POST.

    ``address`` is (host, port) or the path of a unix socket. The application answers "NUMBER PID TEXT".
    """

    def __init__(self, address: tuple[str, int] | str, *, kept: int = 8, fresh: int = 8, pause_s: float = 0.0) -> None:
        self.tally = Tally()
        self._address = address
        self._counts = (kept, fresh)
        self._pause_s = pause_s
        self._numbers = itertools.count(1)
        self._is_over = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)

    @property
    def by_worker(self) -> Counter[int]:
        """Answers so far, by the process id of the worker that gave them."""
        return self.tally.by_worker

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> Tally:
        """Let each client finish its request, and return what became of all."""
        self._is_over = True
        self._thread.join(PATIENCE_S + 10)
        assert not self._thread.is_alive(), "the clients do not end"
        return self.tally

    def wait_for_answers(self, count: int, timeout_s: float = 30.0) -> None:
        """Until so many more requests were answered."""
        goal, end = self.tally.answered + count, time.monotonic() + timeout_s
        while self.tally.answered < goal:
            assert time.monotonic() < end, f"no {count} answers within {timeout_s} s: {self.tally.describe()}"
            time.sleep(0.005)

    async def _run(self) -> None:
        kept, fresh = self._counts
        await asyncio.gather(*(self._client(True) for _ in range(kept)), *(self._client(False) for _ in range(fresh)))

    async def _client(self, is_kept: bool) -> None:
        connection: _Connection | None = None
        while not self._is_over:
            number = next(self._numbers)
            method = "POST" if number % 3 == 0 else "GET"
            sent_s = time.monotonic()
            answered_before = 0 if connection is None else connection.answered
            try:
                async with asyncio.timeout(PATIENCE_S):
                    if connection is None:
                        connection = await _Connection.open(self._address)
                    text = await connection.ask(method, number, is_kept)
            except (_Lost, TimeoutError) as error:
                lost = error if isinstance(error, _Lost) else _Lost("answer", f"none within {PATIENCE_S} s")
                worker = 0 if connection is None else connection.worker
                self.tally.failures.append(
                    Failure(
                        number,
                        method,
                        is_kept,
                        answered_before,
                        worker,
                        lost.phase,
                        lost.error,
                        sent_s,
                        time.monotonic(),
                    )
                )
                if connection is not None:
                    connection.close()
                    connection = None
                await asyncio.sleep(0.01)  # a server that is gone must not make us spin
                continue
            self._note(number, method, connection.worker, text, time.monotonic() - sent_s)
            if not is_kept or connection.is_last:
                connection.close()
                connection = None
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
        if connection is not None:
            connection.close()

    def _note(self, number: int, method: str, worker: int, text: str, took_s: float) -> None:
        tally = self.tally
        if method == "POST":
            tally.posted.add(number)
        tally.by_worker[worker] += 1
        tally.texts[text] += 1
        tally.slowest_s = max(tally.slowest_s, took_s)
        tally.answered += 1


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.answered = 0
        self.worker = 0
        #: The server has said that it closes.
        self.is_last = False

    @classmethod
    async def open(cls, address: tuple[str, int] | str) -> _Connection:
        try:
            if isinstance(address, str):
                return cls(*await asyncio.open_unix_connection(address))
            return cls(*await asyncio.open_connection(*address))
        except OSError as error:
            raise _Lost("connect", error) from None

    async def ask(self, method: str, number: int, is_kept: bool) -> str:
        body = f"body of {number}".encode() if method == "POST" else b""
        head = f"{method} /{number} HTTP/1.1\r\nHost: load\r\nContent-Length: {len(body)}\r\n"
        head += "\r\n" if is_kept else "Connection: close\r\n\r\n"
        try:
            self._writer.write(head.encode() + body)
            await self._writer.drain()
        except OSError as error:
            raise _Lost("send", error) from None
        return self._read(number, *await self._receive())

    async def _receive(self) -> tuple[bytes, bytes]:
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise _Lost("rest" if error.partial else "answer", f"the end, after {error.partial!r}") from None
        except OSError as error:
            raise _Lost("answer", error) from None
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), -1
        )
        if length < 0:
            raise _Lost("content", f"no length: {head!r}")
        try:
            return head, await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise _Lost("rest", error) from None

    def _read(self, number: int, head: bytes, body: bytes) -> str:
        words = body.decode("ascii", "replace").split(" ", 2)
        if not head.startswith(b"HTTP/1.1 200 ") or len(words) != 3 or words[0] != str(number):
            raise _Lost("content", f"{head!r} {body!r}")
        self.answered += 1
        self.worker = int(words[1])
        self.is_last = b"\r\nconnection: close\r\n" in head.lower()
        return words[2]

    def close(self) -> None:
        self._writer.close()


@contextlib.contextmanager
def loading(address: tuple[str, int] | str, *, kept: int = 8, fresh: int = 8, pause_s: float = 0.0) -> Iterator[Load]:
    """Keep a server busy while the block runs."""
    load = Load(address, kept=kept, fresh=fresh, pause_s=pause_s)
    load.start()
    try:
        yield load
    finally:
        load.stop()
