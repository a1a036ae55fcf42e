"""How an HTTP/2 connection begins and ends (G-051, G-055), over TLS too, and the tunnels on it (G-056)."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.http2 import POST, PREFACE, WEBSOCKET, data, goaway, headers, ping, settings, update
from tests.support.raw import Connection
from tests.support.server import REPOSITORY, running
from tests.threats.http2_wire import BEGIN, Streams, connected, settled
from tests.threats.stage import Stage, staged
from tests.unit.wire.corpus import http2_blocks, http2_frames, http2_heads
from tests.unit.wire.corpus.http2_case import CANARY, NO_ERROR, PROTOCOL, REFUSED, Case, to
from tests.unit.wire.websocket_driver import PING, TEXT, frame, server_frames

#: From the server's first GOAWAY to the second, if the client says nothing (``serve/http2/ending.py``).
_FAREWELL_S = 0.5


@pytest.mark.threat(
    "G-051",
    sent="a preface that is wrong in its last byte, whole and in single bytes, and a canary",
    verdict="without TLS an HTTP/1 request line of version 2.0: 505, closed",
)
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_wrong_preface_is_http1(is_whole: bool, streams_stage: Stage) -> None:
    stage = streams_stage
    wrong = PREFACE[:-1] + b"x" + settings() + CANARY
    stage.events()
    with stage.attacked(), stage.connect() as connection:
        with contextlib.suppress(OSError):
            for piece in [wrong] if is_whole else [wrong[at : at + 1] for at in range(len(wrong))]:
                connection.send(piece)
        assert connection.read().status == 505
        assert connection.is_ended()
    assert not stage.calls()


@pytest.mark.threat(
    "G-051",
    sent="the preface cut at every byte, then silence or FIN",
    verdict="the end, without a word; the worker keeps nothing",
)
def test_a_preface_that_stops(streams_stage: Stage) -> None:
    with streams_stage.attacked():
        several = [connected(streams_stage, PREFACE[:at]) for at in range(1, len(PREFACE))]
        streams_stage.fence()
        for streams in several:
            with streams:
                streams.connection.finish_writing()
                assert streams.connection.read_to_end()[:13] in (b"", b"HTTP/1.1 400 ")


@pytest.mark.threat(
    "G-055",
    sent="requests on the last streams there are, 2^31-3 and 2^31-1",
    verdict="served; there is no stream after them",
)
def test_the_last_streams_there_are(streams_stage: Stage) -> None:
    with streams_stage.attacked(), settled(streams_stage) as streams:
        for number in (2**31 - 3, 2**31 - 1):
            streams.send(headers(number, to(b"/last")))
            streams.answered(number)
            assert streams.status(number) == 200
        streams.send(CANARY)
        streams.to_the_end()
        assert streams.codes() == [PROTOCOL]


@pytest.mark.threat(
    "G-055",
    sent="GOAWAY of the client's, and requests behind it in the same write",
    verdict="served, then closed without a reset",
)
def test_requests_behind_the_clients_goodbye(streams_stage: Stage) -> None:
    with streams_stage.attacked(), settled(streams_stage) as streams:
        streams.send(goaway() + headers(1, to(b"/a")) + headers(3, to(b"/b")))
        streams.to_the_end()
        assert (streams.status(1), streams.status(3)) == (200, 200)
        assert not streams.connection.is_reset


@pytest.mark.threat(
    "G-055",
    sent="SIGTERM while a stream is open; the client ignores both GOAWAYs and opens more",
    verdict="GOAWAY(2^31-1), GOAWAY(last), REFUSED_STREAM for what comes later; the open one is served",
)
def test_a_stop_while_streams_are_open(tmp_path: Path) -> None:
    with staged(tmp_path, "streams_site") as stage, settled(stage) as streams:
        streams.send(headers(1, to(b"/body", POST), is_end=False))
        stage.fence()
        other = settled(stage)
        other.send(headers(1, to(b"/body")))
        other.answered(1)
        stopped = time.monotonic()
        stage.server.process.terminate()
        streams.until(lambda: len(streams.peer.goaways) >= 1)
        # This one crossed the first word, and is served ...
        streams.send(headers(3, to(b"/crossed")))
        streams.answered(3)
        # ... unless we were held up so long that the second was said first.
        is_late = streams.peer.resets.get(3) == REFUSED
        assert not is_late or time.monotonic() - stopped > _FAREWELL_S
        streams.send(ping(b"torana?!", flags=1))
        streams.until(lambda: len(streams.peer.goaways) == 2)
        assert streams.peer.goaways == [(2**31 - 1, NO_ERROR), (1 if is_late else 3, NO_ERROR)]
        for number in range(5, 25, 2):
            streams.send(headers(number, to(b"/late")))
        streams.answered(*range(5, 25, 2))
        assert {streams.peer.resets[number] for number in range(5, 25, 2)} == {REFUSED}
        assert streams.status(3) == (0 if is_late else 200)
        with other:
            other.to_the_end()
            assert [code for _, code in other.peer.goaways] == [NO_ERROR, NO_ERROR]
        # The worker waits for the one that is open.
        streams.send(data(1, b"at last", is_end=True))
        streams.answered(1)
        assert streams.peer.bodies[1] == b"POST /body 7"
        streams.to_the_end()
        assert stage.server.process.wait(20.0) == 0
        assert not [call for call in stage.calls() if call["path"] == "/late"]


@pytest.mark.threat(
    "G-056",
    sent="128 idle WebSockets on one connection, and one more",
    verdict="each has its place among the streams: REFUSED_STREAM; they are pinged like all others",
)
def test_tunnels_count_as_streams(streams_stage: Stage) -> None:
    stage = streams_stage
    numbers = range(1, 257, 2)
    with stage.attacked(), settled(stage) as streams:
        streams.send(b"".join(headers(number, WEBSOCKET, is_end=False) for number in numbers))
        streams.until(lambda: set(numbers) <= streams.peer.heads.keys())
        assert {streams.status(number) for number in numbers} == {200}
        streams.send(headers(301, WEBSOCKET, is_end=False), headers(303, to(b"/more")))
        streams.answered(301, 303)
        assert (streams.peer.resets[301], streams.peer.resets[303]) == (REFUSED, REFUSED)
        # Each is alive, and when one ends another may begin.
        streams.send(b"".join(data(number, frame(PING, b"here") + frame(TEXT, b"hi")) for number in numbers))
        streams.until(lambda: all(len(streams.peer.bodies.get(number, b"")) >= 10 for number in numbers))
        for number in numbers:
            assert sorted(server_frames(streams.peer.bodies[number])) == [(0x81, b"hi"), (0x8A, b"here")]
        streams.send(data(1, b"", is_end=True))
        streams.until(lambda: 1 in streams.peer.ended)
        streams.send(headers(401, to(b"/more")))
        streams.answered(401)
        assert streams.status(401) == 200


# Over TLS


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """A function that connects with ALPN h2; the server has no HTTP/1 without it."""
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "cert.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.set_alpn_protocols(["h2"])
    (folder / "notes").touch()
    app, flags = "tests.threats.sites.streams_site:app", ("--certfile", str(folder / "cert.pem"), "--no-access-log")
    with running(app, *flags, app_dir=REPOSITORY, environment={"NOTES": str(folder / "notes")}) as server:
        yield lambda: Streams(Connection(server.address, tls=context))
        assert "Traceback" not in server.log


TLS_CASES = [
    *http2_frames.FIRST,
    *[case for case in http2_frames.CASES if not case.is_behind and not case.is_first][::3],
    *http2_blocks.CASES[::6],
    *http2_heads.CASES[::6],
]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case,
            id=case.name[:60],
            marks=pytest.mark.threat(case.threat, sent=f"over TLS, {case.sent}", verdict=case.verdict)
            if case.is_first
            else (),
        )
        for case in TLS_CASES
    ],
)
def test_over_tls(case: Case, tls: object) -> None:
    first = b"" if case.is_first else BEGIN
    for pieces in ((first + case.data + CANARY,), (first, case.data[:7], case.data[7:] + CANARY)):
        with tls() as streams:  # type: ignore[operator]
            assert streams.connection.socket.selected_alpn_protocol() == "h2"
            with contextlib.suppress(ssl.SSLError):
                streams.send(*pieces)
            streams.answered(101) if case.goaway is None else streams.to_the_end()
            assert streams.codes() == ([] if case.goaway is None else [case.goaway])
            if case.goaway is None:
                assert streams.status(101) == 200
                assert streams.peer.resets == ({} if case.reset is None else {3: case.reset})
    with tls() as streams:  # type: ignore[operator]
        streams.send(BEGIN + headers(1, to(b"/release")) + update(0, 1))
        streams.answered(1)
        assert streams.status(1) == 200
