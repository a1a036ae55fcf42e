"""Answers ahead of the body: refusals by size, early ones, Expect, and a close that destroys nothing (G-028 to 030)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, Client, answer_with, in_loop, logged, read_body, serving, until

EXPECT = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 33\r\nExpect: 100-continue\r\n\r\n"
CANARY = b"GET /canary HTTP/1.1\r\nHost: t\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"


async def reading(scope: Any, receive: Any, send: Any) -> None:
    body, is_complete = await read_body(receive)
    if is_complete:
        await answer_with(send, body)


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, b"no", 401)


async def flood(client: Client) -> None:
    """Send for as long as the server takes it."""
    block = bytes(256 * 1024)
    try:
        while True:
            await client.send(block)
    except OSError:
        pass


# Expect: 100-continue


@in_loop
async def test_100_is_said_when_the_application_asks_for_the_body() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await reading(scope, receive, send)

    async with serving(app) as server, await server.connect() as client:
        await client.send(EXPECT)
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        with pytest.raises(BlockingIOError):
            client.sock.recv(1)
        go.set()
        assert (await client.read_head()).status == 100
        await client.send(CANARY)
        answer = await client.read()
        assert (answer.status, answer.body) == (200, CANARY)
        assert (await client.ask()).status == 200


@in_loop
async def test_100_is_not_said_when_the_body_comes_at_once() -> None:
    async with serving(reading) as server, await server.connect() as client:
        await client.send(EXPECT + CANARY)
        answer = await client.read(skip_interim=False)
        assert (answer.status, answer.body) == (200, CANARY)


@pytest.mark.parametrize("sent", [b"", CANARY, CANARY + CANARY])
@in_loop
async def test_answer_without_100_ends_the_connection(sent: bytes) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await answer_with(send, b"no", 401)

    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask(EXPECT)
        assert (answer.status, answer.get("connection")) == (401, b"close")
        if sent:
            await client.send(sent)
        await client.ended()
        assert not client.is_reset
    assert seen == ["/"]


@pytest.mark.parametrize(
    "fields", [b"Expect: 100-Continue, x\r\n", b"Expect: x\r\n", b"Expect: 100-continue\r\nExpect: y\r\n"]
)
@in_loop
async def test_unknown_expectation_is_refused(fields: bytes) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 33\r\n" + fields + b"\r\n" + CANARY)
        assert (answer.status, answer.get("connection")) == (417, b"close")
        await client.ended()
    assert seen == []


@in_loop
async def test_http_1_0_knows_no_expectations() -> None:
    async with serving(reading) as server, await server.connect() as client:
        await client.send(EXPECT.replace(b"HTTP/1.1", b"HTTP/1.0"))
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        await client.send(CANARY)
        answer = await client.read(skip_interim=False)
        assert (answer.status, answer.body) == (200, CANARY)


@in_loop
async def test_body_read_after_the_answer_began_is_no_error() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first,", "more_body": True})
        body, _ = await read_body(receive)
        await send({"type": "http.response.body", "body": body})

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            await client.send(EXPECT)
            head = await client.read_head()
            assert (head.status, head.get("connection")) == (200, b"close")
            await client.send(CANARY)
            assert CANARY in await client.read_to_end()
    assert log.errors() == []


# Too large


@in_loop
async def test_declared_length_is_refused_before_the_body() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])

    async with serving(app, bounds={"body_bytes": 1000}) as server:
        for method in ("POST", "HEAD"):
            async with await server.connect() as client:
                await client.send(f"{method} / HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n".encode())
                answer = await client.read(method)
                assert (answer.status, answer.get("connection")) == (413, b"close")
                await client.ended()
        async with await server.connect() as client:
            await client.send(EXPECT.replace(b"33", b"3333"))
            assert (await client.read(skip_interim=False)).status == 413
    assert seen == []


@pytest.mark.threat("G-012", sent="chunks, one beyond the bound of a body in sum", verdict="413; never a whole body")
@in_loop
async def test_chunked_body_is_refused_where_it_grows_too_large() -> None:
    heard = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append(await read_body(receive))

    async with serving(app, bounds={"body_bytes": 1000}) as server, await server.connect() as client:
        await client.send(CHUNKED + b"3e8\r\n" + bytes(1000) + b"\r\n")
        await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
        await client.send(b"1\r\nx\r\n")
        assert (await client.read()).status == 413
        await client.ended()
    assert heard == [(bytes(1000), False)]


@pytest.mark.threat("G-012", sent="the same while the answer goes out", verdict="the answer is visibly cut")
@in_loop
async def test_body_that_grows_too_large_cuts_an_answer_that_has_begun() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await read_body(receive)

    async with serving(app, bounds={"body_bytes": 1000}) as server, await server.connect() as client:
        await client.send(CHUNKED)
        assert (await client.read_head()).status == 200
        await client.send(b"7d0\r\n" + bytes(2000) + b"\r\n0\r\n\r\n")
        rest = await client.read_to_end()
        assert b"begun" in rest and b"0\r\n\r\n" not in rest


# Early answers


@pytest.mark.parametrize("framing", [b"Content-Length: 10000000000\r\n", b"Transfer-Encoding: chunked\r\n"])
@in_loop
async def test_whole_early_answer_reaches_a_client_that_goes_on_sending(framing: bytes) -> None:
    body = bytes(200_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, body, 403)

    async with serving(app, bounds={"body_bytes": 0}, timeouts={"linger_s": 0.1}) as server:
        for _ in range(10):
            async with await server.connect(receive_buffer_bytes=16 * 1024) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: t\r\n" + framing + b"\r\n")
                if b"chunked" in framing:
                    await client.send(b"ffffffff\r\n")
                sending = asyncio.create_task(flood(client))
                answer = await client.read()
                assert (answer.status, answer.body, answer.is_complete) == (403, body, True)
                assert answer.get("connection") == b"close"
                await sending


@in_loop
async def test_413_reaches_a_client_that_goes_on_sending() -> None:
    async with serving(reading, bounds={"body_bytes": 1000}, timeouts={"linger_s": 0.1}) as server:
        for _ in range(20):
            async with await server.connect() as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n\r\n")
                sending = asyncio.create_task(flood(client))
                answer = await client.read()
                assert (answer.status, answer.is_complete) == (413, True)
                await sending


@in_loop
async def test_small_rest_of_a_body_is_thrown_away_and_the_connection_kept() -> None:
    async with serving(refusing) as server, await server.connect() as client:
        head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 20000\r\n\r\n"
        answer = await client.ask(head + bytes(100))
        assert (answer.status, answer.get("connection")) == (401, None)
        await client.send(bytes(19_900))
        assert (await client.ask()).status == 401


@in_loop
async def test_small_rest_that_does_not_come_ends_the_connection() -> None:
    async with serving(refusing) as server, await server.connect() as client:
        answer = await client.ask(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 20000\r\n\r\n")
        assert answer.status == 401
        await client.ended()


@in_loop
async def test_close_after_a_refusal_is_no_reset() -> None:
    async with serving(reading) as server:
        for _ in range(20):
            async with await server.connect() as client:
                await client.send(b"BAD\r\n\r\n" + bytes(30_000))
                assert (await client.read()).status == 400
                await client.send(bytes(1000))
                await client.ended()
                assert not client.is_reset


@in_loop
async def test_last_answer_of_a_kept_connection_survives_the_next_request() -> None:
    """The client's next request is under way when the server says that this answer was the last."""
    async with serving(refusing, bounds={"keep_alive_requests": 1}) as server:
        for _ in range(20):
            async with await server.connect() as client:
                await client.send(GET)
                await until(lambda: server.server.site is not None and server.server.site.running == 0)
                await client.send(GET)
                assert (await client.read()).get("connection") == b"close"
                await client.ended()
                assert not client.is_reset


@in_loop
async def test_large_last_answer_reaches_a_slow_reader_whole() -> None:
    body = bytes(range(256)) * 8192

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, body, headers=[(b"connection", b"close")])

    async with serving(app, timeouts={"linger_s": 0.1}) as server:
        async with await server.connect(receive_buffer_bytes=16 * 1024) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\n" + bytes(50_000))
            assert (await client.read_head()).status == 200
            got = b""
            while len(got) < len(body):
                got += await client.read_exactly(min(65536, len(body) - len(got)))
                await asyncio.sleep(0.005)
            assert got == body
