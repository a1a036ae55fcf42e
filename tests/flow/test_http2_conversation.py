"""WebSocket over HTTP/2 (RFC 8441): an extended CONNECT becomes the same conversation as an upgrade of HTTP/1.1."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.http2 import RST_STREAM, WEBSOCKET, WINDOW_UPDATE, data, headers, rst, settings, update
from tests.support.inprocess import in_loop, make_server, serving, until
from tests.support.multiplexed import Http2Client, Serving, speaking
from tests.support.websocket_raw import BINARY, CLOSE, PING, PONG, TEXT, frame
from torana.serve.options import AccessLogOptions
from torana.wire.http2.limits import Limits

INITIAL_WINDOW = 4


class Talker:
    """An application that echoes, and remembers what it was told."""

    def __init__(self) -> None:
        self.scopes: list[Any] = []
        self.events: list[Any] = []
        self.reading = asyncio.Event()
        self.reading.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        assert scope["type"] == "websocket"
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/deny":
            await send({"type": "websocket.close"})
            return
        if scope["path"] == "/page":
            await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"who are you"})
            return
        await send({"type": "websocket.accept", "headers": [(b"x-mine", b"1")]})
        while True:
            await self.reading.wait()
            event = await receive()
            self.events.append(event)
            if event["type"] == "websocket.disconnect":
                return
            if event.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4000, "reason": "asked to"})
                continue
            await send({key: event[key] for key in ("bytes", "text") if key in event} | {"type": "websocket.send"})


def payloads(raw: bytes) -> list[tuple[int, bytes]]:
    """The server's frames: opcode and payload."""
    found = []
    while len(raw) >= 2:
        size, at = raw[1], 2
        if size == 126:
            size, at = int.from_bytes(raw[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(raw[2:10], "big"), 10
        if len(raw) < at + size:
            break
        found.append((raw[0] & 15, raw[at : at + size]))
        raw = raw[at + size :]
    return found


async def connected(client: Http2Client, path: bytes = b"/chat", behind: bytes = b"") -> int:
    """Ask for a conversation, and wait for the answer."""
    stream = client.number()
    fields = [(name, path if name == b":path" else value) for name, value in WEBSOCKET]
    more = data(stream, behind) if behind else b""
    await client.send(headers(stream, fields, is_end=False), more)
    await client.until(lambda: stream in client.peer.heads)
    return stream


async def heard(client: Http2Client, stream: int, count: int) -> list[tuple[int, bytes]]:
    """The first ``count`` frames of the server."""
    await client.until(lambda: len(payloads(client.body(stream))) >= count)
    return payloads(client.body(stream))


@in_loop
async def test_a_conversation_is_accepted_echoes_and_is_closed_in_order() -> None:
    app = Talker()
    async with serving(app) as server, speaking(server) as client:
        stream = await connected(client)
        head = client.peer.heads[stream][0]
        assert (head[b":status"], head[b"x-mine"]) == (b"200", b"1")
        assert not {b"upgrade", b"connection", b"sec-websocket-accept", b"content-length"} & set(head)
        await client.send(data(stream, frame(TEXT, b"one")), data(stream, frame(BINARY, b"two") + frame(PING, b"p")))
        assert sorted(await heard(client, stream, 3)) == [(TEXT, b"one"), (BINARY, b"two"), (PONG, b"p")]
        await client.send(data(stream, frame(CLOSE, b"\x03\xe8done")))
        await client.until(lambda: stream in client.peer.ended)
        assert payloads(client.body(stream))[-1][0] == CLOSE
        await client.send(data(stream, b"", is_end=True))
        await until(lambda: server.connections()[0].streams == {})
        await client.settled()
        assert client.count(RST_STREAM) == 0
    scope = app.scopes[0]
    assert (scope["http_version"], scope["scheme"], scope["path"]) == ("2", "ws", "/chat")
    assert app.events[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": "done"}
    assert server.server.site is not None
    assert server.server.site.running == 0


@in_loop
async def test_frames_right_behind_the_request_are_not_lost() -> None:
    async with serving(Talker()) as server, speaking(server) as client:
        stream = await connected(client, behind=frame(TEXT, b"early"))
        assert await heard(client, stream, 1) == [(TEXT, b"early")]


@pytest.mark.threat(
    "G-056",
    sent="a frame in two pieces, the second while the application accepts",
    verdict="whole, in order",
)
@in_loop
async def test_what_comes_while_the_handshake_is_accepted_keeps_its_order() -> None:
    """A second piece of a message is read after the acceptance, and before the first one was handed on."""
    text = frame(TEXT, b"in the right order")
    app = Talker()

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            # In the kernel's buffer when the application goes on, and not read yet.
            client.client.sock.send(data(1, text[7:]))
            await asyncio.sleep(0)
        await app(scope, receive, send)

    async with serving(hasty) as server, speaking(server) as client:
        stream = await connected(client, behind=text[:7])
        assert await heard(client, stream, 1) == [(TEXT, b"in the right order")]


@in_loop
async def test_the_application_closes_and_the_stream_ends() -> None:
    app = Talker()
    async with serving(app) as server, speaking(server) as client:
        stream = await connected(client)
        await client.send(data(stream, frame(TEXT, b"bye")))
        assert await heard(client, stream, 1) == [(CLOSE, b"\x0f\xa0asked to")]
        await client.send(data(stream, frame(CLOSE, b"\x0f\xa0"), is_end=True))
        await client.until(lambda: stream in client.peer.ended)
        await until(lambda: server.connections()[0].streams == {})


@pytest.mark.parametrize("path, status, body", [(b"/deny", 403, b"403 Forbidden\n"), (b"/page", 401, b"who are you")])
@in_loop
async def test_a_handshake_is_denied_like_any_request(path: bytes, status: int, body: bytes) -> None:
    async with serving(Talker()) as server, speaking(server) as client:
        stream = await connected(client, path)
        await client.answered(stream)
        assert (client.status(stream), client.body(stream)) == (status, body)
        await client.send(data(stream, b"", is_end=True))
        await until(lambda: server.connections()[0].streams == {})


@in_loop
async def test_a_reset_is_an_abnormal_end() -> None:
    app = Talker()
    async with serving(app) as server, speaking(server) as client:
        stream = await connected(client)
        await client.send(rst(stream))
        await until(lambda: len(app.events) == 1)
        assert app.events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]
        await until(lambda: server.connections()[0].streams == {})
        other = await connected(client)
        await client.send(data(other, frame(TEXT, b"x")))
        assert await heard(client, other, 1) == [(TEXT, b"x")]


@in_loop
async def test_a_lost_connection_ends_all_its_conversations() -> None:
    app = Talker()
    async with serving(app) as server:
        async with speaking(server) as client:
            for _ in range(5):
                await connected(client)
        await until(lambda: len(app.events) == 5)
        assert {event["code"] for event in app.events} == {1006}
        await server.settled(0)


@in_loop
async def test_an_application_that_does_not_read_closes_the_window() -> None:
    app = Talker()
    app.reading.clear()
    options = {"serve": {"http2": Limits(stream_window_bytes=65_535)}}
    async with serving(app, **options) as server, speaking(server, (INITIAL_WINDOW, 1 << 20)) as client:
        await client.send(update(0, 1 << 20))
        stream = await connected(client)
        message = frame(BINARY, bytes(15_000))
        for _ in range(4):
            await client.send(data(stream, message))
        await client.settled()
        given = sum(f.number for f in client.peer.frames if f.kind == WINDOW_UPDATE and f.stream == stream)
        assert given < 65_535
        app.reading.set()
        assert len(await heard(client, stream, 4)) == 4
        await client.until(
            lambda: any(f.kind == WINDOW_UPDATE and f.stream == stream for f in client.peer.frames)
        )  # fmt: skip
        for _ in range(3):
            await client.send(data(stream, message))
        assert len(await heard(client, stream, 7)) == 7


@in_loop
async def test_large_messages_pass_both_ways() -> None:
    options = {"serve": {"http2": Limits(stream_window_bytes=1 << 22, connection_window_bytes=1 << 22)}}
    async with serving(Talker(), **options) as server, speaking(server, (INITIAL_WINDOW, 1 << 22)) as client:
        await client.send(update(0, 1 << 22))
        stream = await connected(client)
        content = bytes(range(256)) * 4096
        whole = frame(BINARY, content)
        for at in range(0, len(whole), 16_384):
            await client.send(data(stream, whole[at : at + 16_384]))
        assert await heard(client, stream, 1) == [(BINARY, content)]


@in_loop
async def test_a_stop_says_1012_in_every_conversation() -> None:
    app = Talker()
    made = make_server(app)
    await made.start()
    server = Serving(made)
    async with speaking(server) as client:
        streams = [await connected(client) for _ in range(3)]
        made.request_stop()
        for stream in streams:
            frames = await heard(client, stream, 1)
            assert frames[0] == (CLOSE, frames[0][1])
            assert frames[0][1][:2] == (1012).to_bytes(2, "big")
            await client.send(data(stream, frame(CLOSE, b"\x03\xf4"), is_end=True))
        await client.ended()
        assert set(streams) <= client.peer.ended
    await made.finished()
    assert made.is_clean


@in_loop
async def test_what_is_no_websocket_is_refused_and_wsgi_is_told_of_none() -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [b"ok"]

    async with serving(Talker()) as server, speaking(server) as client:
        assert (8, 1) in announced(client)
        fields = [(name, b"chess" if name == b":protocol" else value) for name, value in WEBSOCKET]
        stream = client.number()
        await client.send(headers(stream, fields, is_end=False))
        await client.answered(stream)
        assert client.status(stream) == 501
        unversioned = client.number()
        await client.send(headers(unversioned, WEBSOCKET[:-1], is_end=False))
        await client.answered(unversioned)
        assert client.status(unversioned) in (400, 426)
    async with serving(wsgi, "wsgi") as server, speaking(server) as client:
        assert (8, 1) not in announced(client)
        stream = client.number()
        await client.send(headers(stream, WEBSOCKET, is_end=False))
        await client.answered(stream)
        assert client.peer.resets == {stream: 1}


@in_loop
async def test_the_access_log_has_one_line_when_it_is_over(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLogOptions(format="combined", file=str(path))
    async with serving(Talker(), serve={"access_log": log}) as server, speaking(server) as client:
        stream = await connected(client)
        await client.send(data(stream, frame(TEXT, b"hello")))
        await heard(client, stream, 1)
        await client.send(data(stream, frame(CLOSE, b"\x03\xe8"), is_end=True))
        await client.until(lambda: stream in client.peer.ended)
        await until(lambda: server.connections()[0].streams == {})
    assert path.read_text().count("\n") == 1
    assert '"CONNECT /chat HTTP/2" 200 5' in path.read_text()


@in_loop
async def test_a_stream_does_not_wait_for_its_neighbour_that_stalls() -> None:
    async with serving(Talker()) as server, speaking(server, (INITIAL_WINDOW, 1000)) as client:
        stalled, lively = await connected(client), await connected(client)
        for _ in range(20):
            await client.send(data(stalled, frame(BINARY, bytes(500))))
        for i in range(5):
            await client.send(data(lively, frame(TEXT, b"%d" % i)))
        assert await heard(client, lively, 5) == [(TEXT, b"%d" % i) for i in range(5)]
        assert len(client.body(stalled)) == 1000
        await client.send(settings((INITIAL_WINDOW, 1 << 20)))
        assert len(await heard(client, stalled, 20)) == 20


def announced(client: Http2Client) -> list[tuple[int, int]]:
    """The server's settings."""
    payload = client.peer.frames[0].payload
    return [
        (int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big"))
        for at in range(0, len(payload), 6)
    ]
