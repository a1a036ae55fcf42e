"""Falcon for the grid, as an ASGI application."""

from __future__ import annotations

import falcon.asgi
from falcon.asgi import Request, Response, WebSocket
from outside import awaited_pieces, failure, numbered, told


class Hello:
    async def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"Hello, {req.get_param('name')}!"


class Form:
    async def on_post(self, req: Request, resp: Response) -> None:
        fields = await req.get_media()
        resp.media = {"name": fields["name"], "colour": fields["colour"]}


class Upload:
    async def on_post(self, req: Request, resp: Response) -> None:
        async for part in await req.get_media():
            resp.media = told(part.filename, await part.stream.read())


class Stream:
    async def on_get(self, req: Request, resp: Response, token: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = awaited_pieces(token)


class Fail:
    async def on_get(self, req: Request, resp: Response, token: str) -> None:
        raise failure(token)


class Load:
    async def on_get(self, req: Request, resp: Response, number: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = numbered(number)

    on_post = on_get


class Echo:
    async def on_websocket(self, req: Request, socket: WebSocket) -> None:
        await socket.accept()
        while (text := await socket.receive_text()) != "close":
            await socket.send_text(text)
            await socket.send_data(await socket.receive_data())
        await socket.close(4001)


app = falcon.asgi.App()
app.add_route("/hello", Hello())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_route("/stream/{token}", Stream())
app.add_route("/fail/{token}", Fail())
app.add_route("/{number:int}", Load())
app.add_route("/echo", Echo())
