"""Bytes on a connection, delivered in five ways, and what came back.

Whole; byte by byte; cut once at every offset, the worker having read the first part before the second is sent; behind
a valid request; before the canary, a request that must not reach the application once anything was refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.support.raw import Answer, Connection
from tests.threats.stage import Stage
from tests.unit.wire.corpus.case import CANARY

VALID = b"GET /valid HTTP/1.1\r\nHost: t\r\n\r\n"
#: Longer inputs are cut at so many offsets only, spread evenly: every offset is the parser tests' affair.
_MOST_CUTS = 64
#: Longer ones are not sent in single bytes.
_MOST_SINGLE = 2000


@dataclass(frozen=True)
class Delivery:
    """One way of sending an input; ``before``: valid requests in front of it."""

    name: str
    pieces: tuple[bytes, ...]
    before: int = 0


def deliveries(data: bytes) -> list[Delivery]:
    """Those in which the worker need not be waited for."""
    found = [
        Delivery("whole", (data,)),
        Delivery("after a valid request", (VALID + data,), 1),
        Delivery("before the canary", (data + CANARY,)),
    ]
    if len(data) <= _MOST_SINGLE:
        found.append(Delivery("byte by byte", tuple(data[at : at + 1] for at in range(len(data)))))
    return found


def cuts(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Cut once, at every offset or at many."""
    step = max(1, len(data) // _MOST_CUTS)
    for at in range(1, len(data), step):
        yield data[:at], data[at:]


@dataclass
class Outcome:
    """What a connection brought."""

    answers: list[Answer]
    #: "fin", or "reset" if the end came without one.
    end: str

    @property
    def statuses(self) -> list[int]:
        """Of the final answers, in order."""
        return [answer.status for answer in self.answers]


def send(connection: Connection, pieces: tuple[bytes, ...]) -> None:
    """All pieces, as far as the server still takes them."""
    for piece in pieces:
        try:
            connection.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            return


def read_all(connection: Connection) -> Outcome:
    """Half-close and read every answer until the server closes."""
    try:
        connection.finish_writing()
    except OSError:
        pass
    answers = []
    while True:
        try:
            answers.append(connection.read())
        except EOFError as cut:
            assert not cut.args[0], f"not an answer: {cut.args[0][:200]!r}"
            return Outcome(answers, "fin")
        except ConnectionResetError:
            return Outcome(answers, "reset")


def deliver(stage: Stage, delivery: Delivery) -> Outcome:
    """On a connection of its own."""
    with stage.connect() as connection:
        send(connection, delivery.pieces)
        return read_all(connection)


def deliver_cut(stage: Stage, data: bytes) -> list[Outcome]:
    """Cut once at every offset, each cut on a connection of its own."""
    halves = list(cuts(data))
    connections = [stage.connect() for _ in halves]
    try:
        for connection, (first, _) in zip(connections, halves, strict=True):
            send(connection, (first,))
        stage.fence()
        for connection, (_, second) in zip(connections, halves, strict=True):
            send(connection, (second,))
        return [read_all(connection) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
