"""From an application object to the gateway that calls it. Each gateway is imported only when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torana.exchange.roles import Gateway
from torana.gateway.detect import AIOHTTP, ASGI2, TORNADO, WSGI, detect
from torana.gateway.failure import ErrorPage
from torana.gateway.late import LateGateway
from torana.gateway.life import Life
from torana.gateway.options import GatewayOptions


def build(
    app: Any,
    interface: str,
    options: GatewayOptions,
    error_page: ErrorPage | None = None,
    request_s: float = 0.0,
    on_worn: Callable[[str], None] | None = None,
    hang_s: float = 0.0,
) -> Gateway:
    """The gateway for ``app``. ``interface``: as ``detect`` names them; of a ``Life`` also "auto", to be found out
    when it has made its application.

    ``request_s``: the longest that the application may take for one request, 0 without end. ``on_worn``: told once why
    another worker should take this one's place (a thread that cannot be had back), if there is somebody to tell.
    ``hang_s``: how long all threads may stay away while requests wait for one, 0 without end.
    """
    if isinstance(app, Life):

        def make(made: Any) -> Gateway:
            known = detect(made) if interface == "auto" else interface
            return build(made, known, options, error_page, request_s, on_worn, hang_s)

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

    return AsgiGateway(_as_asgi3(app) if interface == ASGI2 else app, options, error_page, request_s)


def _as_asgi3(app: Any) -> Any:
    """An ASGI 2 application (scope first, then receive and send) as an ASGI 3 one."""

    async def single_callable(scope: Any, receive: Any, send: Any) -> None:
        await app(scope)(receive, send)

    return single_callable
