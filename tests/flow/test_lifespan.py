"""Start-up, shutdown and the context that requests begin with, in a whole server (``spec.md`` LIFESPAN)."""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import Any

import pytest

from tests.support.inprocess import Serving, answer_with, in_loop, logged, make_server, serving
from torana.base.errors import LoadError

variable: ContextVar[str] = ContextVar("variable", default="unset")


@in_loop
async def test_each_request_begins_with_the_context_of_start_up() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            variable.set("from start-up")
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})
            return
        before = variable.get()
        variable.set("changed by a request")
        await asyncio.sleep(0)
        await answer_with(send, before.encode())

    async with serving(app, gateway={"lifespan": "auto"}) as server:
        for _ in range(3):
            async with await server.connect() as client:
                for _ in range(3):
                    assert (await client.ask()).body == b"from start-up"
    assert variable.get() == "unset"


@in_loop
async def test_state_is_copied_for_each_request() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["shared"] = ["x"]
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        state = scope["state"]
        seen = sorted(state)
        state["mine"] = 1
        state["shared"].append("y")
        await answer_with(send, b"%s %d" % (",".join(seen).encode(), len(state["shared"])))

    async with serving(app, gateway={"lifespan": "on"}) as server, await server.connect() as client:
        assert (await client.ask()).body == b"shared 2"
        assert (await client.ask()).body == b"shared 3"


@pytest.mark.parametrize("mode", ["auto", "off"])
@in_loop
async def test_application_without_lifespan_is_served(mode: str) -> None:
    types = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        types.append(scope["type"])
        assert scope["type"] == "http"
        await answer_with(send, repr("state" in scope).encode())

    with logged() as log:
        async with serving(app, gateway={"lifespan": mode}) as server, await server.connect() as client:
            assert (await client.ask()).body == b"False"
    assert types == (["lifespan", "http"] if mode == "auto" else ["http"])
    assert log.errors() == []


@pytest.mark.parametrize("way", ["failed", "raises", "returns", "slow"])
@in_loop
async def test_refusal_to_start_is_told(way: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if way == "failed":
            await send({"type": "lifespan.startup.failed", "message": "no database"})
        elif way == "raises":
            raise ValueError("no lifespan here")
        elif way == "slow":
            await asyncio.Event().wait()

    server = make_server(app, gateway={"lifespan": "on", "lifespan_startup_timeout_s": 0.1})
    with pytest.raises(LoadError) as caught:
        await server.start()
    expected = {"failed": "no database", "raises": "no lifespan here", "returns": "returned", "slow": "timeout_startup"}
    assert expected[way] in str(caught.value)


@in_loop
async def test_shutdown_comes_after_the_last_answer() -> None:
    order = []
    go = asyncio.Event()
    is_running = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            order.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
            return
        is_running.set()
        await go.wait()
        await answer_with(send)
        order.append("answer")

    server = make_server(app, gateway={"lifespan": "on"})
    await server.start()
    async with await Serving(server).connect() as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        await is_running.wait()
        server.request_stop()
        await asyncio.sleep(0.05)
        go.set()
        assert (await client.read()).status == 200
    await server.finished()
    assert order == ["answer", "shutdown"]


@in_loop
async def test_urgent_stop_does_not_wait_for_a_shutdown_that_hangs() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.Event().wait()

    server = make_server(app, gateway={"lifespan": "on", "lifespan_shutdown_timeout_s": 20})
    await server.start()
    server.request_stop()
    await asyncio.sleep(0.05)
    server.request_abort()
    began = time.monotonic()
    await server.finished()
    assert time.monotonic() - began < 10
