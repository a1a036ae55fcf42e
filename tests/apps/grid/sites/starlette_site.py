"""Starlette for the grid."""

from __future__ import annotations

from outside import awaited_pieces, failure, numbered, told
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


async def hello(request: Request) -> Response:
    return PlainTextResponse(f"Hello, {request.query_params['name']}!")


async def form(request: Request) -> Response:
    async with request.form() as fields:
        return JSONResponse({"name": fields["name"], "colour": fields["colour"]})


async def upload(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        return JSONResponse(told(file.filename, await file.read()))


async def stream(request: Request) -> Response:
    return StreamingResponse(awaited_pieces(request.path_params["token"]), media_type="text/plain")


async def fail(request: Request) -> Response:
    raise failure(request.path_params["token"])


async def load(request: Request) -> Response:
    await request.body()
    return PlainTextResponse(numbered(request.path_params["number"]))


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if (text := message.get("text")) is None:
            await socket.send_bytes(message["bytes"])
        elif text == "close":
            await socket.close(4001)
            return
        else:
            await socket.send_text(text)


app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/form", form, methods=["POST"]),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream/{token}", stream),
        Route("/fail/{token}", fail),
        Route("/{number:int}", load, methods=["GET", "POST"]),
        WebSocketRoute("/echo", echo),
    ]
)
