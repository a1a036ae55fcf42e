"""Bytes that an application slips into a head: every entry of every writer, each forbidden byte (G-035)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.http2 import Peer
from tests.support.raw import Connection
from tests.threats.sites.unruly import tell
from tests.threats.stage import Stage
from tests.threats.wire import ask_http2

CONTROLS = [bytes([value]) for value in (*range(0x20), 0x7F) if value != 0x09]
#: What a client would see if it came through; the first half must not even be logged.
SECRET, EVIL = b"hidden", b"X-Evil: y"
VALUES = [SECRET + byte + EVIL for byte in [*CONTROLS, b"\r\n", b"\r\n\r\n", b"\n\n", b"\r\n "]] + [b"\r\n" + EVIL]
NAMES = [b"x" + byte + b"evil" for byte in [*CONTROLS, b"\t", *(bytes([c]) for c in b' "(),/:;<=>?@[\\]{}\x80\xff')]]
NAMES += [b"", b"x-evil:", b" x-evil", b"x-evil\r\nx"]
START: dict[str, Any] = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"x"}

AFTER = "GET /after HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


def asked(stage: Stage, what: Any, *fields: str) -> bytes:
    """All that comes back for a request, and for a good one behind it."""
    lines = "".join(f"{line}\r\n" for line in (f"X-Do: {tell(what)}", "TE: trailers", *fields))
    with Connection(stage.address) as connection:
        connection.send(f"GET /told HTTP/1.1\r\nHost: t\r\n{lines}\r\n{AFTER}".encode())
        return connection.read_to_end()


def asked_http2(stage: Stage, what: Any) -> Peer:
    """The same over HTTP/2: streams 1 and 3."""
    good = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/told"), (b":authority", b"t")]
    return ask_http2(stage, [*good, (b"x-do", tell(what).encode()), (b"te", b"trailers")], good)


def refused(got: bytes) -> None:
    """A plain 500, and the connection goes on with the good answer."""
    assert got.startswith(b"HTTP/1.1 500 ") and got.endswith(b"\r\n\r\nwell"), got
    assert EVIL.lower() not in got.lower() and b"evil" not in got.lower() and SECRET not in got


def refused_http2(peer: Peer) -> None:
    assert [peer.heads[stream][-1][b":status"] for stream in (1, 3)] == [b"500", b"200"]
    text = repr([peer.heads, peer.bodies]).lower()
    assert "evil" not in text and SECRET.decode() not in text


ASGI: dict[str, list[list[dict[str, Any]]]] = {
    "a value": [[START | {"headers": [(b"x", value)]}, BODY] for value in VALUES],
    "Set-Cookie": [[START | {"headers": [(b"set-cookie", value)]}, BODY] for value in VALUES[-12:]],
    "Location": [[START | {"status": 302, "headers": [(b"location", value)]}, BODY] for value in VALUES[-12:]],
    "Content-Type": [[START | {"headers": [(b"Content-Type", value)]}, BODY] for value in VALUES[-12:]],
    "Date": [[START | {"headers": [(b"Date", value)]}, BODY] for value in VALUES[-12:]],
    "Content-Length": [[START | {"headers": [(b"content-length", b"1" + value)]}, BODY] for value in VALUES[-12:]],
    "a name": [[START | {"headers": [(name, b"y")]}, BODY] for name in NAMES],
    "an early hint": [[{"type": "http.response.early_hint", "links": [v]}, START, BODY] for v in VALUES],
}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            place,
            marks=pytest.mark.threat(
                "G-035",
                sent=f"ASGI: {place} with each control byte and line end, over HTTP/1.1 and HTTP/2",
                verdict="500, nothing of it sent or logged; the connection goes on",
            ),
        )
        for place in ASGI
    ],
)
def test_asgi_head(place: str, unruly_asgi_stage: Stage) -> None:
    stage = unruly_asgi_stage
    mark = stage.server.mark()
    with stage.attacked(shows_failures=True):
        for messages in ASGI[place]:
            refused(asked(stage, messages))
            refused_http2(asked_http2(stage, messages))
    assert SECRET.decode() not in stage.server.log_since(mark)


@pytest.mark.threat(
    "G-035", sent="ASGI: trailers with each control byte, behind a body that has left", verdict="the answer is cut"
)
def test_asgi_trailers(unruly_asgi_stage: Stage) -> None:
    stage = unruly_asgi_stage
    begun = [START | {"trailers": True}, BODY | {"more_body": True}, BODY]
    fields = [(b"x", value) for value in VALUES] + [(name, b"y") for name in NAMES]
    with stage.attacked(shows_failures=True):
        for field in fields:
            messages = [*begun, {"type": "http.response.trailers", "headers": [field]}]
            got = asked(stage, messages)
            assert got.startswith(b"HTTP/1.1 200 ") and not got.endswith((b"0\r\n\r\n", b"well")), got
            assert b"evil" not in got.lower()
            peer = asked_http2(stage, messages)
            assert peer.resets[1] == 2 and peer.heads[3][-1][b":status"] == b"200"
            assert "evil" not in repr([peer.heads, peer.bodies]).lower()


HANDSHAKE = (
    *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a"),
)


@pytest.mark.threat(
    "G-035", sent="ASGI: websocket.accept with such a field or subprotocol, websocket.http.response.start likewise",
    verdict="500, nothing of it sent",
)  # fmt: skip
def test_asgi_handshake(unruly_asgi_stage: Stage) -> None:
    stage = unruly_asgi_stage
    messages: list[dict[str, Any]] = []
    for value in VALUES:
        messages.append({"type": "websocket.accept", "headers": [(b"x", value)]})
        messages.append({"type": "websocket.accept", "subprotocol": value.decode()})
        messages.append({"type": "websocket.http.response.start", "status": 403, "headers": [(b"x", value)]})
    messages += [{"type": "websocket.accept", "headers": [(name, b"y")]} for name in NAMES]
    with stage.attacked(shows_failures=True):
        for message in messages:
            got = asked(stage, [message], *HANDSHAKE)
            assert got.startswith(b"HTTP/1.1 500 ") and b"evil" not in got.lower(), (message, got)


def _texts(values: list[bytes]) -> list[str]:
    """And one whose low byte is a line end."""
    return [*(value.decode("latin-1") for value in values), f"hidden\u010a{EVIL.decode()}", "hidden\u2028X-Evil: y"]


WSGI: dict[str, list[dict[str, Any]]] = {
    "a value": [{"headers": [["X", value]]} for value in _texts(VALUES)],
    "Set-Cookie": [{"headers": [["Set-Cookie", value]]} for value in _texts(VALUES[-12:])],
    "Location": [{"status": "302 Found", "headers": [["Location", value]]} for value in _texts(VALUES[-12:])],
    "Content-Length": [{"headers": [["Content-Length", "1" + value]]} for value in _texts(VALUES[-12:])],
    "a name": [{"headers": [[name, "y"]]} for name in [*_texts(NAMES), "x\u010aevil"]],
    "the reason": [{"status": "200 " + value} for value in _texts(VALUES)],
    "the status": [{"status": value + "200 OK"} for value in _texts(VALUES)],
    "an early hint": [{"hints": [["Link", value]]} for value in _texts(VALUES)],
}


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(
            place,
            marks=pytest.mark.threat(
                "G-035",
                sent=f"WSGI: {place} with each control byte and line end, and U+010A",
                verdict="500, nothing of it sent; the connection goes on",
            ),
        )
        for place in WSGI
    ],
)
def test_wsgi_head(place: str, unruly_wsgi_stage: Stage) -> None:
    stage = unruly_wsgi_stage
    mark = stage.server.mark()
    with stage.attacked(shows_failures=True):
        for what in WSGI[place]:
            refused(asked(stage, {"body": [b"x"]} | what))
    refused_http2(asked_http2(stage, {"body": [b"x"]} | WSGI[place][0]))
    if "headers" in WSGI[place][0] and place != "a name":
        assert SECRET.decode() not in stage.server.log_since(mark)


@pytest.mark.threat("G-035", sent="values of bytes above ASCII and tabs", verdict="sent byte by byte as they are")
def test_what_is_allowed_is_sent_as_it_is(unruly_asgi_stage: Stage, unruly_wsgi_stage: Stage) -> None:
    value = bytes(range(0x21, 0x7F)) + b"\t" + bytes(range(0x80, 0x100))
    got = asked(unruly_asgi_stage, [START | {"headers": [(b"x", value)]}, BODY])
    assert b"\r\nx: " + value + b"\r\n" in got
    peer = asked_http2(unruly_asgi_stage, [START | {"headers": [(b"x", value)]}, BODY])
    assert peer.heads[1][-1][b"x"] == value
    got = asked(unruly_wsgi_stage, {"headers": [["X", value.decode("latin-1")]], "body": [b"x"]})
    assert b"\r\nX: " + value + b"\r\n" in got
