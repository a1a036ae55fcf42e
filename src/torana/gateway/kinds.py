"""The frameworks that are known by the names of their classes: what speaks which interface, what is no application
and what to say instead. Nothing is imported: an object of a class has its module imported already.

Never here: what has only a shape (``detect``), where state is kept in memory (``state``).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from torana.base.errors import LoadError

ASGI3: Final = "asgi3"
ASGI2: Final = "asgi2"
WSGI: Final = "wsgi"
AIOHTTP: Final = "aiohttp"
TORNADO: Final = "tornado"


class Kind(NamedTuple):
    """What the instances of a class are."""

    #: As a clause: "an aiohttp application".
    what: str
    interface: str = ""
    #: The product whose module unwraps them (``gateway/products``).
    product: str = ""
    #: The attribute in which the application itself is.
    inside: str = ""


_BLUEPRINT = "a Flask blueprint, a part of an application; name the application itself"
_ROUTER = "a router, a part of an application; name the application that includes it"
_ENGINE = "wrap it as an application: app = socketio.{}(sio), and name that"
_MCP = "an MCP server; name what it gives: app = server.{}()"
_COMMAND = "a command-line program, not an application"

#: (module, class) -> what its instances are; the most derived class that is known decides.
KNOWN: dict[tuple[str, str], Kind] = {
    ("aiohttp.web_app", "Application"): Kind("an aiohttp application", AIOHTTP),
    ("bokeh.server.tornado", "BokehTornado"): Kind("a Bokeh server", product="bokeh"),
    ("tornado.httpserver", "HTTPServer"): Kind("a Tornado server", TORNADO, inside="request_callback"),
    ("tornado.httputil", "HTTPServerConnectionDelegate"): Kind("a Tornado application", TORNADO),
    ("tornado.wsgi", "WSGIContainer"): Kind("a container of a WSGI application", WSGI, inside="wsgi_application"),
    ("gradio.routes", "App"): Kind("a Gradio application", ASGI3),
    ("gradio.blocks", "Blocks"): Kind("a Gradio demo", product="gradio"),
    ("dash.dash", "Dash"): Kind("a Dash application", product="dash", inside="server"),
    ("streamlit.web.server.starlette.starlette_app", "App"): Kind("a Streamlit application", product="streamlit"),
    ("jupyter_server.serverapp", "ServerApp"): Kind("a Jupyter server", product="jupyter"),
    ("panel.viewable", "ServableMixin"): Kind("something that Panel shows", product="panel"),
    ("bokeh.application.application", "Application"): Kind("a Bokeh application", product="bokeh"),
    ("django.core.handlers.wsgi", "WSGIHandler"): Kind("a Django handler for WSGI", WSGI),
    ("django.core.handlers.asgi", "ASGIHandler"): Kind("a Django handler for ASGI", ASGI3),
    ("channels.routing", "ProtocolTypeRouter"): Kind("a router of Django Channels", ASGI3),
    ("channels.routing", "URLRouter"): Kind("a router of Django Channels", ASGI3),
    ("quart.app", "Quart"): Kind("a Quart application", ASGI3),
    ("flask.app", "Flask"): Kind("a Flask application", WSGI),
    ("sanic.app", "Sanic"): Kind("a Sanic application, by its ASGI side, which has fewer features", ASGI3),
    ("fastapi.applications", "FastAPI"): Kind("a FastAPI application", ASGI3),
    ("starlette.applications", "Starlette"): Kind("a Starlette application", ASGI3),
    ("litestar.app", "Litestar"): Kind("a Litestar application", ASGI3),
    ("blacksheep.server.application", "Application"): Kind("a BlackSheep application", ASGI3),
    ("falcon.asgi.app", "App"): Kind("a Falcon application for ASGI", ASGI3),
    ("falcon.app", "App"): Kind("a Falcon application for WSGI", WSGI),
    ("bottle", "Bottle"): Kind("a Bottle application", WSGI),
    ("pyramid.router", "Router"): Kind("a Pyramid application", WSGI),
    ("engineio.async_drivers.asgi", "ASGIApp"): Kind("a Socket.IO application for ASGI", ASGI3),
    ("engineio.middleware", "WSGIApp"): Kind("a Socket.IO application for WSGI", WSGI),
    ("a2wsgi.asgi", "ASGIMiddleware"): Kind("an ASGI application made to look like WSGI", WSGI),
    ("a2wsgi.wsgi", "WSGIMiddleware"): Kind("a WSGI application made to look like ASGI", ASGI3),
    ("asgiref.wsgi", "WsgiToAsgi"): Kind("a WSGI application made to look like ASGI", ASGI3),
}  # fmt: skip

#: (module, class) -> what its instances are and what to name instead.
REFUSED: dict[tuple[str, str], str] = {
    ("flask.blueprints", "Blueprint"): _BLUEPRINT,
    ("flask.sansio.blueprints", "Blueprint"): _BLUEPRINT,
    ("quart.blueprints", "Blueprint"): _BLUEPRINT.replace("Flask", "Quart"),
    ("sanic.blueprints", "Blueprint"): _BLUEPRINT.replace("Flask", "Sanic"),
    ("fastapi.routing", "APIRouter"): _ROUTER,
    ("litestar.router", "Router"): _ROUTER,
    ("robyn", "Robyn"): "a Robyn application, which only runs on its own server",
    ("aiohttp.web_routedef", "RouteTableDef"): "a table of aiohttp routes; give it to an application's add_routes()",
    ("aiohttp.web_urldispatcher", "UrlDispatcher"): "an aiohttp router; name the application it belongs to",
    ("aiohttp.web_runner", "BaseRunner"): "an aiohttp runner, which serves by itself; name its application",
    ("aiohttp.web_server", "Server"): "an aiohttp low-level server, which serves by itself; make a web.Application",
    ("socketio.async_server", "AsyncServer"): "a Socket.IO server; " + _ENGINE.format("ASGIApp"),
    ("socketio.server", "Server"): "a Socket.IO server; " + _ENGINE.format("WSGIApp"),
    ("engineio.base_server", "BaseServer"): "an Engine.IO server; wrap it: app = engineio.ASGIApp(eio) or WSGIApp(eio)",
    ("flask_socketio", "SocketIO"): "a Flask-SocketIO extension; name the Flask application that it was given",
    ("flask_sock", "Sock"): "a Flask-Sock extension; name the Flask application that it was given",
    ("mcp.server.mcpserver.server", "MCPServer"): _MCP.format("streamable_http_app"),
    ("mcp.server.fastmcp.server", "FastMCP"): _MCP.format("streamable_http_app"),
    ("fastmcp.server.server", "FastMCP"): _MCP.format("http_app"),
    ("mcp.server.lowlevel.server", "Server"): "an MCP server without a transport; wrap it in a streamable HTTP app",
    ("pyramid.config", "Configurator"): "a Pyramid configurator; name what it makes: app = config.make_wsgi_app()",
    ("ninja.main", "NinjaAPI"): "a part of a Django project's urls; name the project's asgi or wsgi module",
    ("channels.consumer", "AsyncConsumer"): "a Channels consumer; name the application: Consumer.as_asgi()",
    ("bokeh.document.document", "Document"): "a Bokeh document; name the program that makes it",
    ("bokeh.server.server", "BaseServer"): "a Bokeh server, which serves by itself; name its application",
    ("jupyter_server.extension.application", "ExtensionApp"): "a Jupyter application; run it with: torana jupyter:lab",
    ("typer.main", "Typer"): _COMMAND,
    ("click.core", "Command"): _COMMAND,
    ("celery.app.base", "Celery"): "a Celery application, which takes tasks, not requests",
    ("uvicorn.config", "Config"): "a configuration of uvicorn; name the application in it",
    ("uvicorn.server", "Server"): "a uvicorn server; name the application that it serves",
    ("hypercorn.config", "Config"): "a configuration of hypercorn; name the application",
    ("socketserver", "BaseServer"): "a server by itself; name the application that it serves",
}  # fmt: skip

#: The same for classes themselves, where naming the class is the usual slip.
REFUSED_CLASSES: dict[tuple[str, str], str] = {
    ("channels.consumer", "AsyncConsumer"): "a Channels consumer class; name the application: {}.as_asgi()",
    ("django.views.generic.base", "View"): "a Django view; name the project's asgi or wsgi module",
    ("aiohttp.web_urldispatcher", "View"): "an aiohttp view; name the application that routes to it",
    ("tornado.web", "RequestHandler"): "a Tornado handler; name the tornado.web.Application that routes to it",
    ("starlette.endpoints", "HTTPEndpoint"): "a Starlette endpoint; name the application that routes to it",
    ("litestar.controller", "Controller"): "a Litestar controller; name the application that routes to it",
    ("flask.views", "View"): "a Flask view; name the application that routes to it",
}  # fmt: skip


def kind_of(application: Any) -> Kind | None:
    """What the class of an object says that it is; None if it says nothing. Raises ``LoadError`` for what is no
    application.
    """
    for base in type(application).__mro__:
        name = _name_of(base)
        if name in KNOWN:
            return KNOWN[name]
        if name in REFUSED:
            raise LoadError(f"this is {REFUSED[name]}")
    return None


def refuse_class(kind: type) -> None:
    """Raise ``LoadError`` for a class that is a part of an application."""
    for base in kind.__mro__:
        name = _name_of(base)
        if name in REFUSED_CLASSES:
            raise LoadError(f"{kind.__name__} is {REFUSED_CLASSES[name].format(kind.__name__)}")


def is_of(application: Any, names: frozenset[tuple[str, str]]) -> bool:
    """Whether the class of an object, or one above it, is one of those."""
    return any(_name_of(base) in names for base in type(application).__mro__)


def _name_of(kind: type) -> tuple[str, str]:
    return (str(kind.__dict__.get("__module__", "")), kind.__qualname__)
