"""aiohttp for the grid."""

from __future__ import annotations

from aiohttp import WSMsgType, web
from outside import FIRST, SECOND, failure, numbered, told, waited_for_client

routes = web.RouteTableDef()


@routes.get("/hello")
async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request.query['name']}!")


@routes.post("/form")
async def form(request: web.Request) -> web.Response:
    fields = await request.post()
    return web.json_response({"name": fields["name"], "colour": fields["colour"]})


@routes.post("/upload")
async def upload(request: web.Request) -> web.Response:
    file = (await request.post())["file"]
    assert isinstance(file, web.FileField)
    return web.json_response(told(file.filename, file.file.read()))


@routes.get("/stream/{token}")
async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    await response.write(FIRST.encode())
    await waited_for_client(request.match_info["token"])
    await response.write(SECOND.encode())
    return response


@routes.get("/fail/{token}")
async def fail(request: web.Request) -> web.Response:
    raise failure(request.match_info["token"])


@routes.route("*", r"/{number:\d+}")
async def load(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(text=numbered(int(request.match_info["number"])))


@routes.get("/echo")
async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.data == "close":
            await socket.close(code=4001)
        else:
            await socket.send_str(message.data)
    return socket


app = web.Application(client_max_size=32 << 20)
app.add_routes(routes)
