"""ASGI applications that differ in what they do with lifespan; every one answers HTTP alike, with what it was told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Event, Receive, Send], Awaitable[None]]

told: list[object] = []
loops: list[int] = []
apps: dict[str, App] = {}


def note(what: object) -> None:
    """Tell the test, through the server's log."""
    sys.stderr.write(f"note: {json.dumps(what)}\n")


async def http(scope: Event, receive: Receive, send: Send) -> None:
    """Say what lifespan was; /slow takes half a second."""
    loops.append(id(asyncio.get_running_loop()))
    if scope["path"] == "/slow":
        note("slow began")
        await asyncio.sleep(0.5)
        note("slow ended")
    what = {"told": told, "one_loop": len(set(loops)) == 1, "pid": os.getpid(), "state": sorted(scope.get("state", {}))}
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(what).encode()})


def with_http(lifespan: App) -> App:
    """An application of this lifespan, under its name."""

    async def app(scope: Event, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            loops.append(id(asyncio.get_running_loop()))
            await lifespan(scope, receive, send)
        else:
            await http(scope, receive, send)

    globals()[lifespan.__name__.removeprefix("_")] = app
    return app


@with_http
async def _whole(scope: Event, receive: Receive, send: Send) -> None:
    told.append({key: value for key, value in scope.items() if key != "state"} | {"state": dict(scope["state"])})
    event = await receive()
    told.append(dict(event))
    scope["state"]["filled"] = 1
    await asyncio.sleep(0.2)
    note("startup done")
    await send({"type": "lifespan.startup.complete"})
    scope["state"]["later"] = 2
    note(dict(await receive()))
    await asyncio.sleep(0.2)
    note("shutdown done")
    await send({"type": "lifespan.shutdown.complete"})
    with contextlib.suppress(Exception):
        await send({"type": "lifespan.shutdown.complete"})


@with_http
async def _raises(scope: Event, receive: Receive, send: Send) -> None:
    raise RuntimeError("no lifespan here")


@with_http
async def _raises_in_startup(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    raise RuntimeError("startup broke")


@with_http
async def _returns(scope: Event, receive: Receive, send: Send) -> None:
    return


@with_http
async def _fails(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})


@with_http
async def _fails_and_catches(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    try:
        await send({"type": "lifespan.startup.failed", "message": "the database is away"})
    except Exception:
        return


@with_http
async def _shutdown_fails(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "could not tidy up"})


@with_http
async def _ends_early(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})


@with_http
async def _crashes_late(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    raise RuntimeError("lifespan crashed late")


@with_http
async def _misorders(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    for event in ({"type": "lifespan.nope"}, {"type": "lifespan.shutdown.complete"}, {}):
        try:
            await send(event)
            told.append("taken")
        except Exception:
            told.append("raised")
    await send({"type": "lifespan.startup.complete"})
    try:
        await send({"type": "lifespan.startup.complete"})
        told.append("taken")
    except Exception:
        told.append("raised")
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@with_http
async def _never(scope: Event, receive: Receive, send: Send) -> None:
    await receive()
    note("startup began")
    await asyncio.Event().wait()
