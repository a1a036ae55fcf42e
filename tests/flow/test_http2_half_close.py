"""A client of HTTP/2 that ends its half (FIN, close_notify): what it has asked for is answered, as far as that can be.

Nothing opens a window any more after that, and no request gets longer (threat G-106; RFC 9112 section 9.6 says for
HTTP/1.1 what HTTP/2 leaves open).
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.http2 import DATA, WEBSOCKET, data, frame, headers, update
from tests.support.inprocess import answer_with, in_loop, read_body, serving, until
from tests.support.multiplexed import request, speaking

INITIAL_WINDOW = 4
SOON_S = 10.0


def half_closes(sent: str, verdict: str) -> pytest.MarkDecorator:
    return pytest.mark.threat("G-106", sent=f"HTTP/2: {sent}, then FIN", verdict=verdict)


@half_closes("five requests", "all answers arrive; an application that asks is told of a disconnect")
@pytest.mark.parametrize("size", [2, 60_000])
@in_loop
async def test_a_half_closed_client_gets_its_answers(size: int) -> None:
    go = asyncio.Event()
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        if scope["path"] == "/ask":
            told.append((await receive())["type"])
            go.set()
            return
        await go.wait()
        await answer_with(send, bytes(size))

    async with serving(app) as server, speaking(server, (INITIAL_WINDOW, 1 << 20)) as client:
        await client.send(update(0, 1 << 20))
        streams = [await client.get() for _ in range(5)]
        asks = await client.get(b"/ask")
        client.client.finish_writing()
        await client.answered(*streams, asks)
        assert told == ["http.disconnect"]
        assert [len(client.body(stream)) for stream in streams] == [size] * 5
        assert set(client.peer.resets) == {asks}
        assert not client.peer.goaways
        await client.ended()
        assert not client.client.is_reset
        await server.settled(0)


@half_closes("an upload", "answered")
@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_a_complete_upload_is_answered(interface: str) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.02)
        body, is_complete = await read_body(receive)
        await answer_with(send, b"%d %d" % (len(body), is_complete))

    def wsgi(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"%d 1" % len(body)]

    async with serving(asgi if interface == "asgi3" else wsgi, interface) as server, speaking(server) as client:
        stream = await client.post(bytes(10_000))
        client.client.finish_writing()
        await client.answered(stream)
        assert client.body(stream) == b"10000 1"
        await client.ended()
        await server.settled(0)


@half_closes("a request and a half", "the whole one is answered, the other reset and its application told")
@in_loop
async def test_what_is_not_complete_is_lost() -> None:
    seen: dict[str, bool] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, is_complete = await read_body(receive)
        seen[scope["path"]] = is_complete
        if is_complete:
            await answer_with(send, body)

    async with serving(app) as server, speaking(server) as client:
        cut, frame_cut, whole = client.number(), client.number(), client.number()
        await client.send(headers(cut, request(b"/cut", method=b"POST"), is_end=False), data(cut, b"half"))
        await client.send(headers(frame_cut, request(b"/frame", method=b"POST"), is_end=False))
        await client.send(headers(whole, request(b"/whole", method=b"POST"), is_end=False), data(whole, b"all", True))
        await client.send(frame(DATA, 1, frame_cut, b"never whole")[:-3])
        client.client.finish_writing()
        await client.answered(cut, frame_cut, whole)
        assert client.body(whole) == b"all"
        assert set(client.peer.resets) == {cut, frame_cut}
        await client.ended()
        await server.settled(0)
    assert seen == {"/cut": False, "/frame": False, "/whole": True}


@half_closes("a request for more than its window takes", "what fits arrives, the rest is reset at once")
@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_what_does_not_fit_into_the_window_is_given_up_at_once(interface: str) -> None:
    ended: list[bool] = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(40):
                await send({"type": "http.response.body", "body": bytes(10_000), "more_body": True})
        finally:
            ended.append(True)

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            for _ in range(40):
                yield bytes(10_000)
        finally:
            ended.append(True)

    async with serving(asgi if interface == "asgi3" else wsgi, interface) as server, speaking(server) as client:
        streams = [await client.get() for _ in range(3)]
        client.client.finish_writing()
        await client.answered(*streams)
        assert sum(len(client.body(stream)) for stream in streams) == 65_535
        assert set(client.peer.resets) == set(streams)
        await client.ended()
        await until(lambda: ended == [True] * 3)
        await server.settled(0)


@half_closes("a request for a file larger than its window", "what fits arrives, the rest is reset")
@in_loop
async def test_an_answer_that_is_complete_but_does_not_fit_is_given_up() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, bytes(200_000))

    async with serving(app) as server, speaking(server, (INITIAL_WINDOW, 0)) as client:
        streams = [await client.get() for _ in range(20)]
        client.client.finish_writing()
        await client.answered(*streams)
        assert set(client.peer.resets) == set(streams)
        await client.ended()
        await server.settled(0)


@half_closes("a WebSocket", "told as a lost one (1006)")
@in_loop
async def test_a_conversation_is_over() -> None:
    codes: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        message = await receive()
        codes.append(message["code"])

    async with serving(app) as server, speaking(server) as client:
        stream = client.number()
        await client.send(headers(stream, WEBSOCKET, is_end=False))
        await client.until(lambda: stream in client.peer.heads)
        client.client.finish_writing()
        await client.ended()
        await server.settled(0)
    assert codes == [1006]


@in_loop
async def test_an_idle_connection_is_simply_over() -> None:
    async with serving(waits := Waiter()) as server, speaking(server) as client:
        client.client.finish_writing()
        await client.ended()
        assert not client.client.is_reset
        await server.settled(0)
    assert not waits.calls


@half_closes("more than one read takes, whose answers nobody takes yet", "all is read and answered")
@in_loop
async def test_what_came_before_the_end_is_read_though_nobody_listened() -> None:
    """Answers that wait stop the reading; FIN arrives meanwhile (G-047)."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y" * 16_000)]})
        await send({"type": "http.response.body", "body": b"ok"})

    async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as raw:
        from tests.support.http2 import PREFACE, Peer, settings

        count = 400
        numbers = range(1, 2 * count, 2)
        await raw.send(PREFACE + settings())
        for number in numbers:
            await raw.send(headers(number, request()))
        raw.finish_writing()
        peer = Peer()
        peer.take(await asyncio.wait_for(raw.read_to_end(), SOON_S))
        served = {number for number in numbers if peer.bodies.get(number) == b"ok"}
        assert served | set(peer.resets) == set(numbers)
        assert len(served) >= 128
        await server.settled(0)


class Waiter:
    """Notes calls."""

    def __init__(self) -> None:
        self.calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
