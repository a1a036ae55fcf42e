"""What the objects of real frameworks are taken for; each is skipped where its framework is not installed.

Those that take long to import are in tests/apps/grid/test_detection.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from torana.base.errors import LoadError
from torana.base.worker_policy import ANY, STICKY
from torana.gateway.detect import examine, is_factory


def flask_app() -> Any:
    flask = pytest.importorskip("flask")
    return flask.Flask("site")


def flask_subclass() -> Any:
    flask = pytest.importorskip("flask")
    return type("Own", (flask.Flask,), {})("site")


def flask_wrapped() -> Any:
    app = flask_app()

    @functools.wraps(app)
    def traced(*args: Any, **kwargs: Any) -> Any:
        return app(*args, **kwargs)

    return traced


def flask_proxied() -> Any:
    app = flask_app()
    middleware = pytest.importorskip("werkzeug.middleware.proxy_fix")
    app.wsgi_app = middleware.ProxyFix(app.wsgi_app)
    return app


def flask_dispatched() -> Any:
    return pytest.importorskip("werkzeug.middleware.dispatcher").DispatcherMiddleware(flask_app())


def flask_behind_a_proxy() -> Any:
    app = flask_app()
    return pytest.importorskip("werkzeug.local").LocalProxy(lambda: app)


def quart_app() -> Any:
    return pytest.importorskip("quart").Quart("site")


def quart_subclass() -> Any:
    return type("Own", (pytest.importorskip("quart").Quart,), {})("site")


def fastapi_app() -> Any:
    return pytest.importorskip("fastapi").FastAPI()


def starlette_app() -> Any:
    return pytest.importorskip("starlette.applications").Starlette()


def starlette_router() -> Any:
    return pytest.importorskip("starlette.routing").Router()


def starlette_middleware() -> Any:
    return pytest.importorskip("starlette.middleware.cors").CORSMiddleware(starlette_app())


def aiohttp_app() -> Any:
    return pytest.importorskip("aiohttp.web").Application()


def tornado_app() -> Any:
    return pytest.importorskip("tornado.web").Application()


def tornado_subclass() -> Any:
    return type("Own", (pytest.importorskip("tornado.web").Application,), {})()


def tornado_router() -> Any:
    return pytest.importorskip("tornado.routing").RuleRouter([])


def tornado_server() -> Any:
    return pytest.importorskip("tornado.httpserver").HTTPServer(tornado_app())


def tornado_container() -> Any:
    return pytest.importorskip("tornado.wsgi").WSGIContainer(flask_app())


def django_wsgi() -> Any:
    handler = pytest.importorskip("django.core.handlers.wsgi").WSGIHandler
    return handler.__new__(handler)


def django_asgi() -> Any:
    handler = pytest.importorskip("django.core.handlers.asgi").ASGIHandler
    return handler.__new__(handler)


def asgi_to_wsgi() -> Any:
    return pytest.importorskip("asgiref.wsgi").WsgiToAsgi(flask_app())


def own_words() -> Any:
    def takes_any(*args: Any) -> Any: ...

    takes_any.__torana_interface__ = "wsgi"  # type: ignore[attr-defined]
    return takes_any


APPLICATIONS: dict[Callable[[], Any], tuple[str, str]] = {
    flask_app: ("wsgi", "Flask"),
    flask_subclass: ("wsgi", "Flask"),
    flask_proxied: ("wsgi", "Flask"),
    flask_dispatched: ("wsgi", "environ"),
    flask_wrapped: ("wsgi", "environ"),
    flask_behind_a_proxy: ("wsgi", "Flask"),
    quart_app: ("asgi3", "Quart"),
    quart_subclass: ("asgi3", "Quart"),
    fastapi_app: ("asgi3", "FastAPI"),
    starlette_app: ("asgi3", "Starlette"),
    starlette_router: ("asgi3", "scope"),
    starlette_middleware: ("asgi3", "scope"),
    aiohttp_app: ("aiohttp", "aiohttp"),
    tornado_app: ("tornado", "Tornado"),
    tornado_subclass: ("tornado", "Tornado"),
    tornado_router: ("tornado", "Tornado"),
    tornado_server: ("tornado", "Tornado server"),
    tornado_container: ("wsgi", "Flask"),
    django_wsgi: ("wsgi", "Django"),
    django_asgi: ("asgi3", "Django"),
    asgi_to_wsgi: ("asgi3", "WSGI application made to look like ASGI"),
    own_words: ("wsgi", "__torana_interface__"),
}


@pytest.mark.parametrize(("make", "expected"), APPLICATIONS.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_an_application_of_a_framework_is_known(make: Callable[[], Any], expected: tuple[str, str]) -> None:
    application = make()
    verdict = examine(application)
    assert (verdict.interface, verdict.policy) == (expected[0], ANY)
    assert expected[1] in verdict.why
    assert not is_factory(application), "some of them take no argument when they are called"


def test_what_is_inside_a_server_or_a_container_is_what_is_called() -> None:
    server, container = tornado_server(), tornado_container()
    assert examine(server).inside is server.request_callback
    assert examine(container).inside is container.wsgi_application


def test_a_tornado_server_of_the_old_kind_is_called_itself() -> None:
    server = pytest.importorskip("tornado.httpserver").HTTPServer(lambda request: None)
    verdict = examine(server)
    assert (verdict.interface, verdict.inside) == ("tornado", None)


# What keeps state


def socketio_asgi() -> Any:
    socketio = pytest.importorskip("socketio")
    return socketio.ASGIApp(socketio.AsyncServer(async_mode="asgi"))


def socketio_wsgi() -> Any:
    socketio = pytest.importorskip("socketio")
    return socketio.WSGIApp(socketio.Server(async_mode="threading"), flask_app())


def socketio_in_flask() -> Any:
    app = flask_app()
    pytest.importorskip("flask_socketio").SocketIO(app, async_mode="threading")
    return app


def socketio_mounted() -> Any:
    app = starlette_app()
    app.mount("/ws", socketio_asgi())
    return app


def socketio_behind_middleware() -> Any:
    return pytest.importorskip("starlette.middleware.cors").CORSMiddleware(app=socketio_asgi())


@pytest.mark.parametrize(
    "make", [socketio_asgi, socketio_wsgi, socketio_in_flask, socketio_mounted, socketio_behind_middleware]
)
def test_socketio_keeps_sessions_wherever_it_is_inside(make: Callable[[], Any]) -> None:
    verdict = examine(make())
    assert (verdict.policy, "Socket.IO" in verdict.policy_why) == (STICKY, True)


def test_socketio_with_a_broker_and_websocket_only_needs_no_worker_of_its_own() -> None:
    socketio = pytest.importorskip("socketio")

    module = pytest.importorskip("socketio.async_pubsub_manager")

    class Broker(module.AsyncPubSubManager):  # type: ignore[name-defined, misc]
        """Carries nothing."""

    def made(**options: Any) -> Any:
        return socketio.ASGIApp(socketio.AsyncServer(async_mode="asgi", **options))

    assert examine(made(client_manager=Broker(), transports=["websocket"])).policy == ANY
    assert examine(made(client_manager=Broker())).policy == STICKY, "a poll may come to another worker"
    assert examine(made(transports=["websocket"])).policy == STICKY, "what is for others does not reach them"


@pytest.mark.parametrize("policy", ["any", "sticky", "single"])
def test_an_application_may_say_how_many_workers_it_bears(policy: str) -> None:
    app = socketio_asgi()
    app.__torana_workers__ = policy
    assert examine(app).policy == policy


# What is no application


def refused(of: str, name: str, *args: Any, **kwargs: Any) -> Any:
    return functools.partial(lambda: getattr(pytest.importorskip(of), name)(*args, **kwargs))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "blueprint of Flask": (refused("flask", "Blueprint", "b", __name__), "a Flask blueprint"),
    "blueprint of Quart": (refused("quart", "Blueprint", "b", __name__), "a Quart blueprint"),
    "router of FastAPI": (refused("fastapi", "APIRouter"), "the application that includes it"),
    "table of routes": (refused("aiohttp.web", "RouteTableDef"), "add_routes()"),
    "router of aiohttp": (refused("aiohttp.web", "UrlDispatcher"), "application it belongs to"),
    "asynchronous Socket.IO": (
        lambda: pytest.importorskip("socketio").AsyncServer(async_mode="asgi"),
        "socketio.ASGIApp(sio)",
    ),
    "plain Socket.IO": (refused("socketio", "Server", async_mode="threading"), "socketio.WSGIApp(sio)"),
    "Flask-SocketIO": (refused("flask_socketio", "SocketIO"), "the Flask application"),
    "consumer of Channels": (lambda: pytest.importorskip("channels.consumer").AsyncConsumer, "AsyncConsumer.as_asgi()"),
    "view of aiohttp": (lambda: pytest.importorskip("aiohttp.web").View, "an aiohttp view"),
    "handler of Tornado": (lambda: pytest.importorskip("tornado.web").RequestHandler, "a Tornado handler"),
    "command": (lambda: pytest.importorskip("click").Command("x"), "command-line program"),
    "proxy of what is not there": (lambda: pytest.importorskip("flask").request, "proxy"),
    "proxy of the application of a request": (lambda: pytest.importorskip("flask").current_app, "proxy"),
    "unknown marker": (
        lambda: type("Odd", (), {"__torana_interface__": "rsgi", "__call__": lambda self: None})(),
        "'rsgi' is no interface",
    ),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_part_of_an_application_is_refused_with_what_to_name_instead(make: Callable[[], Any], sentence: str) -> None:
    candidate = make()
    with pytest.raises(LoadError) as refusal:
        examine(candidate)
    assert sentence in str(refusal.value)
    assert not is_factory(candidate)


def test_functions_of_django_that_make_an_application_are_factories() -> None:
    assert is_factory(pytest.importorskip("django.core.asgi").get_asgi_application)
    assert is_factory(pytest.importorskip("django.core.wsgi").get_wsgi_application)


def test_a_decorator_of_wrapt_shows_what_it_wraps() -> None:
    wrapt = pytest.importorskip("wrapt")

    @wrapt.decorator  # type: ignore[untyped-decorator, unused-ignore]
    def traced(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    @traced
    def wsgi(environ: Any, start_response: Any) -> Any: ...

    @traced
    async def asgi(scope: Any, receive: Any, send: Any) -> None: ...

    assert [examine(each).interface for each in (wsgi, asgi)] == ["wsgi", "asgi3"]
