"""A stopping or retiring server says goodbye in two steps and fails nobody (RFC 9113 section 6.8, threat G-055)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.http2 import ACK, PING, Frame, frame, goaway
from tests.support.inprocess import Serving, answer_with, in_loop, logged, make_server, serving, until
from tests.support.multiplexed import Http2Client, speaking

REFUSED_STREAM = 7
EVERY = 0x7FFF_FFFF


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, b"hello")


async def started(app: Any, interface: str = "asgi3", **options: Any) -> Serving:
    server = make_server(app, interface, **options)
    await server.start()
    return Serving(server)


async def pinged(client: Http2Client) -> Frame:
    """Read up to the server's own PING."""
    await client.until(lambda: any(f.kind == PING and not f.flags & ACK for f in client.peer.frames))
    return next(f for f in client.peer.frames if f.kind == PING and not f.flags & ACK)


@pytest.mark.threat(
    "G-055",
    sent="a server that stops while streams are open, and requests that cross its word",
    verdict="GOAWAY(2^31-1), then GOAWAY(last); what crossed the first is served",
)
@pytest.mark.parametrize("end", ["stop", "retire"])
@in_loop
async def test_the_goodbye_has_two_steps_and_what_crossed_it_is_served(
    end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second step is to come with the answer to the PING, not with time.
    monkeypatch.setattr("torana.serve.http2.ending._FAREWELL_S", 20.0)
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            await go.wait()
        await answer_with(send, b"hello")

    server = await started(app, timeouts={"graceful_s": 20.0})
    async with speaking(server) as client:
        waiting = await client.get(b"/wait")
        await client.settled()
        if end == "stop":
            server.server.request_stop()
        else:
            server.server.request_retire(20.0)
        ping = await pinged(client)
        assert client.peer.goaways == [(EVERY, 0)]
        # On its way when the first step arrived.
        crossed = await client.get()
        await client.answered(crossed)
        assert client.body(crossed) == b"hello"
        await client.send(frame(PING, ACK, 0, ping.payload))
        await client.until(lambda: len(client.peer.goaways) == 2)
        assert client.peer.goaways[1] == (crossed, 0)
        late = await client.get()
        await client.answered(late)
        assert client.peer.resets == {late: REFUSED_STREAM}
        go.set()
        await client.answered(waiting)
        assert client.body(waiting) == b"hello"
        await client.ended()
        assert not client.client.is_reset
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_a_client_that_does_not_answer_the_ping_gets_half_a_second() -> None:
    server = await started(hello)
    async with speaking(server) as client:
        await client.settled()
        server.server.request_stop()
        await client.ended()
        assert [last for last, _ in client.peer.goaways] == [EVERY, 0]
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_an_answer_that_waits_for_its_window_is_finished() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, bytes(100_000))

    server = await started(app, timeouts={"graceful_s": 10.0})
    async with speaking(server) as client:
        stream = await client.get()
        await client.until(lambda: len(client.body(stream)) == 65_535)
        server.server.request_stop()
        ping = await pinged(client)
        await client.send(frame(PING, ACK, 0, ping.payload))
        await client.until(lambda: len(client.peer.goaways) == 2)
        for number in (0, stream):
            await client.send(b"\0\0\4\x08\0" + number.to_bytes(4, "big") + (1 << 20).to_bytes(4, "big"))
        await client.answered(stream)
        assert len(client.body(stream)) == 100_000
        await client.ended()
    await server.server.finished()
    assert server.server.is_clean


@pytest.mark.threat(
    "G-055",
    sent="reloads under load",
    verdict="no request fails",
)
@in_loop
async def test_reload_under_load_fails_no_request() -> None:
    """Several clients ask without a pause; each goes on elsewhere when it is asked to leave."""
    server = await started(hello)
    answers = failures = 0

    async def ask() -> None:
        nonlocal answers, failures
        async with speaking(server) as client:
            while not client.peer.goaways:
                streams = [await client.get() for _ in range(8)]
                await client.answered(*streams)
                for stream in streams:
                    if client.peer.resets.get(stream) == REFUSED_STREAM:
                        continue  # safe to try again
                    answers += client.body(stream) == b"hello"
                    failures += client.body(stream) != b"hello"
            await client.ended()

    tasks = [asyncio.ensure_future(ask()) for _ in range(5)]
    await until(lambda: answers > 200)
    server.server.request_retire(20.0)
    await asyncio.gather(*tasks)
    await server.server.finished()
    assert failures == 0


@in_loop
async def test_an_application_that_does_not_end_is_told_then_cancelled() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        seen.append((await receive())["type"])
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    with logged() as log:
        server = await started(app, timeouts={"graceful_s": 0.1, "cancel_s": 0.4})
        async with speaking(server) as client:
            stream = await client.get(b"/slow")
            await client.settled()
            server.server.request_stop()
            await client.answered(stream)
            assert client.status(stream) == 500
            await client.ended()
        await server.server.finished()
    assert seen == ["http.disconnect", "cancelled"]
    assert not server.server.is_clean
    assert any("1 request GET /slow" in line for line in log.lines())


@in_loop
async def test_an_urgent_stop_waits_for_nobody() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    server = await started(app)
    async with speaking(server) as client:
        await client.get()
        await client.settled()
        server.server.request_abort()
        await client.ended()
    await server.server.finished()


@in_loop
async def test_the_log_counts_every_stream_of_a_connection() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    with logged() as log:
        server = await started(app, timeouts={"graceful_s": 0.1})
        async with speaking(server) as client:
            streams = [await client.get(b"/a"), await client.get(b"/a"), await client.get(b"/b")]
            await client.settled()
            server.server.request_stop()
            await until(lambda: any("told to end" in line for line in log.lines()))
            go.set()
            await client.answered(*streams)
        await server.server.finished()
    line = next(line for line in log.lines() if "told to end" in line)
    assert line.endswith("2 requests GET /a, 1 GET /b")


@pytest.mark.threat(
    "G-055",
    sent="more requests on one connection than it may have",
    verdict="GOAWAY in two steps",
)
@in_loop
async def test_a_connection_with_many_requests_behind_it_is_replaced() -> None:
    from torana.wire.http2.limits import Limits

    options = {"bounds": {"keep_alive_requests": 3}, "serve": {"http2": Limits(streams=2)}}
    async with serving(hello, **options) as server, speaking(server) as client:
        for i in range(6):
            assert client.peer.goaways == [], i
            stream = await client.get()
            await client.answered(stream)
        ping = await pinged(client)
        await client.send(frame(PING, ACK, 0, ping.payload))
        await client.ended()
        assert [last for last, _ in client.peer.goaways] == [EVERY, stream]


@in_loop
async def test_a_client_that_says_goodbye_is_let_go_when_all_is_answered() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    async with serving(app) as server, speaking(server) as client:
        stream = await client.get()
        await client.send(goaway())
        await client.settled()
        go.set()
        await client.answered(stream)
        assert client.body(stream) == b"ok"
        await client.ended()


@in_loop
async def test_crowded_workers_close_idle_connections_politely() -> None:
    async with serving(hello, bounds={"connections": 5}) as server:
        async with speaking(server) as idle:
            await idle.answered(await idle.get())
            others = [await server.connect() for _ in range(6)]
            await idle.ended()
            assert idle.peer.goaways[-1] == (1, 0)
            for other in others:
                other.close()
