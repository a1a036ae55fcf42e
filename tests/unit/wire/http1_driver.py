"""Drives a connection over given pieces of bytes and writes down what came out, in a form that cuts cannot change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.unit.wire.corpus.case import Case
from torana.wire.events import CLOSED, NEED_DATA, PAUSED, EndOfBody, RequestHead, WireError
from torana.wire.http1.connection import Http1Connection
from torana.wire.http1.limits import Limits

LIMITS = Limits()
HEAD_ATTRIBUTES = (
    "method target raw_path query fields version content_length expects_continue keep_alive upgrade "
    "takes_trailers has_forwarding"
).split()


@dataclass
class Seen:
    """One request as it came out."""

    head: dict[str, Any]
    body: bytearray = field(default_factory=bytearray)
    trailers: list[tuple[bytes, bytes]] | None = None
    is_whole: bool = False


@dataclass
class Outcome:
    """All requests, and how it ended: the error as (status, reason, setting), the last mark."""

    requests: list[Seen] = field(default_factory=list)
    error: tuple[int, str, str] | None = None
    mark: object = None


def drive(pieces: Iterable[bytes], limits: Limits = LIMITS, *, eof: bool = False) -> Outcome:
    """Feed ``pieces``, answer every request as soon as it is read, and go on while the connection may be kept."""
    connection = Http1Connection(limits)
    outcome = Outcome()
    for piece in pieces:
        connection.receive(piece)
        if not _pump(connection, outcome):
            return outcome
    if eof:
        connection.receive_eof()
        _pump(connection, outcome)
    return outcome


def _pump(connection: Http1Connection, outcome: Outcome) -> bool:
    """Take all events; False when the connection was not kept."""
    while True:
        try:
            event = connection.next()
        except WireError as error:
            assert outcome.error is None, "a second error"
            outcome.error = (error.status, error.reason, error.setting)
            continue
        outcome.mark = event
        if event is NEED_DATA or event is CLOSED:
            return True
        assert outcome.error is None, "an event after an error"
        if event is PAUSED:
            outcome.requests[-1].is_whole = True
            connection.send_head(204, None, [], -2, b"", True, b"", b"")
            if not connection.next_cycle():
                return False
        elif isinstance(event, RequestHead):
            outcome.requests.append(Seen({name: getattr(event, name) for name in HEAD_ATTRIBUTES}))
        elif isinstance(event, EndOfBody):
            outcome.requests[-1].trailers = event.trailers
        else:
            assert type(event) is bytes and event
            outcome.requests[-1].body += event


def cuts(data: bytes, most: int = 150) -> Iterator[list[bytes]]:
    """``data`` in two pieces, cut everywhere, or at about ``most`` places when it is long."""
    size = len(data)
    step = max(1, size // most)
    offsets = (
        range(1, size) if step == 1 else sorted({*range(1, size, step), *range(1, min(size, 4)), size - 1, size - 2})
    )
    for at in offsets:
        yield [data[:at], data[at:]]


def single_bytes(data: bytes) -> list[bytes]:
    """``data`` byte by byte."""
    return [data[at : at + 1] for at in range(len(data))]


def check(case: Case, outcome: Outcome, *, before: int = 0, canaries: int = 1) -> None:
    """Whether ``outcome`` is what ``case`` says; ``before`` valid requests stood before it, ``canaries`` after it."""
    if case.status:
        assert outcome.error is not None, f"{case.id}: not refused"
        assert outcome.error[0] == case.status, f"{case.id}: {outcome.error}"
        if case.reason is not None:
            assert outcome.error[1] == case.reason
        assert len(outcome.requests) == before + len(case.requests)
        assert not any(seen.head["raw_path"] == b"/canary" for seen in outcome.requests[before:])
        assert outcome.mark is CLOSED
        return
    assert outcome.error is None, f"{case.id}: {outcome.error}"
    assert len(outcome.requests) == before + len(case.requests) + canaries
    for seen, wanted in zip(outcome.requests[before:], case.requests, strict=False):
        assert (seen.head["method"], seen.head["raw_path"]) == (wanted.method, wanted.path)
        assert bytes(seen.body) == wanted.body
        assert (seen.trailers or []) == wanted.trailers
        assert seen.is_whole
        if wanted.fields is not None:
            assert seen.head["fields"] == wanted.fields
