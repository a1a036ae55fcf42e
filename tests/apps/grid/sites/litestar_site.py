"""Litestar for the grid."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Litestar, MediaType, WebSocket, get, post, route, websocket
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.logging import LoggingConfig
from litestar.params import Body
from litestar.response import Stream
from outside import awaited_pieces, failure, numbered, told


@get("/hello", media_type=MediaType.TEXT)
async def hello(name: str) -> str:
    return f"Hello, {name}!"


@post("/form")
async def form(
    data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> dict[str, str]:
    return {"name": data["name"], "colour": data["colour"]}


@post("/upload", request_max_body_size=None)
async def upload(data: Annotated[dict[str, UploadFile], Body(media_type=RequestEncodingType.MULTI_PART)]) -> Any:
    return told(data["file"].filename, await data["file"].read())


@get("/stream/{token:str}")
async def stream(token: str) -> Stream:
    return Stream(awaited_pieces(token), media_type="text/plain")


@get("/fail/{token:str}")
async def fail(token: str) -> None:
    raise failure(token)


@route("/{number:int}", http_method=["GET", "POST"], media_type=MediaType.TEXT, status_code=200)
async def load(number: int) -> str:
    return numbered(number)


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    while (text := await socket.receive_text()) != "close":
        await socket.send_text(text)
        await socket.send_bytes(await socket.receive_bytes())
    await socket.close(4001)


app = Litestar(
    [hello, form, upload, stream, fail, load, echo],
    logging_config=LoggingConfig(log_exceptions="always"),
)
