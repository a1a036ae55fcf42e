"""Memory of one connection is bounded both ways, however fast the one side and slow the other (G-069, invariant I3)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, read_body, serving, until

HIGH = 64 * 1024


@in_loop
async def test_send_waits_for_a_client_that_does_not_read() -> None:
    sent = 0
    piece = bytes(50_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            sent += 1
        await send({"type": "http.response.body"})

    async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as client:
        await client.send(GET)
        await until(lambda: bool(server.connections()) and server.connections()[0].transport.is_full())
        [connection] = server.connections()
        before = sent
        async with await server.connect():
            await server.settled(2)
        assert sent == before < 400
        assert connection.transport.waiting <= HIGH + 2 * len(piece)
        answer = await client.read()
        assert (len(answer.body), answer.is_complete) == (400 * len(piece), True)


@in_loop
async def test_waiting_send_is_woken_when_the_client_leaves() -> None:
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        except OSError:
            over.set()
            raise

    async with serving(app) as server:
        client = await server.connect(receive_buffer_bytes=4096)
        await client.send(GET)
        await until(lambda: bool(server.connections()) and server.connections()[0].transport.is_full())
        client.reset()
        await over.wait()


@pytest.mark.parametrize("framing", ["length", "chunked"])
@in_loop
async def test_client_waits_for_an_application_that_does_not_read(framing: str) -> None:
    go = asyncio.Event()
    size = 30_000_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        total = 0
        while True:
            event = await receive()
            assert len(event["body"]) <= 2 * HIGH
            total += len(event["body"])
            if not event["more_body"]:
                break
        await answer_with(send, b"%d" % total)

    async with serving(app) as server, await server.connect() as client:
        if framing == "length":
            data = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
        else:
            data = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size + bytes(size)
            data += b"\r\n0\r\n\r\n"
        sending = asyncio.create_task(client.send(data))
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        [connection] = server.connections()
        await until(lambda: connection.request.is_full())
        async with await server.connect():
            await server.settled(2)
        assert connection.request.buffered <= 2 * HIGH
        assert connection.wire.buffered <= HIGH
        assert not sending.done()
        go.set()
        assert (await client.read()).body == b"%d" % size


@in_loop
async def test_wsgi_upload_is_spooled_and_arrives_whole() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        body = environ["wsgi.input"].read()
        start_response("200 OK", [])
        return [b"%d %d" % (len(body), sum(body[:1000]))]

    async with serving(app, "wsgi", gateway={"spool_bytes": 10_000}) as server, await server.connect() as client:
        data = b"\1" * 3_000_000
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        assert (await client.read()).body == b"3000000 1000"


@in_loop
async def test_thread_is_free_once_the_last_block_was_handed_over() -> None:
    """One thread; a client that does not read takes it only until its last block."""

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [bytes(3_000_000 if environ["PATH_INFO"] == "/large" else 3)]

    async with serving(app, "wsgi", gateway={"threads": 1}) as server:
        async with await server.connect(receive_buffer_bytes=4096) as slow, await server.connect() as other:
            await slow.send(b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n")
            await until(lambda: any(one.transport.waiting for one in server.connections()))
            for _ in range(3):
                assert (await other.ask()).body == bytes(3)
            assert len((await slow.read()).body) == 3_000_000
            assert (await slow.ask()).body == bytes(3)


@in_loop
async def test_many_answers_at_once_stay_whole() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, _ = await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for i in range(20):
            await send({"type": "http.response.body", "body": body * (1 + i % 5), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def one(server: Any, mark: int) -> None:
        body = bytes([mark]) * 20_000
        async with await server.connect(receive_buffer_bytes=16 * 1024) as client:
            for _ in range(2):
                await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                answer = await client.read()
                assert answer.is_complete and answer.body == body * 60

    async with serving(app) as server:
        await asyncio.gather(*(one(server, i) for i in range(16)))


@in_loop
async def test_waiting_send_is_woken_when_a_client_leaves_that_had_ended_its_half() -> None:
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(100_000), "more_body": True})
        except OSError:
            over.set()
            raise

    async with serving(app) as server:
        client = await server.connect(receive_buffer_bytes=4096)
        await client.send(GET)
        await until(lambda: bool(server.connections()) and server.connections()[0].transport.is_full())
        client.finish_writing()
        await until(lambda: server.connections()[0].request.is_broken)
        client.reset()
        await asyncio.wait_for(over.wait(), 20)
