"""What an application hears of a client that leaves, and what becomes of what it sends then (ASGI-HTTP-54; G-016)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, logged, read_body, serving, until
from torana.exchange.response import ClientDisconnected
from torana.net.poller import PEER_CLOSED

POST = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"

#: The promise is 100 ms; this machine may be busy.
SOON_S = 2.0


class Waiter:
    """An application that waits in ``receive()`` for the end, reading whatever body there is."""

    def __init__(self) -> None:
        self.is_called = asyncio.Event()
        self.is_told = asyncio.Event()
        self.body = b""
        self.is_complete = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.is_called.set()
        while (event := await receive())["type"] != "http.disconnect":
            self.body += event["body"]
            self.is_complete = not event["more_body"]
        self.is_told.set()


@pytest.mark.threat("G-106", sent="FIN or RST while the application waits", verdict="told once, at once")
@pytest.mark.parametrize("way", ["close", "reset", "finish_writing"])
@pytest.mark.parametrize(
    "request_bytes",
    [
        GET,
        POST % 5 + b"hello",
        POST % 5 + b"hel",
        POST % 300_000 + bytes(300_000),
        POST % 300_000 + bytes(200_000),
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"30D40\r\n" + bytes(200_000) + b"\r\n0\r\n\r\n",
        GET + GET,
    ],
    ids=["no-body", "body", "cut", "large", "large-cut", "chunked-cut", "chunked", "chunked-large", "pipelined"],
)
@in_loop
async def test_waiting_application_is_told(request_bytes: bytes, way: str) -> None:
    app = Waiter()
    async with serving(app) as server, await server.connect() as client:
        await client.send(request_bytes)
        await app.is_called.wait()
        getattr(client, way)()
        await asyncio.wait_for(app.is_told.wait(), SOON_S)


@pytest.mark.parametrize("way", ["close", "reset", "finish_writing"])
@in_loop
async def test_second_of_two_pipelined_requests_is_told_too(way: str) -> None:
    told = asyncio.Event()
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/first":
            await go.wait()
            await answer_with(send)
            return
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    async with serving(app) as server, await server.connect() as client:
        await client.send(b"GET /first HTTP/1.1\r\nHost: t\r\n\r\n" + GET)
        await until(lambda: server.server.site is not None and server.server.site.running == 1)
        go.set()
        assert (await client.read()).status == 200
        await until(lambda: server.server.site is not None and server.server.site.served == 2)
        getattr(client, way)()
        await asyncio.wait_for(told.wait(), SOON_S)


@in_loop
async def test_fin_that_came_before_the_second_request_began_is_not_forgotten() -> None:
    told = asyncio.Event()
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/first":
            await go.wait()
            await answer_with(send)
            return
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        told.set()

    async with serving(app) as server, await server.connect() as client:
        await client.send(b"GET /first HTTP/1.1\r\nHost: t\r\n\r\n" + GET)
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        client.finish_writing()
        # The server has seen the FIN when it no longer asks for it.
        await until(lambda: not server.connections()[0].transport._interest & PEER_CLOSED)
        go.set()
        assert (await client.read()).status == 200
        await asyncio.wait_for(told.wait(), SOON_S)


@pytest.mark.threat("G-106", sent="half-close right after the request", verdict="all answers arrive")
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("size", [2, 3_000_000])
@in_loop
async def test_half_closed_client_gets_its_late_answers(count: int, size: int) -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send, bytes(size))

    async with serving(app) as server, await server.connect() as client:
        await client.send(GET * count)
        client.finish_writing()
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        await asyncio.sleep(0.02)
        go.set()
        for _ in range(count):
            answer = await client.read()
            assert (answer.status, answer.is_complete, len(answer.body)) == (200, True, size)
        await client.ended()
        assert not client.is_reset


@pytest.mark.threat("G-106", sent="half-close after an upload", verdict="answered")
@in_loop
async def test_half_closed_upload_is_answered() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.02)
        body, is_complete = await read_body(receive)
        await answer_with(send, b"%d %d" % (len(body), is_complete))

    async with serving(app) as server:
        for data in (POST % 500_000 + bytes(500_000), CHUNKED + b"7A120\r\n" + bytes(500_000) + b"\r\n0\r\n\r\n"):
            async with await server.connect() as client:
                await client.send(data)
                client.finish_writing()
                assert (await client.read()).body == b"500000 1"


BODY = b"5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n"


@pytest.mark.threat(
    "G-016", sent="FIN at every offset of a chunked body", verdict="the application sees a disconnect, never the end"
)
@in_loop
async def test_chunked_body_cut_anywhere_is_never_complete() -> None:
    heard: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        _, is_complete = await read_body(receive)
        heard.append(is_complete)
        await answer_with(send)

    with logged() as log:
        async with serving(app) as server:
            for stop in range(len(BODY)):
                async with await server.connect() as client:
                    await client.send(CHUNKED + BODY[:stop])
                    client.finish_writing()
                    await client.ended()
            await until(lambda: len(heard) == len(BODY))
            async with await server.connect() as client:
                assert (await client.ask(CHUNKED + BODY)).status == 200
    assert heard == [False] * len(BODY) + [True]
    assert log.errors() == []


@pytest.mark.threat(
    "G-106", sent="sending after the client left", verdict="OSError in the application, no error in the log"
)
@pytest.mark.parametrize("wrap", ["plain", "group", "nested", "context"])
@in_loop
async def test_sending_after_the_disconnect_raises_and_is_not_logged_as_an_error(wrap: str) -> None:
    raised: list[BaseException] = []
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            await answer_with(send)
        except OSError as error:
            raised.append(error)
            over.set()
            if wrap == "group":
                raise ExceptionGroup("tasks", [error]) from None
            if wrap == "nested":
                raise BaseExceptionGroup("outer", [ExceptionGroup("inner", [error])]) from None
            if wrap == "context":
                raise RuntimeError("what a framework makes of it") from error
            raise

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            await client.send(GET)
            await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
            client.close()
            await over.wait()
            await server.settled()
    assert isinstance(raised[0], ClientDisconnected)
    assert log.errors() == []


@in_loop
async def test_streaming_to_a_client_that_left_raises() -> None:
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(1000), "more_body": True})
                await asyncio.sleep(0)
        except OSError:
            over.set()
            raise

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            await client.send(GET)
            await client.read_head()
            client.reset()
            await over.wait()
            await server.settled()
    assert log.errors() == []


@in_loop
async def test_own_oserror_of_an_application_is_an_error_all_the_same() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise FileNotFoundError("config")

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            assert (await client.ask()).status == 500
    assert len(log.errors()) == 1


@in_loop
async def test_answer_is_complete_although_the_task_goes_on() -> None:
    events = []
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)
        events.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"too late"})
        over.set()

    async with serving(app) as server, await server.connect() as client:
        assert (await client.ask()).body == b"ok"
        await over.wait()
        assert (await client.ask()).body == b"ok"
    assert events[0] == "http.disconnect"


@in_loop
async def test_cancelled_receive_loses_nothing() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(5):
            task = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        body, is_complete = await read_body(receive)
        await answer_with(send, body + b" %d" % is_complete)

    async with serving(app) as server, await server.connect() as client:
        await client.send(POST % 5)
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        await asyncio.sleep(0.01)
        assert (await client.ask(b"hello")).body == b"hello 1"
