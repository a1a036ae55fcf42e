"""A Tornado application, which knows nothing of where it is mounted."""

from __future__ import annotations

from tornado import web, websocket


class Hello(web.RequestHandler):
    def get(self, name: str) -> None:
        self.write({"by": "tornado", "name": name, "query": self.request.query})


class Echo(websocket.WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        self.write_message(f"tornado: {message!s}")
        self.close()


app = web.Application([(r"/hello/(.*)", Hello), (r"/ws", Echo)])
