"""FastAPI for the grid."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Form, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import PlainTextResponse, StreamingResponse
from outside import awaited_pieces, failure, numbered, told

app = FastAPI()


@app.get("/hello", response_class=PlainTextResponse)
def hello(name: str) -> str:
    return f"Hello, {name}!"


@app.post("/form")
async def form(name: Annotated[str, Form()], colour: Annotated[str, Form()]) -> dict[str, str]:
    return {"name": name, "colour": colour}


@app.post("/upload")
async def upload(file: UploadFile) -> dict[str, Any]:
    return told(file.filename or "", await file.read())


@app.get("/stream/{token}")
async def stream(token: str) -> StreamingResponse:
    return StreamingResponse(awaited_pieces(token), media_type="text/plain")


@app.get("/fail/{token}")
async def fail(token: str) -> None:
    raise failure(token)


@app.get("/{number}", response_class=PlainTextResponse)
@app.post("/{number}", response_class=PlainTextResponse)
async def load(number: int) -> str:
    return numbered(number)


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while (text := await socket.receive_text()) != "close":
            await socket.send_text(text)
            await socket.send_bytes(await socket.receive_bytes())
        await socket.close(4001)
    except WebSocketDisconnect:
        pass
