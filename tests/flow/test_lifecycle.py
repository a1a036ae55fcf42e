"""The steps of an application's life beyond start-up and shutdown, in their order, whichever way the server ends; and
applications that say goodbye to their WebSockets themselves.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.support.inprocess import Serving, answer_with, in_loop, logged, make_server, until
from tests.support.talking import closing, read_close, upgraded
from torana.base.errors import LoadError

ON = {"lifespan": "on"}


class Site:
    """An ASGI application that notes the steps of its life, and echoes or holds WebSockets."""

    def __init__(self, *, asks: bool = True, says_drained: bool = True, goodbye: int = 0) -> None:
        self.notes: list[str] = []
        self.asks = asks
        self.says_drained = says_drained
        self.goodbye = goodbye
        self.scope: dict[str, Any] = {}
        self.sockets: set[Any] = set()
        self.leaving = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            self.scope = scope
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await self._hold(receive, send)
        else:
            self.notes.append("request")
            await answer_with(send, status=500 if scope["path"] == "/fails" else 200)

    async def _live(self, receive: Any, send: Any) -> None:
        while True:
            step = (await receive())["type"].removeprefix("lifespan.")
            self.notes.append(step)
            if step == "startup":
                more = {"torana.lifecycle": True} if self.asks else {}
                await send({"type": "lifespan.startup.complete", **more})
            elif step == "drain":
                self.leaving.set()
                await until(lambda: not self.sockets or not self.goodbye)
                if self.says_drained:
                    await send({"type": "lifespan.drain.complete"})
            elif step == "shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _hold(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.sockets.add(receive)
        leaving = asyncio.ensure_future(self.leaving.wait())
        heard = asyncio.ensure_future(receive())
        await asyncio.wait((leaving, heard), return_when="FIRST_COMPLETED")
        if self.goodbye and not heard.done():
            await send({"type": "websocket.close", "code": self.goodbye, "reason": "gone fishing"})
            heard.cancel()
        else:
            self.notes.append(f"closed {(await heard)['code']}")
        leaving.cancel()
        self.sockets.discard(receive)


async def begin(site: Site, **options: Any) -> Serving:
    server = make_server(site, gateway=ON | options.pop("gateway", {}), **options)
    await server.start()
    return Serving(server)


@pytest.mark.parametrize("how", ["request_stop", "request_retire", "request_abort"])
@in_loop
async def test_every_end_has_all_steps_in_order(how: str) -> None:
    site = Site()
    server = await begin(site)
    async with await server.connect() as client:
        assert (await client.ask()).status == 200
    await server.settled()
    getattr(server.server, how)()
    await server.server.finished()
    assert site.scope["extensions"] == {"torana.lifecycle": {}}
    assert site.notes == ["startup", "ready", "request", "drain", "drained", "shutdown"]


@in_loop
async def test_who_does_not_ask_hears_nothing_new() -> None:
    site = Site(asks=False)
    server = await begin(site)
    server.server.request_stop()
    await server.server.finished()
    assert site.notes == ["startup", "shutdown"]


@pytest.mark.parametrize("how", ["request_stop", "request_retire"])
@in_loop
async def test_an_application_closes_its_websockets_before_the_server_does(how: str) -> None:
    site = Site(goodbye=4321)
    server = await begin(site)
    clients = [await server.connect() for _ in range(10)]
    for client in clients:
        await upgraded(client)
    getattr(server.server, how)()
    for client in clients:
        assert await read_close(client) == (4321, "gone fishing")
        await client.send(closing(4321))
        await client.ended()
        client.close()
    await server.server.finished()
    assert server.server.is_clean
    assert site.notes == ["startup", "ready", "drain", "drained", "shutdown"]


@in_loop
async def test_what_it_leaves_open_the_server_closes() -> None:
    site = Site()
    server = await begin(site)
    async with await server.connect() as client:
        await upgraded(client)
        server.server.request_stop()
        assert (await read_close(client))[0] == 1012
        await client.send(closing(1012))
        await client.ended()
    await server.server.finished()
    assert site.notes == ["startup", "ready", "drain", "closed 1012", "drained", "shutdown"]


@in_loop
async def test_a_goodbye_without_end_is_bounded() -> None:
    site = Site(says_drained=False)
    server = await begin(site, gateway={"lifespan_shutdown_timeout_s": 0.05})
    with logged() as log:
        server.server.request_stop()
        await server.server.finished()
    assert site.notes == ["startup", "ready", "drain", "drained", "shutdown"]
    assert log.errors() == ["the application did not complete its drain within 0.05 s (setting: timeout_shutdown)"]


@in_loop
async def test_an_urgent_stop_does_not_wait_for_a_goodbye() -> None:
    site = Site(says_drained=False)
    server = await begin(site, gateway={"lifespan_shutdown_timeout_s": 1000.0})
    began = time.monotonic()
    server.server.request_stop()
    await until(lambda: "drain" in site.notes)
    server.server.request_abort()
    await server.server.finished()
    assert time.monotonic() - began < 20
    assert site.notes == ["startup", "ready", "drain", "drained", "shutdown"]


@in_loop
async def test_a_call_that_has_ended_is_told_nothing() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete", "torana.lifecycle": True})

    server = make_server(app, gateway=ON)
    with logged() as log:
        await server.start()
        server.request_stop()
        await server.finished()
    assert log.errors() == []


@pytest.mark.parametrize("asks", [True, False])
@in_loop
async def test_messages_out_of_order_are_refused(asks: bool) -> None:
    refused: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def try_to(kind: str) -> None:
            try:
                await send({"type": kind})
            except RuntimeError as error:
                refused.append(str(error))

        await receive()
        await try_to("lifespan.drain.complete")
        await send({"type": "lifespan.startup.complete", "torana.lifecycle": asks})
        await try_to("lifespan.drain.complete")
        await try_to("lifespan.drain.complete")
        await receive()

    server = make_server(app, gateway=ON)
    await server.start()
    server.request_abort()
    await server.finished()
    unknown = "unknown lifespan message 'lifespan.drain.complete'"
    assert refused == ([unknown, "lifespan.drain.complete is out of order"] if asks else [unknown] * 3)


@in_loop
async def test_a_failed_warm_up_ends_what_was_started() -> None:
    site = Site()
    server = make_server(site, gateway=ON, serve={"warm_up_path": "/fails"})
    with pytest.raises(LoadError, match="answered 500"):
        await server.start()
    assert site.notes == ["startup", "request", "shutdown"]


@in_loop
async def test_a_start_that_is_called_off_while_all_are_told_ends_it() -> None:
    site = Site()
    server = make_server(site, gateway=ON)
    waiting = asyncio.Event()

    async def wait_for_ever() -> None:
        waiting.set()
        await asyncio.Event().wait()

    class Slow:
        """The gateway, but for one step that does not end."""

        ready = staticmethod(wait_for_ever)

        def __init__(self, gateway: Any) -> None:
            self._gateway = gateway

        def __getattr__(self, name: str) -> Any:
            return getattr(self._gateway, name)

    gateway = server._gateway
    server._gateway = Slow(gateway)  # type: ignore[assignment]
    site_of = server._make_site

    def make_site() -> Any:
        server._gateway = gateway
        try:
            return site_of()
        finally:
            server._gateway = Slow(gateway)  # type: ignore[assignment]

    server._make_site = make_site  # type: ignore[method-assign]
    starting = asyncio.ensure_future(server.start())
    await waiting.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not server.is_accepting
    assert site.notes == ["startup", "drain", "drained", "shutdown"]
