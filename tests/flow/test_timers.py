"""Every timer of a connection, with limits of tenths of a second (``defaults.md`` 4.1; G-064 to G-066)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, Client, answer_with, in_loop, logged, read_body, serving, until
from torana.serve.phases import HEAD

POST = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
#: All off: each test turns on what it is about.
OFF: dict[str, Any] = {
    "first_byte_s": 0, "head_s": 0, "body_idle_s": 0, "body_rate": 0, "write_idle_s": 0, "keep_alive_s": 0,
}  # fmt: skip


async def app(scope: Any, receive: Any, send: Any) -> None:
    body, _ = await read_body(receive)
    await answer_with(send, b"%d" % len(body))


async def drip(client: Client, data: bytes, every_s: float) -> None:
    """One byte after the other, until the server has had enough."""
    for byte in data:
        try:
            await client.send(bytes([byte]))
        except ConnectionError:
            return
        await asyncio.sleep(every_s)


@in_loop
async def test_silent_connection_is_closed_without_a_word() -> None:
    async with serving(app, timeouts=OFF | {"first_byte_s": 0.2}) as server, await server.connect() as client:
        await client.ended()


@in_loop
async def test_idle_connection_is_closed_without_a_word() -> None:
    async with serving(app, timeouts=OFF | {"keep_alive_s": 0.2}) as server, await server.connect() as client:
        assert (await client.ask()).status == 200
        await client.ended()


@pytest.mark.parametrize("sent_before", [b"", GET])
@in_loop
async def test_dripped_head_is_refused(sent_before: bytes) -> None:
    async with serving(app, timeouts=OFF | {"head_s": 0.3, "head_max_s": 0.3}) as server:
        async with await server.connect() as client:
            if sent_before:
                await client.ask(sent_before)
            dripping = asyncio.create_task(drip(client, b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"y" * 1000, 0.02))
            answer = await client.read()
            assert (answer.status, answer.get("connection")) == (408, b"close")
            await client.ended()
            dripping.cancel()


@in_loop
async def test_dripped_complete_lines_are_refused_too() -> None:
    async with serving(app, timeouts=OFF | {"head_s": 0.3, "head_max_s": 0.3}) as server:
        async with await server.connect() as client:
            dripping = asyncio.create_task(drip(client, b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X: y\r\n" * 100, 0.01))
            assert (await client.read()).status == 408
            await client.ended()
            dripping.cancel()


@in_loop
async def test_large_head_that_keeps_coming_is_given_more_time() -> None:
    """1 s for each 500 bytes, complete lines or not: 2,000 bytes in 0.6 s are too many for 0.2 s, and welcome."""
    times = OFF | {"head_s": 0.2, "head_max_s": 5.0}
    async with serving(app, timeouts=times) as server, await server.connect() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: t\r\n")
        await until(lambda: server.connections() and server.connections()[0].phase == HEAD)
        for _ in range(6):
            await client.send(b"X-Field: " + b"y" * 600 + b"\r\n")
            await asyncio.sleep(0.1)
        assert (await client.ask(b"\r\n")).status == 200


@in_loop
async def test_growth_of_the_head_time_is_bounded() -> None:
    times = OFF | {"head_s": 0.2, "head_max_s": 0.4}
    async with serving(app, timeouts=times) as server, await server.connect() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"y" * 8000)
        assert (await client.read()).status == 408


@in_loop
async def test_stalled_body_is_refused_and_the_application_told() -> None:
    heard = []

    async def reader(scope: Any, receive: Any, send: Any) -> None:
        heard.append(await read_body(receive))

    async with serving(reader, timeouts=OFF | {"body_idle_s": 0.2}) as server, await server.connect() as client:
        answer = await client.ask(POST % 100 + b"x" * 99)
        assert answer.status == 408
        await client.ended()
    assert heard == [(b"x" * 99, False)]


@in_loop
async def test_dripped_body_is_refused() -> None:
    times = OFF | {"body_idle_s": 5.0, "body_rate": 500, "body_grace_s": 0.3}
    async with serving(app, timeouts=times) as server, await server.connect() as client:
        await client.send(POST % 100_000)
        dripping = asyncio.create_task(drip(client, bytes(2000), 0.01))
        assert (await client.read()).status == 408
        dripping.cancel()


@in_loop
async def test_dripped_chunks_are_refused() -> None:
    times = OFF | {"body_idle_s": 5.0, "body_rate": 500, "body_grace_s": 0.3}
    async with serving(app, timeouts=times) as server, await server.connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        dripping = asyncio.create_task(drip(client, b"1\r\nx\r\n" * 400, 0.005))
        assert (await client.read()).status == 408
        dripping.cancel()


@in_loop
async def test_slow_but_steady_body_is_taken() -> None:
    times = OFF | {"body_idle_s": 5.0, "body_rate": 500, "body_grace_s": 0.2}
    async with serving(app, timeouts=times) as server, await server.connect() as client:
        await client.send(POST % 4000)
        for _ in range(8):
            await client.send(bytes(500))
            await asyncio.sleep(0.1)
        assert (await client.read()).body == b"4000"


@in_loop
async def test_time_in_which_the_application_holds_the_body_up_does_not_count() -> None:
    size = 400_000

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        total = 0
        while True:
            await asyncio.sleep(0.3)
            event = await receive()
            if event["type"] == "http.disconnect":
                return
            total += len(event["body"])
            if not event["more_body"]:
                break
        await answer_with(send, b"%d" % total)

    times = OFF | {"body_idle_s": 0.2, "body_rate": 1_000_000, "body_grace_s": 0.2}
    async with serving(slow, timeouts=times) as server, await server.connect() as client:
        await client.send(POST % size + bytes(size))
        assert (await client.read()).body == b"%d" % size


@in_loop
async def test_client_that_waits_for_100_is_not_the_slow_one() -> None:
    async def late(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.9)
        body, _ = await read_body(receive)
        await answer_with(send, body)

    times = OFF | {"body_idle_s": 0.7, "body_rate": 1000, "body_grace_s": 0.7}
    async with serving(late, timeouts=times) as server, await server.connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.read(skip_interim=False)).status == 100
        assert (await client.ask(b"hello")).body == b"hello"
        # Asked for, the body has to come in time.
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.read(skip_interim=False)).status == 100
        assert (await client.read()).status == 408


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@pytest.mark.parametrize("read_some", [False, True])
@in_loop
async def test_client_that_takes_nothing_is_cut(interface: str, read_some: bool) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(200_000), "more_body": True})

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return (bytes(200_000) for _ in range(100))

    application = asgi if interface == "asgi3" else wsgi
    with logged() as log:
        async with serving(application, interface, timeouts=OFF | {"write_idle_s": 0.3, "write_rate": 0}) as server:
            async with await server.connect(receive_buffer_bytes=4096) as client:
                await client.send(GET)
                if read_some:
                    await client.read_head()
                await until(lambda: any("timeout_write" in line for line in log.lines()))
                await server.settled(0)
    assert log.errors() == []


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_client_that_drips_the_answer_is_cut(interface: str) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(200_000), "more_body": True})

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return (bytes(200_000) for _ in range(100))

    async def trickle(client: Client) -> None:
        while await asyncio.get_running_loop().sock_recv(client.sock, 2048):
            await asyncio.sleep(0.02)

    times = OFF | {"write_idle_s": 0.4, "write_rate": 100_000_000}
    application = asgi if interface == "asgi3" else wsgi
    async with serving(application, interface, timeouts=times) as server:
        async with await server.connect(receive_buffer_bytes=4096) as client:
            await client.send(GET)
            reading = asyncio.create_task(trickle(client))
            await server.settled(1)
            await server.settled(0)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_slow_but_healthy_reader_is_left_alone(interface: str) -> None:
    """The kernel tells of room only every megabyte or so, which this reader takes 5 s for; but it does take something.

    All is ten times as fast as the promise (20 kB/s, 60 s): the kernel's windows of 64 KiB cannot be made smaller.
    """
    body = bytes(6_000_000)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, body)

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return (body[i : i + 100_000] for i in range(0, len(body), 100_000))

    loop = asyncio.get_running_loop()
    times = OFF | {"write_idle_s": 0.8, "write_rate": 500}
    async with serving(asgi if interface == "asgi3" else wsgi, interface, timeouts=times) as server:
        async with await server.connect(receive_buffer_bytes=16 * 1024, segment_bytes=1400) as client:
            await client.send(GET)
            taken = 0
            ends_at = loop.time() + 2.4
            while loop.time() < ends_at:
                taken += len(await loop.sock_recv(client.sock, 20_000))
                await asyncio.sleep(0.1)
            assert taken < 600_000 and len(server.connections()) == 1
            while taken < len(body):
                data = await loop.sock_recv(client.sock, 1_000_000)
                assert data
                taken += len(data)


@in_loop
async def test_quiet_stream_has_no_time_limit() -> None:
    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.3)
        await send({"type": "http.response.body"})

    times = {
        "first_byte_s": 0.1, "head_s": 0.1, "body_idle_s": 0.1, "write_idle_s": 0.1, "keep_alive_s": 0.1,
    }  # fmt: skip
    async with serving(stream, timeouts=times) as server, await server.connect() as client:
        answer = await client.ask()
        assert (answer.body, answer.is_complete) == (b"xxx", True)


@in_loop
async def test_lingering_ends_by_itself() -> None:
    async with serving(app, timeouts=OFF | {"linger_s": 0.2}) as server, await server.connect() as client:
        assert (await client.ask(b"BAD\r\n\r\n")).status == 400
        await client.ended()
        # We keep our end open and silent.
        await server.settled(0)


@in_loop
async def test_timed_out_client_frees_what_it_held() -> None:
    async with serving(app, timeouts=OFF | {"body_idle_s": 0.1}) as server:
        clients = [await server.connect() for _ in range(20)]
        for client in clients:
            await client.send(POST % 10)
        site = server.server.site
        assert site is not None
        await until(lambda: site.served == 20)
        for client in clients:
            assert (await client.read()).status == 408
            client.close()
        await server.settled(0)
        assert site.running == 0
