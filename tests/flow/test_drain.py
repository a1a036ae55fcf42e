"""The graceful stop loses nobody, the urgent one waits for nobody; refusals are counted, and logged once a second."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.inprocess import GET, Serving, answer_with, in_loop, logged, make_server, serving, until


async def started(app: Any, interface: str = "asgi3", **options: Any) -> Serving:
    server = make_server(app, interface, **options)
    await server.start()
    return Serving(server)


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_running_request_is_finished_and_idle_connection_closed(interface: str) -> None:
    loop = asyncio.get_running_loop()
    is_running, go = asyncio.Event(), asyncio.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            is_running.set()
            await go.wait()
        await answer_with(send)

    def wsgi(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/wait":
            loop.call_soon_threadsafe(is_running.set)
            asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        start_response("200 OK", [])
        return [b"ok"]

    server = await started(asgi if interface == "asgi3" else wsgi, interface)
    async with await server.connect() as idle, await server.connect() as busy:
        assert (await idle.ask()).status == 200
        await busy.send(b"GET /wait HTTP/1.1\r\nHost: t\r\n\r\n")
        await is_running.wait()
        server.server.request_stop()
        await idle.ended()
        with pytest.raises(OSError), socket.create_connection(server.address):
            pass
        go.set()
        answer = await busy.read()
        assert (answer.status, answer.get("connection")) == (200, b"close")
        await busy.ended()
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_connections_the_kernel_has_accepted_are_served() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    server = await started(app)
    loop = asyncio.get_running_loop()
    clients = []

    def stop_with_a_full_queue() -> None:
        # In one go, so that the server has no chance to accept in between; half of them have yet to send.
        for i in range(20):
            sock = socket.create_connection(server.address)
            if i % 2:
                sock.sendall(GET)
            sock.setblocking(False)
            clients.append(sock)
        server.server.request_stop()

    loop.call_soon(stop_with_a_full_queue)
    await asyncio.sleep(0)
    while not server.server.site or not server.server.site.is_draining:
        await asyncio.sleep(0)
    for i, sock in enumerate(clients):
        if not i % 2:
            await loop.sock_sendall(sock, GET)
    for sock in clients:
        assert (await loop.sock_recv(sock, 1000)).startswith(b"HTTP/1.1 200")
        sock.close()
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_unsent_rest_of_an_answer_is_not_lost() -> None:
    body = bytes(5_000_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, body)

    server = await started(app, timeouts={"graceful_s": 20.0})
    async with await server.connect(receive_buffer_bytes=4096) as client:
        await client.send(GET)
        await until(lambda: any(one.transport.waiting for one in server.connections()))
        server.server.request_stop()
        await asyncio.sleep(0.1)
        answer = await client.read()
        assert (len(answer.body), answer.is_complete) == (len(body), True)
    await server.server.finished()
    assert server.server.is_clean


@in_loop
async def test_stream_is_told_then_cancelled() -> None:
    heard = []
    are_running = asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await receive())["type"] == "http.request"
        if scope["path"] == "/listens":
            heard.append((await receive())["type"])
            return
        are_running.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            heard.append("cancelled")
            raise

    server = await started(stream, timeouts={"graceful_s": 0.2, "cancel_s": 0.4})
    async with await server.connect() as listening, await server.connect() as deaf:
        await listening.send(b"GET /listens HTTP/1.1\r\nHost: t\r\n\r\n")
        await listening.read_until(b"x\r\n")
        await deaf.send(GET)
        await are_running.wait()
        server.server.request_stop()
        for client in (listening, deaf):
            # Cut, so that nobody takes the part for the whole.
            assert not (await client.read_to_end()).endswith(b"0\r\n\r\n")
    await server.server.finished()
    assert heard == ["http.disconnect", "cancelled"]
    assert not server.server.is_clean


@pytest.mark.parametrize("is_stubborn", [False, True])
@in_loop
async def test_second_stop_is_at_once(is_stubborn: bool) -> None:
    is_running = asyncio.Event()
    let_go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        is_running.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                if not is_stubborn:
                    raise

    server = await started(app, timeouts={"graceful_s": 60.0, "cancel_s": 60.0})
    async with await server.connect() as client:
        await client.send(GET)
        await is_running.wait()
        began = time.monotonic()
        server.server.request_stop()
        await asyncio.sleep(0.02)
        server.server.request_abort()
        await server.server.finished()
        assert time.monotonic() - began < 20
        got = await client.read_to_end()
        assert got == b"" or got.startswith(b"HTTP/1.1 50")
    let_go.set()


@in_loop
async def test_thread_whose_client_takes_nothing_is_freed_when_the_time_is_over() -> None:
    is_closed = threading.Event()

    def app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        try:
            while True:
                yield bytes(65536)
        finally:
            is_closed.set()

    server = await started(app, "wsgi", timeouts={"graceful_s": 0.1, "cancel_s": 0.2})
    async with await server.connect(receive_buffer_bytes=4096) as client:
        await client.send(GET)
        await until(lambda: any(one.transport.is_full() for one in server.connections()))
        server.server.request_stop()
        await server.server.finished()
        # Before the process ends: the application could clean up behind itself.
        assert is_closed.is_set()
    assert not server.server.is_clean


@in_loop
async def test_worn_out_worker_stops_by_itself_and_answers_all() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    server = await started(app, bounds={"max_requests": 3})
    async with await server.connect() as client:
        for _ in range(3):
            assert (await client.ask()).status == 200
        await server.server.finished()
        await client.ended()


@pytest.mark.threat("G-072", sent="bad requests in a burst", verdict="one line a second, with the number left out")
@in_loop
async def test_refusals_are_logged_once_a_second_with_what_was_left_out() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    async def bad(server: Serving) -> None:
        async with await server.connect() as client:
            assert (await client.ask(b"GET / HTTP/1.1\r\n\r\n")).status == 400

    with logged() as log:
        async with serving(app) as server:
            for _ in range(20):
                await bad(server)
            assert server.server.site is not None
            [count] = server.server.site.refusals.counts.values()
            assert count == 20
            early = len(log.lines("torana.refused"))
            await asyncio.sleep(1.05)
            await bad(server)
    lines = log.lines("torana.refused")
    assert early in (1, 2) and len(lines) == early + 1
    assert "more like it]" in lines[-1]
