"""An aiohttp application, which knows nothing of where it is mounted."""

from __future__ import annotations

from aiohttp import web


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"by": "aiohttp", "name": request.match_info["name"], "query": request.query_string})


async def root(request: web.Request) -> web.Response:
    return web.json_response({"by": "aiohttp", "name": "", "query": request.query_string})


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    await socket.send_str("aiohttp: " + await socket.receive_str())
    await socket.close()
    return socket


app = web.Application()
app.add_routes([web.get("/", root), web.get("/hello/{name}", hello), web.get("/ws", echo)])
