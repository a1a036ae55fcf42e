"""A server that stops or retires says so to every WebSocket (1012), and ends the applications that do not (WS-41)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import Client, Serving, in_loop, until
from tests.support.talking import Call, closing, echo, make_talking, read_close, talking, text, upgraded


async def begin(app: Any = echo, **options: Any) -> tuple[Serving, Any]:
    server, talk = make_talking(app, **options)
    await server.start()
    return Serving(server), talk


async def answered(client: Client) -> tuple[int, str]:
    """Read the close frame, answer it, and see the end."""
    close = await read_close(client)
    await client.send(closing(close[0]))
    await client.ended()
    assert not client.is_reset
    return close


@pytest.mark.parametrize("how", ["request_stop", "request_retire"])
@in_loop
async def test_all_are_told_and_nobody_is_cut(how: str) -> None:
    server, talk = await begin()
    clients = [await server.connect() for _ in range(20)]
    for client in clients:
        await upgraded(client)
    getattr(server.server, how)()
    assert await asyncio.gather(*(answered(client) for client in clients)) == [(1012, "")] * 20
    await server.server.finished()
    assert server.server.is_clean
    assert [(call.duplex.code, call.stops) for call in talk.calls] == [(1012, 0)] * 20
    for client in clients:
        client.close()


@in_loop
async def test_a_handshake_under_way_is_finished_and_then_told() -> None:
    go = asyncio.Event()

    async def app(call: Call) -> None:
        await go.wait()
        await echo(call)

    server, talk = await begin(app, timeouts={"graceful_s": 5.0})
    async with await server.connect() as client:
        upgrading = asyncio.ensure_future(upgraded(client))
        await until(lambda: bool(talk.calls))
        server.server.request_stop()
        await until(lambda: server.server.site is not None and server.server.site.is_draining)
        go.set()
        await upgrading
        assert await answered(client) == (1012, "")
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_a_client_that_does_not_answer_holds_nobody_up() -> None:
    server, _ = await begin(timeouts={"graceful_s": 20.0, "websocket_close_s": 0.2})
    async with await server.connect() as client:
        await upgraded(client)
        server.server.request_stop()
        await client.read_to_end()
    await server.server.finished()
    assert server.server.is_clean


@pytest.mark.parametrize("is_gone", [False, True])
@in_loop
async def test_an_application_that_goes_on_is_told_then_cancelled(is_gone: bool) -> None:
    async def app(call: Call) -> None:
        call.accept()
        await call.receive()
        await asyncio.Event().wait()

    server, talk = await begin(app, timeouts={"graceful_s": 0.2, "cancel_s": 0.4})
    async with await server.connect() as client:
        await upgraded(client)
        if is_gone:
            # Its socket is closed long before: only the place in the crowd leads to it.
            await client.send(text("x") + closing(1000))
            await client.read_to_end()
            client.close()
        server.server.request_stop()
        if not is_gone:
            assert await answered(client) == (1012, "")
        await server.server.finished()
    [call] = talk.calls
    assert call.stops == 2 and call.is_cancelled
    assert not server.server.is_clean


@in_loop
async def test_an_urgent_stop_waits_for_nobody() -> None:
    async def app(call: Call) -> None:
        call.accept()
        await asyncio.Event().wait()

    server, talk = await begin(app, timeouts={"graceful_s": 60.0, "cancel_s": 60.0})
    async with await server.connect() as client:
        await upgraded(client)
        server.server.request_abort()
        await server.server.finished()
        await client.read_to_end()
        assert talk.calls[0].is_cancelled
        assert not server.connections()


@in_loop
async def test_a_handshake_that_is_not_answered_is_ended_like_a_request() -> None:
    async def app(call: Call) -> None:
        await asyncio.Event().wait()

    server, talk = await begin(app, timeouts={"graceful_s": 0.1, "cancel_s": 0.3})
    async with await server.connect() as client:
        sending = asyncio.ensure_future(upgraded(client))
        await until(lambda: bool(talk.calls))
        server.server.request_stop()
        await server.server.finished()
        with pytest.raises(EOFError):
            await sending
    assert talk.calls[0].stops == 2 and talk.calls[0].is_cancelled


@in_loop
async def test_what_the_application_says_on_hearing_it_is_too_late() -> None:
    said: list[str] = []

    async def app(call: Call) -> None:
        call.accept()
        assert await call.receive() == (1012, "")
        try:
            await call.send("goodbye")
        except OSError:
            said.append("too late")

    async with talking(app) as (server, talk), await server.connect() as client:
        await upgraded(client)
        server.server.request_stop()
        assert await answered(client) == (1012, "")
        await until(lambda: talk.active == 0)
    assert said == ["too late"]


@in_loop
async def test_none_is_evicted_when_the_worker_is_crowded() -> None:
    async with talking(bounds={"connections": 10}) as (server, _):
        clients = []
        for _ in range(10):
            client = await server.connect()
            await upgraded(client)
            clients.append(client)
        server.server.crowd.make_room(5)
        assert len(server.server.crowd) == 10
        for client in clients:
            client.close()


@in_loop
async def test_a_forked_child_closes_its_copy() -> None:
    async with talking() as (server, _), await server.connect() as client:
        await upgraded(client)
        [tunnel] = server.connections()
        copy = tunnel.transport.sock
        tunnel.forsake()
        assert copy.fileno() == -1
