"""A server that asks itself first: ready means that the application has answered."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from tests.support.inprocess import Serving, answer_with, in_loop, make_server, serving
from torana.base.errors import LoadError

WARM = {"warm_up_path": "/warm?up=1"}


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_the_application_is_asked_before_others_are_accepted(interface: str) -> None:
    seen: list[Any] = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            seen.append((await receive())["type"])
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        seen.append((scope["path"], scope["query_string"], dict(scope["headers"])[b"host"], scope["scheme"]))
        await answer_with(send, bytes(1_000_000), 404)

    def wsgi(environ: Any, start_response: Any) -> Any:
        seen.append((environ["PATH_INFO"], environ["QUERY_STRING"]))
        start_response("404 Not Found", [])
        return [bytes(1_000_000)]

    app: Any = asgi if interface == "asgi3" else wsgi
    bounds = {"max_requests": 1}
    async with serving(app, interface, serve=WARM, bounds=bounds, gateway={"lifespan": "auto"}) as server:
        if interface == "asgi3":
            assert seen == ["lifespan.startup", ("/warm", b"up=1", b"localhost", "http")]
        else:
            assert seen == [("/warm", "up=1")]
        # It counts for nothing.
        assert server.server.status()["served"] == 0
        await server.settled(0)
        async with await server.connect() as client:
            assert (await client.ask()).status == 404


@in_loop
async def test_without_a_path_nobody_is_asked() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    async with serving(app) as server:
        assert server.server.status()["served"] == 0


async def failing(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("no cache")


async def unavailable(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, status=503)


async def stuck(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        (failing, "the warm-up request GET /warm was answered 500; less than 500 is needed (setting: warm_up)"),
        (unavailable, "the warm-up request GET /warm was answered 503; less than 500 is needed (setting: warm_up)"),
        (stuck, "the warm-up request GET /warm was not answered within 0.2 s (settings: warm_up, timeout_boot)"),
    ],
)
@in_loop
async def test_an_application_that_fails_it_is_not_served(app: Any, sentence: str) -> None:
    told: list[str] = []
    cancelled: list[str] = []

    async def with_lifespan(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            try:
                await app(scope, receive, send)
            except asyncio.CancelledError:
                cancelled.append(scope["path"])
                raise
            return
        for kind in ("startup", "shutdown"):
            told.append((await receive())["type"])
            await send({"type": f"lifespan.{kind}.complete"})

    server = make_server(
        with_lifespan,
        serve={"warm_up_path": "/warm"},
        server={"boot_s": 0.2 if app is stuck else 20.0},
        gateway={"lifespan": "on"},
    )
    with pytest.raises(LoadError) as raised:
        await server.start()
    assert str(raised.value) == sentence
    # What was started is ended.
    assert told == ["lifespan.startup", "lifespan.shutdown"]
    assert cancelled == (["/warm"] if app is stuck else [])
    assert len(server.crowd) == 0
    assert [listener.sock.fileno() for listener in server._listeners or []] == [-1]


@in_loop
async def test_a_start_that_is_cancelled_meanwhile_leaves_nothing() -> None:
    is_running = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        is_running.set()
        await asyncio.Event().wait()

    server = make_server(app, serve=WARM)
    starting = asyncio.ensure_future(server.start())
    await is_running.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert len(server.crowd) == 0
    assert [listener.sock.fileno() for listener in server._listeners or []] == [-1]


@in_loop
async def test_clients_that_come_meanwhile_wait_in_the_queue() -> None:
    early: list[socket.socket] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not early:
            assert server._listeners is not None
            sock = socket.create_connection(server._listeners[0].sock.getsockname())
            sock.sendall(b"GET /early HTTP/1.1\r\nHost: t\r\n\r\n")
            early.append(sock)
        await answer_with(send, scope["path"].encode())

    server = make_server(app, serve=WARM)
    await server.start()
    assert Serving(server).address
    early[0].setblocking(False)
    answer = await asyncio.get_running_loop().sock_recv(early[0], 1000)
    assert answer.endswith(b"/early")
    early[0].close()
    server.request_abort()
    await server.finished()
