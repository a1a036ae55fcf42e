"""Whole connections: pipelines, what stands behind a close, upgrades that are none, two protocols (G-031 to G-034)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.http2 import PREFACE, settings
from tests.support.raw import Connection
from tests.threats.stage import Stage, staged
from tests.threats.wire import ask_http2, deliver_each
from tests.unit.wire.corpus.case import CANARY, get, post

_WEBSOCKET = (
    *(b"Host: t", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
    b"Sec-WebSocket-Version: 13",
)


# Pipelines


@pytest.mark.threat(
    "G-031", sent="100,000 requests at once", verdict="3,000 (limit-keep-alive-requests here) in order, then the end"
)
def test_pipeline_is_answered_in_order(stage: Stage) -> None:
    stage.events()
    with stage.attacked(), stage.connect() as connection:
        data = b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % number for number in range(100_000))
        answers = []
        connection.socket.settimeout(0.0)
        sent = 0
        while len(answers) < 3000:
            sent = _send_some(connection, data, sent)
            connection.socket.settimeout(20.0)
            answers.append(connection.read())
            connection.socket.settimeout(0.0)
        assert answers[-1].get("connection") == b"close"
        connection.socket.settimeout(20.0)
        assert connection.is_ended()
    assert [answer.body for answer in answers] == [b"GET /%d 0" % number for number in range(3000)]
    # One at a time: the next call begins when the one before has had its body.
    events = [(event["event"], event["path"]) for event in stage.events()]
    assert events == [(event, f"/{number}") for number in range(3000) for event in ("call", "body")]


def _send_some(connection: Connection, data: bytes, sent: int) -> int:
    try:
        return sent + connection.socket.send(memoryview(data)[sent : sent + 65536])
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        return sent


@pytest.mark.parametrize(
    "first",
    [
        get(b"Host: t", b"Connection: close"),
        get(b"Host: t", b"Connection: foo, CLOSE"),
        get(b"Host: t", b"Connection: keep-alive", b"Connection: close"),
        get(b"Host: t", version=b"1.0"),
        get(b"Host: t", b"Connection: close, keep-alive", version=b"1.0"),
        post(b"Connection: close", b"Content-Length: 2", body=b"hi"),
        post(b"Connection: close", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ],
    ids=["close", "list", "two", "1.0", "1.0-both", "body", "chunked"],
)
@pytest.mark.threat("G-031", sent="a last request (Connection: close, HTTP/1.0), and the canary", verdict="one answer")
def test_nothing_behind_the_last_request_is_read(first: bytes, stage: Stage) -> None:
    stage.events()
    with stage.attacked():
        for outcome in deliver_each(stage, [first + CANARY, first + CANARY * 1000]):
            assert (outcome.statuses, outcome.end) == ([200], "fin")
    assert [call["path"] for call in stage.calls()].count("/canary") == 0


# Upgrades

#: Sent; statuses of ASGI and of WSGI; what is said of it.
UPGRADES = {
    "h2c": (get(b"Host: t", b"Upgrade: h2c", b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: AAMAAABk"),
            [200, 200], [200, 200]),
    "h2c-preface": (get(b"Host: t", b"Upgrade: h2c", b"Connection: Upgrade") + PREFACE, [200, 505], [200, 505]),
    "unknown": (get(b"Host: t", b"Upgrade: foo/2, websock", b"Connection: Upgrade"), [200, 200], [200, 200]),
    "unlisted": (get(*(field for field in _WEBSOCKET if b"Connection" not in field)), [200, 200], [200, 200]),
    "version": (get(*_WEBSOCKET[:-1], b"Sec-WebSocket-Version: 12"), [426], [200, 200]),
    "no-key": (get(*(field for field in _WEBSOCKET if b"Key" not in field)), [400], [200, 200]),
    "two-keys": (get(*_WEBSOCKET, _WEBSOCKET[3]), [400], [200, 200]),
    "length": (get(*_WEBSOCKET, b"Content-Length: 33") + CANARY, [400], [200, 200]),
    "chunked": (get(*_WEBSOCKET, b"Transfer-Encoding: chunked") + b"0\r\n\r\n", [400], [200, 200]),
    "post": (post(*_WEBSOCKET[1:], b"Content-Length: 33", body=CANARY), [400], [200, 200]),
    "post-empty": (post(*_WEBSOCKET[1:], b"Content-Length: 0"), [400], [200, 200]),
    "1.0": (get(*_WEBSOCKET, version=b"1.0"), [200], [200]),
    "origin": (get(*_WEBSOCKET, b"Origin: http://evil"), [403], [403]),
}  # fmt: skip


def _upgrade(name: str) -> Any:
    data, asgi, wsgi = UPGRADES[name]
    said = ", ".join(str(status) for status in dict.fromkeys(asgi))
    verdict = f"{said}; from WSGI {', '.join(str(status) for status in dict.fromkeys(wsgi))}" if asgi != wsgi else said
    return pytest.param(name, marks=pytest.mark.threat("G-033", sent=repr(data)[2:-1], verdict=verdict))


@pytest.mark.parametrize("name", [_upgrade(name) for name in UPGRADES])
def test_upgrade_that_is_none(name: str, stage: Stage) -> None:
    data, *wanted = UPGRADES[name]
    statuses = wanted[stage.site == "wsgi_site"]
    stage.events()
    with stage.attacked():
        [outcome] = deliver_each(stage, [data + CANARY])
        assert (outcome.statuses, outcome.end) == (statuses, "fin")
    assert [call["path"] for call in stage.calls()].count("/canary") == statuses[1:].count(200)


@pytest.fixture(scope="module")
def old_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """HTTP/1 only."""
    with staged(tmp_path_factory.mktemp("old"), "asgi_site", "--http", "1") as stage:
        yield stage


@pytest.mark.parametrize(
    "data", [PREFACE, PREFACE + settings(), PREFACE[:18] + b"Host: t\r\n\r\n", b"PRI * HTTP/1.1\r\nHost: t\r\n\r\n"]
)
@pytest.mark.threat("G-033", sent="the preface of HTTP/2, to --http 1", verdict="505, or 400 for its target; the end")
def test_preface_where_http2_is_off(data: bytes, old_stage: Stage) -> None:
    old_stage.events()
    with old_stage.attacked():
        for outcome in deliver_each(old_stage, [data + CANARY]):
            assert (outcome.statuses, outcome.end) == ([400 if b"1.1" in data[:20] else 505], "fin")
    assert old_stage.calls() == []


@pytest.mark.threat("G-033", sent="the preface behind an HTTP/1 request, in one write", verdict="200, then 505")
def test_preface_behind_a_request(stage: Stage) -> None:
    stage.events()
    with stage.attacked():
        [outcome] = deliver_each(stage, [get(b"Host: t") + PREFACE + settings() + CANARY])
        assert outcome.statuses == [200, 505]
    assert len(stage.calls()) == 1


# Two protocols

REQUESTS: list[tuple[bytes, bytes, list[tuple[bytes, bytes]]]] = [
    (b"GET", b"/", []),
    (b"GET", b"/a%20b/%c3%a4?q=%20&x", [(b"x-one", b"1"), (b"x-one", b"2"), (b"cookie", b"a=b; c=d")]),
    (b"DELETE", b"//x/../y", [(b"x_under", b"dropped"), (b"x.dot", b"dropped"), (b"proxy", b"dropped")]),
    (b"BREW", b"/%00%zz", [(b"x-high", b"\xe4\xff"), (b"x-empty", b"")]),
    (b"OPTIONS", b"*", []),
    (b"GET", b"/", [(b"x-forwarded-for", b"1.2.3.4"), (b"x-forwarded-proto", b"https")]),
    (b"GET", b"/", [(b"x-forwarded-for", b"1.2.3.4"), (b"forwarded", b"for=5.6.7.8")]),
    (b"GET", b"/", [(b"bad name", b"1")]),
    (b"GET", b"/", [(b"x", b"a\x00b")]),
    (b"G@T", b"/", []),
    (b"GET", b"nowhere", []),
    (b"GET", b"/a#b", []),
    (b"GET", b"/", [(b"content-length", b"+5")]),
    (b"GET", b"/", [(b"content-length", b"5"), (b"content-length", b"5")]),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=[repr((one[0], one[1], one[2][:1]))[1:50] for one in REQUESTS])
@pytest.mark.threat("G-034", sent="14 requests over HTTP/1.1 and HTTP/2", verdict="the same call, or refused by both")
def test_protocols_agree(request_: tuple[bytes, bytes, list[tuple[bytes, bytes]]], stage: Stage) -> None:
    method, target, fields = request_
    stage.events()
    lines = b"".join(b"%s: %s\r\n" % field for field in fields)
    [old] = deliver_each(stage, [method + b" " + target + b" HTTP/1.1\r\nHost: t\r\n" + lines + b"\r\n"])
    first = [_told(call) for call in stage.calls()]
    pseudo = [(b":method", method), (b":scheme", b"http"), (b":path", target), (b":authority", b"t")]
    peer = ask_http2(stage, [*pseudo, *fields])
    status = int(peer.heads[1][-1][b":status"]) if 1 in peer.heads else 0
    second = [_told(call) for call in stage.calls()]
    assert first == second
    assert (old.statuses[0] == 200) == (status == 200)


def _told(call: dict[str, Any]) -> dict[str, Any]:
    """What is the same whatever the version."""
    if "environ" in call:
        call |= call.pop("environ")
    own = ("http_version", "client", "REMOTE_PORT", "SERVER_PROTOCOL", "event")
    return {key: value for key, value in call.items() if key not in own and not key.startswith("wsgi.")}
