"""Section D of the catalogue on real sockets: handshakes and frames, in every delivery, over HTTP/1.1 and HTTP/2.

The verdicts are the corpus's own (``tests/unit/wire/corpus``), which the tests of the wire hold in memory.
"""

from __future__ import annotations

import contextlib

import pytest

from tests.support.talking import handshake
from tests.support.websocket_raw import BINARY, TEXT, Frame, RawSocket
from tests.threats.http2_wire import connected, halves, settled
from tests.threats.stage import Stage
from tests.threats.websocket_wire import (
    CANARY,
    CANARY_BYTES,
    DEFLATE,
    VALID,
    Socket,
    Stream,
    code_of,
    single,
    until_canary,
    until_closed,
)
from tests.unit.wire.corpus.websocket_frames import BAD_COMPRESSED, BAD_FRAMES, GOOD_COMPRESSED, GOOD_FRAMES
from tests.unit.wire.corpus.websocket_handshakes import OFFERS, ORDINARY, ORIGINS, REFUSED
from torana.wire.websocket.connection import PONG

#: As many cuts of one input, and as many of its pieces on one connection of HTTP/2.
_CUTS = 32
_CUTS_OF_STREAMS = 6


def _shown(data: bytes) -> str:
    return f"`{data.hex(' ')}`" if len(data) <= 24 else f"`{data[:16].hex(' ')} ...`, {len(data):,} bytes"


def _bad(name: str, data: bytes, code: int, is_compressed: bool) -> object:
    threat = "G-060" if code == 1009 and not is_compressed else "G-062" if is_compressed else "G-059"
    mark = pytest.mark.threat(threat, sent=f"{name}: {_shown(data)}", verdict=f"closed with {code}")
    return pytest.param(data, code, is_compressed, id=f"{name}{', compressed' if is_compressed else ''}", marks=mark)


def _good(name: str, data: bytes, events: list[object], is_compressed: bool) -> object:
    threat = "G-062" if is_compressed else "G-059"
    mark = pytest.mark.threat(threat, sent=f"{name}: {_shown(data)}", verdict="taken, and the next message behind it")
    return pytest.param(data, events, is_compressed, id=f"{name}{', compressed' if is_compressed else ''}", marks=mark)


BAD = [
    *(_bad(name, *case, False) for name, case in BAD_FRAMES.items()),
    *(_bad(name, *case, True) for name, case in BAD_COMPRESSED.items()),
]
GOOD = [
    *(_good(name, *case, False) for name, case in GOOD_FRAMES.items()),
    *(_good(name, *case, True) for name, case in GOOD_COMPRESSED.items()),
]


def _echoes(events: list[object]) -> list[Frame]:
    """What the application sends back."""
    return [
        Frame(TEXT, event.encode()) if isinstance(event, str) else Frame(BINARY, bytes(event))  # type: ignore[call-overload]
        for event in events
        if event is not PONG
    ]


def _heard(stage: Stage) -> tuple[list[int], int, int]:
    """Sizes of the messages that the application got, and how many sockets it had, and saw the end of."""
    # A socket's end is told when its connection is closed, which the client sees first.
    stage.fence()
    events = stage.events()
    sizes = [event["size"] for event in events if event["event"] == "message"]
    kinds = [event["event"] for event in events]
    return sizes, kinds.count("socket"), kinds.count("socket-end")


@pytest.mark.parametrize(("data", "code", "is_compressed"), BAD)
def test_bad_frames(data: bytes, code: int, is_compressed: bool, sockets_stage: Stage) -> None:
    stage = sockets_stage
    fields = (DEFLATE,) if is_compressed else ()
    stage.events()
    with stage.attacked():
        with Socket(stage, *fields, then=data + CANARY) as whole:
            assert code_of(until_closed(whole)) == code
            assert not whole.raw.is_reset
        with Socket(stage, *fields) as bytewise:
            bytewise.open().send(*single(data), CANARY)
            assert code_of(until_closed(bytewise)) == code
        with Socket(stage, *fields, then=VALID) as behind:
            assert behind.next() == Frame(TEXT, b"valid")
            behind.send(data + CANARY)
            assert code_of(until_closed(behind)) == code
        with contextlib.ExitStack() as stack:
            parts = list(halves(data, _CUTS))
            cut = [stack.enter_context(Socket(stage, *fields, then=first)) for first, _ in parts]
            stage.fence()
            for socket, (_, rest) in zip(cut, parts, strict=True):
                socket.send(rest + CANARY)
                assert code_of(until_closed(socket)) == code
    sizes, begun, ended = _heard(stage)
    assert CANARY_BYTES not in sizes
    assert begun == ended == 3 + len(parts)


@pytest.mark.parametrize(("data", "events", "is_compressed"), GOOD)
def test_good_frames(data: bytes, events: list[object], is_compressed: bool, sockets_stage: Stage) -> None:
    stage = sockets_stage
    fields = (DEFLATE,) if is_compressed else ()
    expected = _echoes(events)
    with stage.attacked():
        with Socket(stage, *fields, then=data + CANARY) as whole:
            assert until_canary(whole) == expected
        with Socket(stage, *fields) as bytewise:
            bytewise.open().send(*single(data), CANARY)
            assert until_canary(bytewise) == expected
        with contextlib.ExitStack() as stack:
            parts = list(halves(data, _CUTS_OF_STREAMS))
            cut = [stack.enter_context(Socket(stage, *fields, then=first)) for first, _ in parts]
            stage.fence()
            for socket, (_, rest) in zip(cut, parts, strict=True):
                socket.send(rest + CANARY)
                assert until_canary(socket) == expected


@pytest.mark.parametrize(("data", "code", "is_compressed"), BAD)
def test_bad_frames_on_streams(data: bytes, code: int, is_compressed: bool, sockets_stage: Stage) -> None:
    stage = sockets_stage
    offer = [(b"sec-websocket-extensions", b"permessage-deflate")] if is_compressed else []
    deliveries = [[data + CANARY], [*single(data), CANARY]]
    if len(data) > 2000:
        del deliveries[1]
    deliveries += [[first, rest + CANARY] for first, rest in halves(data, _CUTS_OF_STREAMS)]
    stage.events()
    with stage.attacked(), settled(stage) as streams:
        bystander = Stream(streams, 1)
        for number, pieces in enumerate(deliveries):
            talk = Stream(streams, 2 * number + 3, *offer)
            talk.send(*pieces)
            assert code_of(until_closed(talk)) == code
        # The stream has ended, the connection has not.
        bystander.send(VALID)
        assert bystander.next() == Frame(TEXT, b"valid")
        assert not streams.codes()
    sizes, begun, ended = _heard(stage)
    assert CANARY_BYTES not in sizes
    assert begun == ended == 1 + len(deliveries)


# Handshakes


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.threat("G-057", sent=name, verdict=f"{status}, closed"))
        for name, (_, status) in REFUSED.items()
    ],
)
def test_refused_handshakes(name: str, sockets_stage: Stage) -> None:
    request, status = REFUSED[name]
    stage = sockets_stage
    stage.events()
    with stage.attacked():
        for pieces in (
            [request + CANARY],
            list(single(request)) if len(request) < 2000 else [request[:9], request[9:]],
        ):
            with RawSocket(stage.address) as raw:
                with contextlib.suppress(OSError):
                    for piece in pieces:
                        raw.send(piece)
                answer = raw.read_answer()
                assert answer.status == status
                assert status != 426 or answer.get_all("sec-websocket-version") == [b"13"]
                assert raw.is_ended()
    assert not stage.events()


@pytest.mark.threat("G-057", sent="an upgrade in HTTP/1.0, one that Connection does not list, one to h2c",
                    verdict="an ordinary request")  # fmt: skip
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_requests(name: str, sockets_stage: Stage) -> None:
    with sockets_stage.attacked(), RawSocket(sockets_stage.address) as raw:
        raw.send(ORDINARY[name])
        assert raw.read_answer().status == 200
    assert [event["event"] for event in sockets_stage.events()] == ["call", "body"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=pytest.mark.threat(
                "G-058",
                sent=f"origin: {name}" + "".join(f" (`{line.decode()}`)" for line in lines[:1]),
                verdict="accepted" if status == 101 else f"{status} before the application is called",
            ),
        )
        for name, (lines, status) in ORIGINS.items()
    ],
)
def test_origins(name: str, sockets_stage: Stage) -> None:
    lines, status = ORIGINS[name]
    stage = sockets_stage
    stage.events()
    with stage.attacked():
        with RawSocket(stage.address) as raw:
            raw.send(handshake(*lines))
            assert raw.read_answer().status == status
        pairs = [(line.partition(b":")[0].lower(), line.partition(b":")[2].strip()) for line in lines]
        with connected(stage) as streams:
            talk = Stream(streams, 1, *pairs)
            talk.send(VALID)
            if status == 101:
                assert talk.next() == Frame(TEXT, b"valid")
            else:
                streams.until(lambda: 1 in streams.peer.heads)
                assert streams.status(1) == status
    calls = [event for event in stage.events() if event["event"] == "socket"]
    assert len(calls) == (2 if status == 101 else 0)


@pytest.mark.threat("G-057", sent="36 offers of permessage-deflate with odd or repeated parameters",
                    verdict="taken if good, declined if not: the conversation begins all the same")  # fmt: skip
def test_offers(sockets_stage: Stage) -> None:
    with sockets_stage.attacked():
        for value, offers in OFFERS:
            if len(value) > 16_000:
                continue
            with Socket(sockets_stage, b"Sec-WebSocket-Extensions: " + value, then=VALID) as socket:
                answer = socket.raw.read_answer()
                assert answer.status == 101, value
                # What zlib cannot do is good, and declined.
                is_possible = any(offer.server_bits != 8 for offer in offers)
                assert bool(answer.get("sec-websocket-extensions")) == is_possible, value
                socket.open = lambda socket=socket: socket  # type: ignore[method-assign]
                assert socket.next() == Frame(TEXT, b"valid")
