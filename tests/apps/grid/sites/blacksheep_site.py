"""BlackSheep for the grid."""

from __future__ import annotations

from functools import partial

from blacksheep import Application, Content, FromForm, Request, Response, StreamedContent, WebSocket, json, text
from outside import awaited_pieces, failure, numbered, told

app = Application()


@app.router.get("/hello")
async def hello(name: str) -> Response:
    return text(f"Hello, {name}!")


@app.router.post("/form")
async def form(data: FromForm[dict]) -> Response:
    return json({"name": data.value["name"], "colour": data.value["colour"]})


@app.router.post("/upload")
async def upload(request: Request) -> Response:
    files = await request.files("file")
    file = files[0]
    return json(told(file.file_name.decode(), file.data))


@app.router.get("/stream/{token}")
async def stream(token: str) -> Response:
    return Response(200, content=StreamedContent(b"text/plain", partial(awaited_pieces, token)))


@app.router.get("/fail/{token}")
async def fail(token: str) -> Response:
    raise failure(token)


@app.router.get("/{int:number}")
async def load(number: int) -> Response:
    return Response(200, content=Content(b"text/plain", numbered(number).encode()))


@app.router.post("/{int:number}")
async def load_post(number: int, request: Request) -> Response:
    await request.read()
    return Response(200, content=Content(b"text/plain", numbered(number).encode()))


@app.router.ws("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (message := await socket.receive_text()) != "close":
        await socket.send_text(message)
        await socket.send_bytes(await socket.receive_bytes())
    await socket.close(4001)
