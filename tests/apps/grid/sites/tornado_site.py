"""Tornado for the grid."""

from __future__ import annotations

from outside import FIRST, SECOND, failure, numbered, told, waited_for_client
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Hello(RequestHandler):
    def get(self) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.write(f"Hello, {self.get_query_argument('name')}!")


class Form(RequestHandler):
    def post(self) -> None:
        self.write({"name": self.get_body_argument("name"), "colour": self.get_body_argument("colour")})


class Upload(RequestHandler):
    def post(self) -> None:
        (file,) = self.request.files["file"]
        self.write(told(file.filename, file.body))


class Stream(RequestHandler):
    async def get(self, token: str) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write(FIRST)
        await self.flush()
        await waited_for_client(token)
        self.write(SECOND)


class Fail(RequestHandler):
    async def get(self, token: str) -> None:
        raise failure(token)


class Load(RequestHandler):
    def get(self, number: str) -> None:
        self.set_header("Content-Type", "text/plain")
        self.write(numbered(int(number)))

    post = get


class Echo(WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        if message == "close":
            self.close(4001)
        else:
            self.write_message(message, binary=isinstance(message, bytes))


app = Application(
    [
        ("/hello", Hello),
        ("/form", Form),
        ("/upload", Upload),
        ("/stream/(.*)", Stream),
        ("/fail/(.*)", Fail),
        (r"/(\d+)", Load),
        ("/echo", Echo),
    ]
)
