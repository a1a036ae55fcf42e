"""The calls by which programs start a server of their own, and where each has its application.

A table; ``hygiene`` uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Find = Callable[[tuple[Any, ...], dict[str, Any]], Any]


class Entry(NamedTuple):
    """One call that serves until the end of the program, or begins to."""

    #: Where it is: "Class.method" or "function", of its module.
    path: str
    #: What to call it in a message.
    name: str
    application: Find
    is_async: bool = False
    #: Functions of the same module whose own use of it is no server: they come back.
    unless_from: str = ""
    #: What happens instead of passing over; takes the original, its arguments and its named ones.
    instead: Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any] | None = None


def _launch(original: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Gradio's demos are told by ``launch`` what they are, not only where they are served."""
    from torana.gateway.products.gradio import launch

    return launch(original, *positional, **named)


def _argument(index: int, *names: str) -> Find:
    """The application is the argument at ``index``, or one of these names; ``self`` counts."""

    def find(positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if len(positional) > index:
            return positional[index]
        return next((named[name] for name in names if name in named), None)

    return find


def _within(*names: str) -> Find:
    """The application is what ``self`` holds under these names, one after another."""

    def find(positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
        value = positional[0] if positional else None
        for name in names:
            value = getattr(value, name, None)
        return value

    return find


def _of_bottle(positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    application = positional[0] if positional else named.get("app")
    if application is None:
        import bottle

        application = bottle.default_app()
    return application


def _nothing(positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    return None


_SELF = _argument(0)
_FIRST = _argument(0, "app", "application")

#: Module -> the calls in it. A function that a package offers under its own name is named there as well.
ENTRIES: dict[str, tuple[Entry, ...]] = {
    "uvicorn.main": (Entry("run", "uvicorn.run()", _FIRST),),
    "uvicorn": (Entry("run", "uvicorn.run()", _FIRST),),
    "uvicorn.server": (
        Entry("Server.run", "uvicorn.Server.run()", _within("config", "app")),
        Entry("Server.serve", "uvicorn.Server.serve()", _within("config", "app"), is_async=True),
    ),
    "hypercorn.run": (Entry("run", "hypercorn.run()", _nothing),),
    "hypercorn.asyncio": (Entry("serve", "hypercorn.asyncio.serve()", _FIRST, is_async=True),),
    "granian.server": (Entry("Server.serve", "Granian.serve()", _nothing),),
    "granian": (Entry("Granian.serve", "Granian.serve()", _nothing),),
    "gunicorn.app.base": (Entry("BaseApplication.run", "gunicorn's run()", _nothing),),
    "waitress": (Entry("serve", "waitress.serve()", _FIRST),),
    "gevent.baseserver": (Entry("BaseServer.serve_forever", "gevent's serve_forever()", _within("application")),),
    "eventlet.wsgi": (Entry("server", "eventlet.wsgi.server()", _argument(1, "site")),),
    "cheroot.server": (Entry("HTTPServer.start", "cheroot's start()", _within("wsgi_app")),),
    "werkzeug.serving": (Entry("run_simple", "werkzeug.run_simple()", _argument(2, "application")),),
    "flask.app": (Entry("Flask.run", "Flask.run()", _SELF),),
    "flask_socketio": (Entry("SocketIO.run", "SocketIO.run()", _argument(1, "app")),),
    "quart.app": (
        Entry("Quart.run", "Quart.run()", _SELF),
        Entry("Quart.run_task", "Quart.run_task()", _SELF, is_async=True),
    ),
    "sanic.mixins.startup": (Entry("StartupMixin.run", "Sanic.run()", _SELF),),
    "robyn": (Entry("Robyn.start", "Robyn.start()", _SELF),),
    "bottle": (Entry("run", "bottle.run()", _of_bottle), Entry("Bottle.run", "Bottle.run()", _SELF)),
    "dash.dash": (Entry("Dash.run", "Dash.run()", _SELF), Entry("Dash.run_server", "Dash.run_server()", _SELF)),
    "gradio.blocks": (Entry("Blocks.launch", "Gradio's launch()", _SELF, instead=_launch),),
    "mcp.server.mcpserver.server": (Entry("MCPServer.run", "MCPServer.run()", _SELF),),
    "mcp.server.fastmcp.server": (Entry("FastMCP.run", "FastMCP.run()", _SELF),),
    "aiohttp.web": (Entry("run_app", "aiohttp.web.run_app()", _FIRST),),
    "aiohttp.web_runner": (Entry("BaseSite.start", "an aiohttp site's start()", _nothing, is_async=True),),
    "tornado.web": (Entry("Application.listen", "Tornado's Application.listen()", _SELF),),
    "tornado.tcpserver": (
        Entry("TCPServer.listen", "Tornado's listen()", _within("request_callback")),
        Entry("TCPServer.bind", "Tornado's bind()", _within("request_callback")),
        Entry("TCPServer.start", "Tornado's start()", _within("request_callback")),
        Entry("TCPServer.add_sockets", "Tornado's add_sockets()", _within("request_callback")),
    ),
    "tornado.platform.asyncio": (
        Entry("BaseAsyncIOLoop.start", "Tornado's IOLoop.start()", _nothing, unless_from="run_sync"),
    ),
    "socketserver": (Entry("BaseServer.serve_forever", "serve_forever()", _within("application")),),
    "asyncio.base_events": (
        Entry("BaseEventLoop.create_server", "asyncio's create_server()", _nothing, is_async=True),
    ),
}  # fmt: skip
