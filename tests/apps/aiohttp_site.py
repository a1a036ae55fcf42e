"""An aiohttp application with a bit of all: what it is told, it says as ``note: ...`` on standard output."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import os
import weakref
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

SOCKETS: web.AppKey[weakref.WeakSet[web.WebSocketResponse]] = web.AppKey("SOCKETS", weakref.WeakSet)
ORDER: web.AppKey[list[str]] = web.AppKey("ORDER", list)
BEATS: web.AppKey[list[int]] = web.AppKey("BEATS", list)
started: contextvars.ContextVar[str] = contextvars.ContextVar("started", default="not started")
seen_before: contextvars.ContextVar[str] = contextvars.ContextVar("seen_before", default="")
routes = web.RouteTableDef()
PIECE = bytes(range(256)) * 256


def note(text: str) -> None:
    print(f"note: {text}\n", end="", flush=True)


@routes.get("/")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text="Hello, world!")


@routes.get("/describe{tail:.*}")
async def describe(request: web.Request) -> web.Response:
    transport = request.transport
    assert transport is not None
    return web.json_response(
        {
            "method": request.method, "version": list(request.version), "path_qs": request.path_qs,
            "raw_path": request.raw_path, "path": request.path, "query": dict(request.query), "host": request.host,
            "scheme": request.scheme, "secure": request.secure, "remote": request.remote, "url": str(request.url),
            "cookies": dict(request.cookies), "several": request.headers.getall("X-Several", []),
            "latin": request.headers.get("X-Latin", ""), "names": sorted({name.lower() for name in request.headers}),
            "peername": transport.get_extra_info("peername"), "sockname": transport.get_extra_info("sockname"),
            "socket": transport.get_extra_info("socket"), "loop": type(asyncio.get_running_loop()).__module__,
            "started": started.get(), "can_read_body": request.can_read_body, "length": request.content_length,
        }
    )  # fmt: skip


@routes.get("/order")
async def order(request: web.Request) -> web.Response:
    return web.json_response({"order": request.config_dict[ORDER], "beats": len(request.config_dict[BEATS])})


@routes.get("/context/{value}")
async def context(request: web.Request) -> web.Response:
    before = seen_before.get()
    seen_before.set(request.match_info["value"])
    return web.Response(text=before)


@routes.post("/echo")
async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read(), content_type=request.content_type)


@routes.post("/digest")
async def digest(request: web.Request) -> web.Response:
    """Read as it comes; slowly when asked to."""
    made, size, pieces = hashlib.sha256(), 0, 0
    async for piece in request.content.iter_any():
        made.update(piece)
        size += len(piece)
        pieces += 1
        if "slow" in request.query:
            await asyncio.sleep(0.001)
    return web.json_response({"digest": made.hexdigest(), "size": size, "pieces": pieces})


@routes.post("/pieces")
async def pieces(request: web.Request) -> web.StreamResponse:
    """Answer each piece of the body as it comes."""
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(b"<" + piece + b">")
    return response


@routes.post("/form")
async def form(request: web.Request) -> web.Response:
    found: dict[str, Any] = {}
    for name, value in (await request.post()).items():
        if isinstance(value, web.FileField):
            found[name] = [value.filename, value.content_type, len(value.file.read())]
        else:
            found[name] = value
    return web.json_response(found)


@routes.post("/parts")
async def parts(request: web.Request) -> web.Response:
    found = []
    reader = await request.multipart()
    async for part in reader:
        size = 0
        while chunk := await part.read_chunk(8192):  # type: ignore[union-attr]
            size += len(chunk)
        found.append([part.name, part.filename, size])  # type: ignore[union-attr]
    return web.json_response(found)


@routes.get("/stream/{count}")
async def stream(request: web.Request) -> web.StreamResponse:
    """Pieces of 64 KiB; with a length when asked to."""
    count = int(request.match_info["count"])
    response = web.StreamResponse()
    if "length" in request.query:
        response.content_length = count * len(PIECE)
    await response.prepare(request)
    for _ in range(count):
        await response.write(PIECE)
    await response.write_eof()
    return response


@routes.get("/gated")
async def gated(request: web.Request) -> web.StreamResponse:
    """The second piece leaves when somebody asks for /gate."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"first\n")
    await _gate(request.query["token"]).wait()
    await response.write(b"second\n")
    return response


@routes.get("/gate")
async def gate(request: web.Request) -> web.Response:
    _gate(request.query["token"]).set()
    return web.Response()


_gates: dict[str, asyncio.Event] = {}


def _gate(token: str) -> asyncio.Event:
    return _gates.setdefault(token, asyncio.Event())


@routes.get("/events")
async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    try:
        for number in range(100_000):
            await response.write(b"data: %d\n\n" % number)
            await asyncio.sleep(0.02)
    except ConnectionResetError:
        note(f"stream left {request.query['token']}")
        raise
    return response


@routes.get("/long")
async def long(request: web.Request) -> web.Response:
    """Wait for the client to go; whether a handler is cancelled then is the application's choice."""
    token = request.query["token"]
    note(f"long begun {token}")
    try:
        await _gate(token).wait()
    except asyncio.CancelledError:
        note(f"long cancelled {token}")
        raise
    note(f"long ended {token}")
    return web.Response(text="ended")


@routes.get("/background")
async def background(request: web.Request) -> web.StreamResponse:
    """Go on after the answer is complete."""
    response = web.Response(text="answered")
    await response.prepare(request)
    await response.write_eof()
    await _gate(request.query["token"]).wait()
    note(f"background ended {request.query['token']}")
    return response


@routes.get("/boom")
async def boom(request: web.Request) -> web.Response:
    raise RuntimeError("boom")


@routes.get("/boom-late")
async def boom_late(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = 100
    await response.prepare(request)
    await response.write(b"part")
    raise RuntimeError("boom")


@routes.get("/short")
async def short(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = 10
    await response.prepare(request)
    await response.write(b"short")
    return response


@routes.get("/nothing")
async def nothing(request: web.Request) -> None:
    return None


@routes.get("/late")
async def late(request: web.Request) -> web.Response:
    raise TimeoutError


@routes.get("/redirect")
async def redirect(request: web.Request) -> web.Response:
    raise web.HTTPFound("/describe")


@routes.get("/teapot")
async def teapot(request: web.Request) -> web.Response:
    raise web.HTTPForbidden(text="no", headers={"X-Why": "because"})


@routes.get("/odd-status")
async def odd_status(request: web.Request) -> web.Response:
    return web.Response(status=299, reason="All Sorts", text="odd")


@routes.get("/cookies")
async def cookies(request: web.Request) -> web.Response:
    response = web.Response(text="set")
    response.set_cookie("a", "1")
    response.set_cookie("b", "2", httponly=True)
    return response


@routes.get("/compressed")
async def compressed(request: web.Request) -> web.Response:
    response = web.Response(text="text " * 10_000)
    response.enable_compression()
    return response


@routes.get("/empty")
async def empty(request: web.Request) -> web.Response:
    return web.Response(status=204)


@routes.get("/file")
async def file(request: web.Request) -> web.FileResponse:
    return web.FileResponse(os.path.join(os.environ["SITE_FILES"], "large.bin"))


@routes.get("/close")
async def close(request: web.Request) -> web.Response:
    response = web.Response(text="closing")
    response.force_close()
    return response


@routes.get("/injected")
async def injected(request: web.Request) -> web.Response:
    return web.Response(text="x", headers={"X-A": "b\r\nX-C: d"})


@routes.get("/own-server")
async def own_server(request: web.Request) -> web.Response:
    return web.Response(text="x", headers={"Server": "mine", "Date": "Thu, 01 Jan 1970 00:00:00 GMT"})


async def refuse(request: web.Request) -> None:
    if request.headers.get("X-Refuse"):
        raise web.HTTPExpectationFailed(text="no")
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


# WebSockets


@routes.get("/ws/echo")
async def ws_echo(request: web.Request) -> web.WebSocketResponse:
    """Echo; commands: ``close CODE REASON``, ``raise``, ``flood COUNT``, ``facts``."""
    socket = web.WebSocketResponse(
        protocols=("chat", "talk"), max_msg_size=int(request.query.get("max", 4 * 1024 * 1024)),
        compress="plain" not in request.query, timeout=2.0,
        heartbeat=float(request.query["heartbeat"]) if "heartbeat" in request.query else None,
    )  # fmt: skip
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    if "first" in request.query:
        await socket.send_str("first")
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
            continue
        if message.type != WSMsgType.TEXT:
            break
        command, _, rest = message.data.partition(" ")
        if command == "close":
            code, _, reason = rest.partition(" ")
            await socket.close(code=int(code), message=reason.encode())
        elif command == "raise":
            raise RuntimeError("boom")
        elif command == "flood":
            for number in range(int(rest)):
                await socket.send_str(f"{number:06d}" + "x" * 10_000)
        elif command == "facts":
            await socket.send_json({
                "protocol": socket.ws_protocol, "compress": bool(socket.compress), "scheme": request.scheme,
                "remote": request.remote, "host": request.host, "path": request.path_qs,
                "peername": socket.get_extra_info("peername"), "method": request.method,
            })  # fmt: skip
        else:
            await socket.send_str(message.data)
    note(f"ws over {request.query.get('token')} {socket.close_code}")
    return socket


@routes.get("/ws/denied")
async def ws_denied(request: web.Request) -> web.Response:
    return web.Response(status=403, text="not you", headers={"X-Why": "because"})


# Life


@web.middleware
async def mark(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=f"nothing at {request.path}", headers={"X-Marked": "404"})
    if not response.prepared:
        response.headers["X-Marked"] = "yes"
    return response


async def outer(app: web.Application) -> AsyncIterator[None]:
    app[ORDER].append("outer")
    note("outer begun")
    yield
    note("outer ended")


async def heart(app: web.Application) -> AsyncIterator[None]:
    """A task that beats until the end."""

    async def beat() -> None:
        while True:
            app[BEATS].append(1)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(beat())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    note("heart ended")


async def on_startup(app: web.Application) -> None:
    started.set("started")
    app[ORDER].append("startup")
    note("startup")


async def on_shutdown(app: web.Application) -> None:
    note("shutdown begun")
    for socket in list(app[SOCKETS]):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"see you")
    note("shutdown")


async def on_cleanup(app: web.Application) -> None:
    note("cleanup")


def sub() -> web.Application:
    async def inside(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.path} {request.app['name']} {request.config_dict[ORDER][0]}")

    async def begun(app: web.Application) -> None:
        note("sub startup")

    made = web.Application()
    made["name"] = "sub"
    made.on_startup.append(begun)
    made.router.add_get("/inside/{tail}", inside)
    return made


def make(**more: Any) -> web.Application:
    made = web.Application(middlewares=[mark], client_max_size=8 * 1024 * 1024, **more)
    made[SOCKETS] = weakref.WeakSet()
    made[ORDER] = []
    made[BEATS] = []
    made.add_routes(routes)
    made.router.add_post("/expect", echo, expect_handler=refuse)
    made.router.add_static("/static", os.environ.get("SITE_FILES", "."), show_index=True)
    made.add_subapp("/sub", sub())
    made.cleanup_ctx.extend([outer, heart])
    made.on_startup.append(on_startup)
    made.on_shutdown.append(on_shutdown)
    made.on_cleanup.append(on_cleanup)
    return made


def cancelling() -> web.Application:
    """The application asks that handlers end with their clients, in its own words."""
    return make(handler_args={"handler_cancellation": True})


def silent() -> web.Application:
    """An application that does not close its WebSockets."""
    made = make()
    made.on_shutdown.clear()
    return made


def failing() -> web.Application:
    async def fail(app: web.Application) -> None:
        raise RuntimeError("no database")

    made = make()
    made.on_startup.append(fail)
    return made


async def made_on_loop() -> web.Application:
    asyncio.get_running_loop()
    return make()


app = make()
