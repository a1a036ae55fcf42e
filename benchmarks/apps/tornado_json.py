"""Tornado: its hello, and a path parameter, a query parameter and a small JSON object."""

from __future__ import annotations

from tornado.web import Application, RequestHandler

from benchmarks.apps import hello


class Hello(RequestHandler):
    """The smallest answer."""

    def get(self) -> None:
        self.write(hello.BODY)


class Item(RequestHandler):
    """Echoes both parameters, parsed, among a few constants."""

    async def get(self, item_id: str) -> None:
        query = self.get_query_argument("q", "")
        self.write({"id": int(item_id), "q": query, "name": "torana", "tags": ["a", "b"], "price": 9.5})


app = Application([("/", Hello), ("/items/([0-9]+)", Item)])
