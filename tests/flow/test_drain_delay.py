"""Before a graceful stop, load balancers get the time to see that no more requests are wanted."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.support.inprocess import GET, Serving, answer_with, in_loop, logged, make_server, until


async def plain(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send)


async def started(app: Any, **options: Any) -> Serving:
    server = make_server(app, **options)
    await server.start()
    return Serving(server)


def is_draining(server: Serving) -> bool:
    return server.server.site is not None and bool(server.server.site.is_draining)


@in_loop
async def test_connections_are_still_taken_and_answered_with_close() -> None:
    server = await started(plain, timeouts={"drain_delay_s": 2.0}, serve={"health_path": "/healthz"})
    async with await server.connect() as kept:
        assert (await kept.ask(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")).status == 200
        server.server.request_stop()
        await until(lambda: is_draining(server))
        async with await server.connect() as late, await server.connect() as probe:
            answer = await late.ask()
            assert (answer.status, answer.get("connection")) == (200, b"close")
            await late.ended()
            answer = await probe.ask(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")
            assert (answer.status, answer.get("connection")) == (503, b"close")
        # Idle all the while, and not sent away before the delay is over.
        answer = await kept.ask()
        assert (answer.status, answer.get("connection")) == (200, b"close")
    await server.server.finished()
    assert server.server.is_clean
    with pytest.raises(OSError), socket.create_connection(server.address):
        pass


@in_loop
async def test_an_urgent_stop_does_not_wait_for_it() -> None:
    server = await started(plain, timeouts={"drain_delay_s": 600.0})
    server.server.request_stop()
    await until(lambda: is_draining(server))
    server.server.request_abort()
    await server.server.finished()


@in_loop
async def test_who_retires_has_no_delay_when_stopped() -> None:
    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    server = await started(stuck, timeouts={"drain_delay_s": 600.0, "graceful_s": 0.0})
    async with await server.connect() as client:
        await client.send(GET)
        await until(lambda: server.server.site is not None and server.server.site.running == 1)
        server.server.request_retire(600.0)
        await until(lambda: server.server.is_retiring)
        server.server.request_stop()
        await server.server.finished()


# Idle connections at a stop


@in_loop
async def test_a_connection_that_was_just_busy_may_ask_once_more() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 20.0, "graceful_s": 25.0})
    async with await server.connect() as client:
        assert (await client.ask()).get("connection") is None
        server.server.request_stop()
        await until(lambda: is_draining(server))
        await asyncio.sleep(0.05)
        answer = await client.ask()
        assert (answer.status, answer.get("connection")) == (200, b"close")
        await client.ended()
    # Nobody is left: the stop waits for nothing.
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_connections_idle_for_longer_keep_nobody_waiting() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 0.1, "graceful_s": 25.0})
    async with await server.connect() as client:
        await client.ask()
        await asyncio.sleep(0.15)
        server.server.request_stop()
        await client.ended()
        assert not client.is_reset
    await server.server.finished()


@in_loop
async def test_without_a_linger_an_idle_connection_is_closed_at_once() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 0.0, "graceful_s": 25.0})
    async with await server.connect() as client:
        await client.ask()
        server.server.request_stop()
        await client.ended()
    await server.server.finished()


# Who holds the door


@in_loop
async def test_the_log_names_who_holds_the_door() -> None:
    gone = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/background":
            await answer_with(send)
        while not gone.is_set():
            with_luck = asyncio.ensure_future(gone.wait())
            await asyncio.wait((with_luck,))

    server = await started(app, timeouts={"graceful_s": 0.2, "cancel_s": 0.2})
    clients = []
    with logged() as log:
        for target, count in (("/events?key=secret", 2), ("/a", 1), ("/b\\%0a", 1), ("/c", 1), ("/d", 1), ("/e", 1)):
            for _ in range(count):
                client = await server.connect()
                await client.send(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
                clients.append(client)
        posting = await server.connect()
        await posting.send(b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n")
        background = await server.connect()
        assert (await background.ask(b"GET /background HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")).status == 200
        await until(lambda: server.server._gateway.running() == 9)
        server.server.request_stop()
        await server.server.finished()
        gone.set()
    for client in (*clients, posting, background):
        client.close()
    [line] = [line for line in log.lines() if line.startswith("the graceful stop is over")]
    assert "told to end: 2 requests GET /events, 1 GET /a, 1 GET /b" in line
    assert line.endswith("2 of other kinds, 1 calls of the application that nobody waits for")
    assert "secret" not in line and "\n" not in line
    [line] = [line for line in log.lines() if line.startswith("told and cancelled")]
    assert line.endswith("1 calls of the application that nobody waits for")
