"""Falcon for the grid, as a WSGI application."""

from __future__ import annotations

import falcon
from falcon import Request, Response
from outside import failure, numbered, pieces, told


class Hello:
    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = f"Hello, {req.get_param('name')}!"


class Form:
    def on_post(self, req: Request, resp: Response) -> None:
        fields = req.get_media()
        resp.media = {"name": fields["name"], "colour": fields["colour"]}


class Upload:
    def on_post(self, req: Request, resp: Response) -> None:
        for part in req.get_media():
            resp.media = told(part.filename, part.stream.read())


class Stream:
    def on_get(self, req: Request, resp: Response, token: str) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.stream = pieces(token)


class Fail:
    def on_get(self, req: Request, resp: Response, token: str) -> None:
        raise failure(token)


class Load:
    def on_get(self, req: Request, resp: Response, number: int) -> None:
        resp.content_type = falcon.MEDIA_TEXT
        resp.text = numbered(number)

    on_post = on_get


app = falcon.App()
app.add_route("/hello", Hello())
app.add_route("/form", Form())
app.add_route("/upload", Upload())
app.add_route("/stream/{token}", Stream())
app.add_route("/fail/{token}", Fail())
app.add_route("/{number:int}", Load())
