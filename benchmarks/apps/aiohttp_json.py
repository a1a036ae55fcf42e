"""aiohttp: hello, and a path parameter, a query parameter and a small JSON object."""

from __future__ import annotations

from aiohttp import web

from benchmarks.apps.hello import BODY


async def read_hello(request: web.Request) -> web.Response:
    """Answer at once."""
    return web.Response(body=BODY, content_type="text/plain")


async def read_item(request: web.Request) -> web.Response:
    """Echo both parameters, parsed, among a few constants."""
    item_id = int(request.match_info["item_id"])
    q = request.query.get("q", "")
    return web.json_response({"id": item_id, "q": q, "name": "torana", "tags": ["a", "b"], "price": 9.5})


app = web.Application()
app.add_routes([web.get("/", read_hello), web.get(r"/items/{item_id:\d+}", read_item)])
