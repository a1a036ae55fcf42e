"""Bytes on a connection, delivered in five ways, and what came back.

Whole; byte by byte; cut once at every offset, the worker having read the first part before the second is sent; behind
a valid request; before the canary, a request that must not reach the application once anything was refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.http2 import PREFACE, Peer, headers, settings
from tests.support.raw import Answer, Connection
from tests.threats.stage import Stage
from tests.unit.wire.corpus.case import CANARY

VALID = b"GET /valid HTTP/1.1\r\nHost: t\r\n\r\n"
#: Longer inputs are cut near both ends and at about so many offsets between: there the parser's own tests do the rest.
_MOST_CUTS = 256
_NEAR_BYTES = 40
_MORE_CUTS = 32
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


def cuts(data: bytes, share: int = 0, shares: int = 1) -> list[tuple[bytes, bytes]]:
    """Cut once, at every offset; of those, every ``shares``-th."""
    size = len(data)
    offsets: Sequence[int] = range(1, size)
    if size > _MOST_CUTS:
        near = {*range(1, _NEAR_BYTES), *range(size - _NEAR_BYTES, size)}
        offsets = sorted(near | {*range(1, size, size // _MORE_CUTS)})
    return [(data[:at], data[at:]) for at in offsets[share::shares]]


@dataclass
class Outcome:
    """What a connection brought."""

    answers: list[Answer]
    #: "fin" or "reset".
    end: str

    @property
    def statuses(self) -> list[int]:
        """Of the final answers, in order."""
        return [answer.status for answer in self.answers]


def send(connection: Connection, pieces: Sequence[bytes]) -> None:
    """All pieces, as far as the server still takes them."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for piece in pieces:
            connection.send(piece)


def read_all(connection: Connection, methods: Sequence[str] = (), *, is_half_closed: bool = True) -> Outcome:
    """Half-close, unless the server is to close first, and read every answer until it does.

    ``methods``: of the requests to be answered, where that matters; GET beyond them.
    """
    if is_half_closed:
        with contextlib.suppress(OSError):
            connection.finish_writing()
    answers: list[Answer] = []
    while True:
        try:
            answers.append(connection.read(methods[len(answers)] if len(answers) < len(methods) else "GET"))
        except EOFError as cut:
            assert not cut.args[0], f"not an answer: {cut.args[0][:200]!r}"
            return Outcome(answers, "reset" if connection.is_reset else "fin")


def deliver(stage: Stage, delivery: Delivery, methods: Sequence[str] = (), *, is_half_closed: bool = True) -> Outcome:
    """On a connection of its own."""
    with stage.connect() as connection:
        send(connection, delivery.pieces)
        return read_all(connection, methods, is_half_closed=is_half_closed)


def deliver_cut(
    stage: Stage, data: bytes, methods: Sequence[str] = (), *, share: int = 0, shares: int = 1
) -> list[Outcome]:
    """Cut once at every offset, or at its share of them, each cut on a connection of its own."""
    halves = cuts(data, share, shares)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(stage.connect()) for _ in halves]
        for connection, (first, _) in zip(connections, halves, strict=True):
            send(connection, (first,))
        stage.fence()
        for connection, (_, second) in zip(connections, halves, strict=True):
            send(connection, (second,))
        return [read_all(connection, methods) for connection in connections]


def deliver_each(
    stage: Stage, inputs: Sequence[bytes], methods: Sequence[str] = (), *, at_once: int = 100
) -> list[Outcome]:
    """Each input whole, on a connection of its own, many at a time; answers in the order of the inputs."""
    outcomes = []
    for start in range(0, len(inputs), at_once):
        with contextlib.ExitStack() as stack:
            some = [(stack.enter_context(stage.connect()), data) for data in inputs[start : start + at_once]]
            for connection, data in some:
                send(connection, (data,))
            outcomes += [read_all(connection, methods) for connection, _ in some]
    return outcomes


def ask_http2(stage: Stage, *requests: Sequence[tuple[bytes, bytes]]) -> Peer:
    """Requests without bodies on one HTTP/2 connection, each when the one before is over: streams 1, 3 and so on."""
    peer = Peer()
    with stage.connect() as connection:
        connection.send(PREFACE + settings())
        for number, fields in enumerate(requests):
            stream = 2 * number + 1
            send(connection, (headers(stream, fields),))
            while stream not in peer.ended and stream not in peer.resets and not peer.goaways:
                if not (data := connection.read_some()):
                    return peer
                peer.take(data)
    return peer
