"""Sanic for the grid, as an ASGI application."""

from __future__ import annotations

from outside import FIRST, SECOND, failure, numbered, told, waited_for_client
from sanic import HTTPResponse, Request, Sanic, json, text

app = Sanic("grid")


@app.get("/hello")
async def hello(request: Request) -> HTTPResponse:
    return text(f"Hello, {request.args.get('name')}!")


@app.post("/form")
async def form(request: Request) -> HTTPResponse:
    assert request.form is not None
    return json({"name": request.form.get("name"), "colour": request.form.get("colour")})


@app.post("/upload")
async def upload(request: Request) -> HTTPResponse:
    file = request.files.get("file")
    return json(told(file.name, file.body))


@app.get("/stream/<token:str>")
async def stream(request: Request, token: str) -> None:
    response = await request.respond(content_type="text/plain")
    await response.send(FIRST)
    await waited_for_client(token)
    await response.send(SECOND)
    await response.eof()


@app.get("/fail/<token:str>")
async def fail(request: Request, token: str) -> HTTPResponse:
    raise failure(token)


@app.route("/<number:int>", methods=["GET", "POST"])
async def load(request: Request, number: int) -> HTTPResponse:
    return text(numbered(number))


@app.websocket("/echo")
async def echo(request: Request, socket) -> None:  # type: ignore[no-untyped-def]
    while (message := await socket.recv()) != "close":
        await socket.send(message)
    await socket.close(4001)
