"""From an application object to the gateway that calls it. Each gateway is imported only when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from torana.exchange.roles import Gateway
from torana.gateway.detect import AIOHTTP, ASGI2, TORNADO, WSGI
from torana.gateway.failure import ErrorPage
from torana.gateway.judge import judge
from torana.gateway.late import LateGateway
from torana.gateway.life import Life, Place
from torana.gateway.options import GatewayOptions
from torana.gateway.parts import Pair, Parts


def build(
    app: Any,
    interface: str,
    options: GatewayOptions,
    error_page: ErrorPage | None = None,
    request_s: float = 0.0,
    on_worn: Callable[[str], None] | None = None,
    hang_s: float = 0.0,
    place: Place | None = None,
) -> Gateway:
    """The gateway for ``app``. ``interface``: as ``detect`` names them; of a ``Life`` also "auto", to be found out
    when it has made its application.

    ``request_s``: the longest that the application may take for one request, 0 without end. ``on_worn``: told once why
    another worker should take this one's place (a thread that cannot be had back), if there is somebody to tell.
    ``hang_s``: how long all threads may stay away while requests wait for one, 0 without end. ``place``: for
    a ``Life``, which may have to know.
    """
    if isinstance(app, (Parts, Pair)):

        def part(app: Any, interface: str, options: GatewayOptions) -> Gateway:
            return build(app, interface, options, error_page, request_s, on_worn, hang_s, place)

        return _several(app, options, part) if isinstance(app, Parts) else _halves(app, options, part)
    if isinstance(app, Life):
        app.place = replace(place or Place(), root_path=options.root_path + options.mount)

        def make(made: Any) -> Gateway:
            judged = judge(made, interface)
            return build(judged.application, judged.interface, options, error_page, request_s, on_worn, hang_s)

        return LateGateway(app, make)
    if interface == AIOHTTP:
        from torana.gateway.aiohttp.gateway import AiohttpGateway

        return AiohttpGateway(app, options, error_page, request_s)
    if interface == TORNADO:
        from torana.gateway.tornado.gateway import TornadoGateway

        return TornadoGateway(app, options, error_page, request_s)
    if interface == WSGI:
        from torana.gateway.wsgi.gateway import WsgiGateway

        return WsgiGateway(app, options, error_page, request_s=request_s, on_worn=on_worn, hang_s=hang_s)
    from torana.gateway.asgi.call import AsgiGateway
    from torana.gateway.asgi.django_threads import keep_threads

    keep_threads()
    return AsgiGateway(_as_asgi3(app) if interface == ASGI2 else app, options, error_page, request_s)


def _several(parts: Parts, options: GatewayOptions, build_part: Callable[..., Gateway]) -> Gateway:
    from torana.gateway.choice import Several

    places = []
    for part in parts.parts:
        own = replace(
            options,
            mount=options.mount + (part.path if part.mount is None else part.mount),
            lifespan=options.lifespan if part.lifespan is None else part.lifespan,
            threads=options.threads if part.threads is None else part.threads,
        )
        gateway = build_part(part.object, part.interface, own)
        places.append((part.name, part.hosts, options.mount + part.path, gateway))
    return Several(places, options.root_path)


def _halves(pair: Pair, options: GatewayOptions, build_part: Callable[..., Gateway]) -> Gateway:
    from torana.gateway.choice import Halves

    wsgi = (pair.wsgi_name, build_part(pair.wsgi, WSGI, options))
    asgi = (pair.asgi_name, build_part(pair.asgi, pair.asgi_interface, options))
    return Halves(wsgi, asgi, pair.asgi_for, options.root_path, options.mount)


def _as_asgi3(app: Any) -> Any:
    """An ASGI 2 application (scope first, then receive and send) as an ASGI 3 one."""

    async def single_callable(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return single_callable
