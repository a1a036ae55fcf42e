"""A Starlette application as its users write them; what happens out of a client's sight is written to standard error.

The files it serves lie in the folder named by SITE_FILES.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypedDict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

FILES = Path(os.environ["SITE_FILES"])

born: contextvars.ContextVar[str] = contextvars.ContextVar("born", default="unset")


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}\n", end="", file=sys.stderr, flush=True)


class State(TypedDict):
    """What lifespan hands to each request."""

    visits: list[str]
    greeting: str


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    note("lifespan started")
    born.set("in lifespan")
    yield {"visits": [], "greeting": "hello"}
    note("lifespan ended")


async def hello(request: Request) -> Response:
    return PlainTextResponse("Hello, world!")


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type="application/octet-stream")


async def login(request: Request) -> Response:
    form = await request.form()
    request.session["name"] = form["name"]
    return RedirectResponse("/me", status_code=303)


async def me(request: Request) -> Response:
    return JSONResponse({"name": request.session.get("name")})


async def logout(request: Request) -> Response:
    request.session.clear()
    return Response(status_code=204)


async def file(request: Request) -> Response:
    return FileResponse(FILES / "large.bin", filename="large.bin")


async def state(request: Request) -> Response:
    request.state.visits.append(request.query_params["name"])
    before = sorted(request.scope["state"])
    request.state.mine = True
    return JSONResponse(
        {"visits": request.state.visits, "greeting": request.state.greeting, "keys": before, "born": born.get()}
    )


async def wait(request: Request) -> Response:
    """Wait until the client leaves."""
    token = request.path_params["token"]
    note(f"wait {token} began")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    note(f"wait {token} saw the client leave")
    return PlainTextResponse("too late")


async def receive(request: Request) -> Response:
    """The same by the raw event."""
    token = request.path_params["token"]
    await request.body()
    note(f"receive {token} began")
    message = await request.receive()
    note(f"receive {token} got {message['type']}")
    return PlainTextResponse("too late")


async def stream(request: Request) -> Response:
    """Stream without end until the client leaves."""
    token = request.path_params["token"]

    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            note(f"stream {token} closed")

    return StreamingResponse(body(), media_type="text/plain")


async def count(request: Request) -> Response:
    async def body() -> AsyncIterator[str]:
        for number in range(100):
            yield f"{number}\n"

    return StreamingResponse(body(), media_type="text/plain")


async def fail(request: Request) -> Response:
    raise RuntimeError(f"failed {request.path_params['token']}")


class Stamp(BaseHTTPMiddleware):
    """A middleware of the kind that wraps receive and send."""

    async def dispatch(self, request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        response.headers["x-stamp"] = request.url.path
        return response


Message = dict[str, Any]


class Watch:
    """Names the way each file left: by a path handed to the server, or by body events."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Any) -> None:
        async def watched(message: Message) -> None:
            if message["type"] == "http.response.pathsend":
                note(f"pathsend {message['path']} {scope['query_string'].decode()}")
            await send(message)

        await self.app(scope, receive, watched)


wrapped = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/count", count),
        Route("/echo", echo, methods=["POST"]),
        Route("/fail/{token}", fail),
        Route("/stream/{token}", stream),
    ],
    middleware=[Middleware(Stamp)],
)

app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/echo", echo, methods=["POST"]),
        Route("/login", login, methods=["POST"]),
        Route("/me", me),
        Route("/logout", logout, methods=["POST"]),
        Route("/file", file),
        Route("/state", state),
        Route("/wait/{token}", wait, methods=["GET", "POST"]),
        Route("/receive/{token}", receive, methods=["GET", "POST"]),
        Route("/stream/{token}", stream),
        Route("/fail/{token}", fail),
        Mount("/wrapped", wrapped),
        Mount("/static", StaticFiles(directory=FILES, html=True), name="static"),
    ],
    middleware=[Middleware(Watch), Middleware(SessionMiddleware, secret_key="for tests only")],
    lifespan=lifespan,
)
