"""Quart for the grid."""

from __future__ import annotations

from typing import Any

from outside import awaited_pieces, failure, numbered, told
from quart import Quart, Response, request, websocket

app = Quart(__name__)


@app.get("/hello")
async def hello() -> Any:
    return Response(f"Hello, {request.args['name']}!", mimetype="text/plain")


@app.post("/form")
async def form() -> Any:
    fields = await request.form
    return {"name": fields["name"], "colour": fields["colour"]}


@app.post("/upload")
async def upload() -> Any:
    file = (await request.files)["file"]
    return told(file.filename, file.read())


@app.get("/stream/<token>")
async def stream(token: str) -> Any:
    return Response(awaited_pieces(token), mimetype="text/plain")


@app.get("/fail/<token>")
async def fail(token: str) -> Any:
    raise failure(token)


@app.route("/<int:number>", methods=["GET", "POST"])
async def load(number: int) -> Any:
    await request.get_data()
    return Response(numbered(number), mimetype="text/plain")


@app.websocket("/echo")
async def echo() -> None:
    while (message := await websocket.receive()) != "close":
        await websocket.send(message)
    await websocket.close(4001)
