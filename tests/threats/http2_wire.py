"""HTTP/2 frames on real sockets, delivered in five ways, and what came back: the counterpart of ``wire``.

Whole; byte by byte; cut once at every offset or at many, the worker having read the first part before the second is
sent; behind a valid request that was answered; and always before the canary, a valid request on a later stream.
Never here: verdicts.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Self

from tests.support.http2 import ACK, GOAWAY, PREFACE, SETTINGS, Fields, Frame, Peer, headers, settings
from tests.support.raw import Connection
from tests.threats.stage import Stage
from tests.unit.wire.corpus.http2_case import CANARY, Case, to

BEGIN = PREFACE + settings()
VALID = headers(1, to(b"/valid"))
#: Behind the server's own settings the client is a good one.
SETTLED = settings(flags=ACK)
_MOST_CUTS = 64
_MOST_CUTS_OF_LONG = 24
_MOST_SINGLE = 2000


class Streams:
    """A client on one connection: raw bytes out, a ``Peer`` in. It says nothing by itself."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.peer = Peer()
        #: The server has closed.
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    @property
    def frames(self) -> list[Frame]:
        """All that have come."""
        return self.peer.frames

    def send(self, *pieces: bytes) -> None:
        """As far as the server takes them."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                self.connection.send(piece)

    def read(self) -> list[Frame]:
        """What has come next; none only when the connection is over."""
        found: list[Frame] = []
        while not found and not self.is_over:
            data = self.connection.read_some()
            self.is_over = not data
            found = self.peer.take(data)
        return found

    def until(self, is_so: Callable[[], bool]) -> None:
        """Read until something is so, or the connection is over."""
        while not self.is_over and not is_so():
            self.read()

    def to_the_end(self) -> None:
        """Read until the server closes."""
        self.until(lambda: False)

    def answered(self, *streams: int) -> None:
        """Read until each of them has its end, or the connection is over."""
        self.until(lambda: all(stream in self.peer.ended or stream in self.peer.resets for stream in streams))

    def status(self, stream: int) -> int:
        """Of the answer, 0 if there is none."""
        heads = self.peer.heads.get(stream)
        return int(heads[0][b":status"]) if heads else 0

    def codes(self) -> list[int]:
        """Of the GOAWAY frames."""
        return [item.code for item in self.frames if item.kind == GOAWAY]


def connected(stage: Stage, first: bytes = BEGIN) -> Streams:
    """On a new connection, after ``first``."""
    streams = Streams(stage.connect())
    streams.send(first)
    return streams


def settled(stage: Stage, *pairs: tuple[int, int]) -> Streams:
    """A connection on which both sides know each other's settings; ``pairs`` are ours."""
    streams = connected(stage, PREFACE + settings(*pairs))
    streams.until(lambda: any(item.kind == SETTINGS and item.flags & ACK for item in streams.frames))
    streams.send(SETTLED)
    return streams


def single(data: bytes) -> Iterable[bytes]:
    """Byte by byte."""
    return (data[at : at + 1] for at in range(len(data)))


def halves(data: bytes, most: int = _MOST_CUTS) -> Iterator[tuple[bytes, bytes]]:
    """Cut once, at every offset of what is short, else at so many, evenly: the parser's own tests do the rest."""
    size = len(data) - 1
    step = 1 if size <= most else math.ceil(size / min(most, _MOST_CUTS_OF_LONG))
    for at in range(1, len(data), step):
        yield data[:at], data[at:]


def played(stage: Stage, case: Case, most_cuts: int = _MOST_CUTS) -> Iterator[tuple[str, Streams]]:
    """Each delivery of a case with all that it brought; the connection is open if the server left it open."""
    first = b"" if case.is_first else BEGIN
    if not case.is_behind:
        with connected(stage, first + case.data + CANARY) as streams:
            _read(streams, case)
            yield "whole", streams
        if len(case.data) <= _MOST_SINGLE:
            with connected(stage, first) as streams:
                streams.send(*single(case.data), CANARY)
                _read(streams, case)
                yield "byte by byte", streams
        yield from _cut(stage, case, first, most_cuts)
    if not case.is_first:
        with connected(stage, BEGIN + VALID) as streams:
            streams.answered(1)
            streams.send(case.data + CANARY)
            _read(streams, case)
            yield "behind a valid request", streams


def _cut(stage: Stage, case: Case, first: bytes, most_cuts: int) -> Iterator[tuple[str, Streams]]:
    parts = list(halves(case.data, most_cuts))
    with contextlib.ExitStack() as stack:
        several = [stack.enter_context(connected(stage, first + begin)) for begin, _ in parts]
        stage.fence()
        for streams, (begin, rest) in zip(several, parts, strict=True):
            streams.send(rest + CANARY)
            _read(streams, case)
            yield f"cut at {len(begin)}", streams


def _read(streams: Streams, case: Case) -> None:
    """All that is to come of it."""
    if case.goaway is not None:
        streams.to_the_end()
    elif case.status is not None:
        streams.answered(101, 3)
    else:
        streams.answered(101)


class Neighbour:
    """A healthy client of HTTP/2 that asks 50 times a second on one connection while the block attacks."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._is_over = threading.Event()
        self._is_inside = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="neighbour", daemon=True)
        self.latencies_s: list[float] = []
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._is_inside.wait(60.0)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        assert self.latencies_s, "the neighbour never got an answer"
        assert not self.failures, self.failures[:5]

    def _ask(self) -> None:
        fields: Fields = to(b"/bystander")
        with settled(self._stage) as streams:
            self._is_inside.set()
            for number in range(1, 1 << 30, 2):
                began = time.monotonic()
                streams.send(headers(number, fields))
                streams.answered(number)
                self.latencies_s.append(time.monotonic() - began)
                if streams.peer.bodies.get(number) != b"well":
                    self.failures.append(f"{streams.peer.resets} {streams.peer.goaways}")
                    return
                if self._is_over.wait(0.02):
                    return
