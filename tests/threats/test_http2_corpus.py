"""Section C of the catalogue on real sockets: frames, header blocks and requests, in every delivery.

The verdicts are the corpus's own (``tests/unit/wire/corpus``), which the tests of the wire hold in memory.
"""

from __future__ import annotations

import pytest

from tests.support.http2 import GOAWAY
from tests.threats.http2_wire import BEGIN, Neighbour, Streams, connected, played
from tests.threats.stage import Stage
from tests.unit.wire.corpus import http2_blocks, http2_frames, http2_heads
from tests.unit.wire.corpus.http2_case import CANARY, Case

#: A whole header block has few places in which a cut could matter, and many cases.
_CUTS_OF_BLOCKS = 12
#: Without TLS, what is not quite the preface is an HTTP/1 request (``test_http2_preface``).
FRAMES = [case for case in http2_frames.CASES if case.name != "a preface with a wrong end"]
BLOCKS = [*http2_blocks.CASES, *http2_heads.CASES]
#: What applications of WSGI are told, or not told, depends on fields and bodies alone.
REQUESTS = [case for case in http2_heads.CASES if case.threat != "G-056"]


def _marked(cases: list[Case]) -> list[object]:
    return [
        pytest.param(
            case, id=case.name[:60], marks=pytest.mark.threat(case.threat, sent=case.sent, verdict=case.verdict)
        )
        for case in cases
    ]


@pytest.mark.parametrize("case", _marked(FRAMES))
def test_frames(case: Case, streams_stage: Stage) -> None:
    # Large ones would leave their pages with the allocator.
    _play(case, streams_stage, 64 if len(case.data) < 50_000 else 8)


@pytest.mark.parametrize("case", _marked(BLOCKS))
def test_blocks(case: Case, streams_stage: Stage) -> None:
    calls = _play(case, streams_stage, _CUTS_OF_BLOCKS)
    if case.status != 200 and "data of" not in case.name:
        assert calls <= {"/valid", "/canary"}


def _play(case: Case, stage: Stage, most_cuts: int) -> set[str]:
    """Every delivery, and then the calls that the application got."""
    stage.events()
    with stage.attacked():
        for delivery, streams in played(stage, case, most_cuts):
            _check(case, streams, delivery)
        stage.ask("/release")
    events = [event for event in stage.events() if event.get("path") != "/release"]
    calls = {event["path"] for event in events if event["event"] in ("call", "socket")}
    assert case.goaway is None or "/canary" not in calls
    bodies = [event for event in events if event["event"] == "body" and event["path"] == "/body" and event["complete"]]
    if case.threat == "G-053" and case.reset is not None:
        # Whoever says that there is no body has a request that is complete at its head.
        assert not bodies or (case.name.startswith("content-length 0") and not any(event["size"] for event in bodies))
    return calls


def _check(case: Case, streams: Streams, delivery: str) -> None:
    found = f"{delivery}: {streams.frames[-3:]}"
    if case.goaway is not None:
        assert streams.codes() == [case.goaway], found
        assert streams.is_over and not streams.connection.is_reset, found
        assert streams.frames[-1].kind == GOAWAY, found
        assert 101 not in streams.peer.heads, found
        return
    assert not streams.is_over and streams.codes() == [], found
    assert streams.status(101) == 200, found
    assert streams.peer.resets == ({} if case.reset is None else {3: case.reset}), found
    if case.status is not None:
        assert streams.status(3) == case.status, found


@pytest.mark.parametrize("case", REQUESTS, ids=lambda case: case.name[:60])
def test_requests_to_wsgi(case: Case, wsgi_stage: Stage) -> None:
    wsgi_stage.events()
    with connected(wsgi_stage, BEGIN + case.data + CANARY) as streams:
        streams.answered(3, 101)
        _check(case, streams, "whole")
    calls = {call["path"] for call in wsgi_stage.calls()}
    assert "/canary" in calls
    if case.status != 200:
        assert calls == {"/canary"}


def test_extended_connect_is_not_offered_to_wsgi(wsgi_stage: Stage) -> None:
    (case,) = [case for case in http2_heads.CASES if case.name == "unknown protocol"]
    with connected(wsgi_stage, BEGIN + case.data + CANARY) as streams:
        streams.answered(3, 101)
        assert streams.peer.resets == {3: 1}
        assert streams.status(101) == 200


@pytest.fixture(scope="module", autouse=True)
def neighbour(streams_stage: Stage) -> object:
    """A client of HTTP/2 that is served through all of it."""
    with Neighbour(streams_stage) as neighbour:
        yield neighbour
