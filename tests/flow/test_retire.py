"""A server whose place was taken loses nobody: it leaves its queues to others and finishes what it has."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.inprocess import GET, Serving, answer_with, in_loop, logged, make_server, serving, until
from torana.net.address import Address, Kind
from torana.net.listener import Listener


async def plain(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send)


async def started(app: Any, **options: Any) -> Serving:
    server = make_server(app, **options)
    await server.start()
    return Serving(server)


@contextlib.contextmanager
def queue() -> Iterator[socket.socket]:
    """A listening socket that somebody else holds."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)
        yield sock


def copy_of(sock: socket.socket) -> Listener:
    """What another process would have of it."""
    host, port = sock.getsockname()
    return Listener(sock.dup(), Address(Kind.TCP, host=host, port=port))


def is_anybody_waiting(sock: socket.socket, timeout_s: float = 0.0) -> bool:
    return bool(select.select([sock], [], [], timeout_s)[0])


async def ask(address: Any) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, GET)
        return await loop.sock_recv(sock, 1000)


# Retiring


@in_loop
async def test_the_queue_is_left_to_whoever_holds_it_too() -> None:
    with queue() as held:
        server = await started(plain, server={"listeners": [copy_of(held)]})
        server.server.request_retire()
        await server.server.finished()
        assert server.server.is_retiring and server.server.is_clean
        with socket.create_connection(held.getsockname()):
            # The connection is made by the kernel; nobody took it and nobody reset it.
            assert is_anybody_waiting(held, 5.0)
            held.accept()[0].close()


@in_loop
async def test_those_in_the_queue_are_not_taken_by_who_retires() -> None:
    with queue() as held:
        server = await started(plain, timeouts={"idle_linger_s": 60.0}, server={"listeners": [copy_of(held)]})
        async with await server.connect() as busy:
            assert (await busy.ask()).status == 200
            server.server.request_retire()
            await until(lambda: server.server.status()["connections"] == 1 and server.server.is_retiring)
            await asyncio.sleep(0)
            with socket.create_connection(held.getsockname()):
                assert (await busy.ask()).get("connection") == b"close"
                await server.server.finished()
                assert is_anybody_waiting(held, 5.0)
        assert server.server.site is not None and server.server.site.served == 2


@in_loop
async def test_a_connection_that_was_just_busy_may_ask_once_more() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 60.0})
    async with await server.connect() as client:
        assert (await client.ask()).get("connection") is None
        server.server.request_retire()
        await until(lambda: server.server.is_retiring)
        for _ in range(5):
            await asyncio.sleep(0.01)
        answer = await client.ask()
        assert (answer.status, answer.get("connection")) == (200, b"close")
        await client.ended()
    await server.server.finished()


@in_loop
async def test_a_connection_idle_for_longer_is_closed_at_once() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 0.05})
    async with await server.connect() as client:
        await client.ask()
        await asyncio.sleep(0.1)
        server.server.request_retire()
        await client.ended()
        assert not client.is_reset
    await server.server.finished()


@in_loop
async def test_what_has_arrived_is_served_however_long_the_connection_was_idle() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 0.0})
    loop = asyncio.get_running_loop()
    async with await server.connect() as client:
        await client.ask()
        [connection] = server.connections()

        def send_and_look() -> None:
            # In one go, so that the poller has no chance to hand it on in between.
            assert client.sock.send(GET) == len(GET)
            while not connection.transport.has_unread():
                pass
            assert not connection.close_if_idle(loop.time() + 60.0)

        loop.call_soon(send_and_look)
        loop.call_soon(server.server._begin_to_retire, 60.0, False)
        answer = await client.read()
        assert (answer.status, answer.get("connection")) == (200, b"close")
    await server.server.finished()


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_streams_go_on_to_their_end(interface: str) -> None:
    loop = asyncio.get_running_loop()
    go = asyncio.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await go.wait()
        await send({"type": "http.response.body", "body": b"done"})

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        yield b"begun"
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        yield b"done"

    server = make_server(asgi if interface == "asgi3" else wsgi, interface, timeouts={"graceful_s": 0.0})
    await server.start()
    async with await Serving(server).connect() as client:
        await client.send(GET)
        await client.read_until(b"begun\r\n")
        server.request_retire(60.0)
        await until(lambda: server.is_retiring)
        await asyncio.sleep(0.1)
        go.set()
        assert (await client.read_to_end()).endswith(b"done\r\n0\r\n\r\n")
    await server.finished()
    assert server.is_clean


@in_loop
async def test_after_its_time_the_graceful_stop_ends_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    heard = []

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await receive()
        heard.append((await receive())["type"])

    server = await started(stream, timeouts={"graceful_s": 0.1})
    with caplog.at_level(logging.INFO, "torana"), logged() as log:
        async with await server.connect() as client:
            await client.send(b"GET /events?token=secret HTTP/1.1\r\nHost: t\r\n\r\n")
            await client.read_until(b"x\r\n")
            server.server.request_retire(0.1)
            await client.read_to_end()
        await server.server.finished()
    assert heard == ["http.disconnect"]
    assert not server.server.is_clean
    [retired] = [line for line in log.lines() if line.startswith("retired for")]
    assert retired.endswith("still kept by: 1 request GET /events")


@in_loop
async def test_a_stop_ends_retirement_and_an_abort_both() -> None:
    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    for ask_to_end, graceful_s in (("request_stop", 0.0), ("request_abort", 60.0)):
        server = await started(stuck, timeouts={"graceful_s": graceful_s, "cancel_s": 0.1})
        async with await server.connect() as client:
            await client.send(GET)
            while server.server.status()["running"] != 1:
                await asyncio.sleep(0.002)
            server.server.request_retire(600.0)
            while not server.server.is_retiring:
                await asyncio.sleep(0.002)
            getattr(server.server, ask_to_end)()
            await server.server.finished()
            await client.read_to_end()


@in_loop
async def test_retirement_is_no_more_once_it_stops() -> None:
    server = await started(plain)
    server.server.request_stop()
    server.server.request_retire()
    await server.server.finished()
    assert not server.server.is_retiring
    with pytest.raises(OSError), socket.create_connection(server.address):
        pass


# Adopted queues


@in_loop
async def test_an_adopted_queue_is_served_until_it_is_released() -> None:
    async with serving(plain) as server:
        with queue() as vacant:
            early = asyncio.ensure_future(ask(vacant.getsockname()))
            await until(lambda: is_anybody_waiting(vacant))
            server.server.adopt("slot 2", [copy_of(vacant)])
            assert (await early).startswith(b"HTTP/1.1 200")
            assert (await ask(vacant.getsockname())).startswith(b"HTTP/1.1 200")
            server.server.release("slot 2")
            with socket.create_connection(vacant.getsockname()):
                # Its own doors stay open.
                assert (await ask(server.address)).startswith(b"HTTP/1.1 200")
                assert is_anybody_waiting(vacant, 5.0)


@in_loop
async def test_a_queue_may_be_adopted_again_and_released_for_nothing() -> None:
    async with serving(plain) as server:
        with queue() as vacant:
            server.server.release("never adopted")
            for _ in range(3):
                server.server.adopt("slot 2", [copy_of(vacant)])
                assert (await ask(vacant.getsockname())).startswith(b"HTTP/1.1 200")
            server.server.release("slot 2")
            server.server.release("slot 2")
            server.server.release("")
            assert (await ask(server.address)).startswith(b"HTTP/1.1 200")


@in_loop
async def test_adopted_queues_are_emptied_by_who_stops() -> None:
    server = await started(plain)
    waiting: list[socket.socket] = []
    with queue() as vacant:
        server.server.adopt("slot 2", [copy_of(vacant)])

        def come_and_stop() -> None:
            sock = socket.create_connection(vacant.getsockname())
            sock.sendall(GET)
            waiting.append(sock)
            server.server.request_stop()

        asyncio.get_running_loop().call_soon(come_and_stop)
        await server.server.finished()
        late = copy_of(vacant)
        server.server.adopt("slot 3", [late])
        assert late.sock.fileno() == -1
        with waiting[0] as sock:
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert not is_anybody_waiting(vacant)


@in_loop
async def test_adopted_queues_are_left_alone_by_who_retires() -> None:
    server = await started(plain)
    with queue() as vacant:
        server.server.adopt("slot 2", [copy_of(vacant)])
        server.server.request_retire()
        await server.server.finished()
        with socket.create_connection(vacant.getsockname()):
            assert is_anybody_waiting(vacant, 5.0)


@in_loop
async def test_whoever_retires_adopts_nobody() -> None:
    server = await started(plain, timeouts={"idle_linger_s": 60.0})
    async with await server.connect() as client:
        await client.ask()
        server.server.request_retire()
        await until(lambda: server.server.is_retiring)
        with queue() as vacant:
            copy = copy_of(vacant)
            server.server.adopt("slot 2", [copy])
            assert copy.sock.fileno() == -1
            with socket.create_connection(vacant.getsockname()):
                assert (await client.ask()).status == 200
                await server.server.finished()
                assert is_anybody_waiting(vacant, 5.0)


# Worn out


@in_loop
async def test_a_worn_server_says_so_once_and_serves_on() -> None:
    said: list[str] = []
    async with (
        serving(plain, bounds={"max_requests": 3}, server={"on_worn": said.append}) as server,
        await server.connect() as client,
    ):
        for _ in range(6):
            answer = await client.ask()
            assert (answer.status, answer.get("connection")) == (200, None)
        assert said == ["max_requests"]
        assert server.server.status() == {"connections": 1, "running": 0, "served": 6, "queued": 0}
