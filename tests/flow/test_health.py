"""The health path is answered by the server itself: always, at once, and without a line in the log."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, logged, serving, until
from torana.serve.options import AccessLogOptions

ASK = b"%s /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
HEALTH = {"health_path": "/healthz"}


async def teapot(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, b"app", 418)


def teapot_wsgi(environ: Any, start_response: Any) -> Any:
    start_response("418 I'm a teapot", [])
    return [b"app"]


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_get_and_head_are_answered_without_the_application(interface: str) -> None:
    app = teapot if interface == "asgi3" else teapot_wsgi
    async with serving(app, interface, serve=HEALTH) as server, await server.connect() as client:
        answer = await client.ask(ASK % b"GET")
        assert (answer.status, answer.body, answer.get("connection")) == (200, b"ok", None)
        assert answer.get("cache-control") == b"no-store"
        answer = await client.ask(ASK % b"HEAD", "HEAD")
        assert (answer.status, answer.get("content-length")) == (200, b"2")
        assert (await client.ask(b"GET /healthz?full=1 HTTP/1.1\r\nHost: t\r\n\r\n")).status == 200
        # Everything else is the application's.
        assert (await client.ask(ASK % b"DELETE")).status == 418
        assert (await client.ask(b"GET /healthz/ HTTP/1.1\r\nHost: t\r\n\r\n")).status == 418
        assert (await client.ask()).status == 418


@in_loop
async def test_without_a_path_the_application_is_asked() -> None:
    async with serving(teapot) as server, await server.connect() as client:
        assert (await client.ask(ASK % b"GET")).status == 418
        server.server.request_unready()
        assert (await client.ask(ASK % b"GET")).status == 418


@pytest.mark.parametrize(("said", "target"), [("up", b"/up"), ("/is it up", b"/is%20it%20up"), ("/%C3%BC", b"/%C3%BC")])
@in_loop
async def test_a_path_as_people_write_it(said: str, target: bytes) -> None:
    async with serving(teapot, serve={"health_path": said}) as server, await server.connect() as client:
        assert (await client.ask(b"GET %s HTTP/1.1\r\nHost: t\r\n\r\n" % target)).status == 200


@in_loop
async def test_unready_is_503_and_nothing_else_changes() -> None:
    async with serving(teapot, serve=HEALTH) as server, await server.connect() as client:
        server.server.request_unready()
        await asyncio.sleep(0)
        answer = await client.ask(ASK % b"GET")
        assert (answer.status, answer.body) == (503, b"unready")
        answer = await client.ask()
        assert (answer.status, answer.get("connection")) == (418, None)


@in_loop
async def test_retiring_is_not_unhealthy() -> None:
    async with (
        serving(teapot, serve=HEALTH, timeouts={"idle_linger_s": 20.0}) as server,
        await server.connect() as client,
    ):
        await client.ask(ASK % b"GET")
        server.server.request_retire()
        await until(lambda: server.server.is_retiring)
        answer = await client.ask(ASK % b"GET")
        assert (answer.status, answer.get("connection")) == (200, b"close")


@in_loop
async def test_an_overloaded_server_is_healthy() -> None:
    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with logged() as log:
        async with (
            serving(stuck, serve=HEALTH, bounds={"concurrency": 1}) as server,
            await server.connect() as busy,
            await server.connect() as client,
        ):
            await busy.send(GET)
            await until(lambda: server.server.site is not None and server.server.site.running == 1)
            assert (await client.ask()).status == 503
            answer = await client.ask(ASK % b"GET")
            assert (answer.status, answer.body) == (200, b"ok")
            assert server.server.site is not None and server.server.site.running == 1
    assert len(log.lines("torana.refused")) == 1


@in_loop
async def test_one_connection_too_many_is_answered_and_closed() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await teapot(scope, receive, send)

    async with (
        serving(app, serve=HEALTH, bounds={"connections": 1}) as server,
        await server.connect() as first,
    ):
        # Whose request runs is not sent away in favour of the next.
        await first.send(GET)
        site = server.server.site
        assert site is not None
        await until(lambda: site.running == 1)
        async with await server.connect() as client:
            answer = await client.ask(ASK % b"GET")
            assert (answer.status, answer.get("connection")) == (200, b"close")
            await client.ended()
        go.set()
        assert (await first.read()).status == 418


@in_loop
async def test_a_body_that_comes_with_it_is_passed_over() -> None:
    async with serving(teapot, serve=HEALTH) as server, await server.connect() as client:
        ask = b"GET /healthz HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"
        assert (await client.ask(ask)).status == 200
        assert (await client.ask()).status == 418


@in_loop
async def test_it_is_not_logged_and_others_are(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    options = HEALTH | {"access_log": AccessLogOptions(format="%(r)s", file=str(file))}
    async with serving(teapot, serve=options) as server, await server.connect() as client:
        for request in (GET, ASK % b"GET", GET, ASK % b"GET"):
            await client.ask(request)
    assert file.read_text().splitlines() == ["GET / HTTP/1.1"] * 2
