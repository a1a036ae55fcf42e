"""The start of a conversation: a request that asks for WebSocket is judged, and its gateway asked to converse.

Until the application accepts, it is an ordinary exchange whose answerer passes on what becomes of it. Never here: the
rules of the handshake (``wire/websocket``), messages (``websocket``). RFC 6455 section 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.exchange.duplex import ABNORMAL, Duplex
from torana.exchange.roles import Answerer
from torana.serve.websocket import WebSocket
from torana.wire.events import WireError
from torana.wire.websocket.handshake import is_websocket, offered

if TYPE_CHECKING:
    from torana.exchange.carrier import Upgradable
    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.net.clock import Clock
    from torana.serve.site import Site


def converse(channel: Upgradable, request: Request, response: Response, site: Site, clock: Clock) -> bool:
    """Begin a conversation if ``request``, which names an upgrade, asks for one and the gateway takes them.

    False, and nothing done, when it is a request like all others.
    """
    head = request.head
    if not is_websocket(head.upgrade):
        return False
    gateway = site.gateway.gateway_of(request)
    try:
        offer = offered(head) if gateway.takes_conversations() else None
        # Of a library that brings its own WebSocket to WSGI we do not know whether it looks (threat G-058).
        if not site.origins.allows(head.fields, request.endpoints.scheme):
            raise WireError(403, "websocket: origin not allowed", "ws_allowed_origins")
    except WireError as error:
        channel.refuse(error)
        return True
    if offer is None:
        return False
    socket = WebSocket(site, clock, channel, offer)
    duplex = Duplex(request, response, socket, offer.subprotocols, site.options.bounds.websocket_queue_bytes)
    socket.duplex = duplex
    request.answerer = Handshake(duplex)
    gateway.converse(duplex)
    return True


class Handshake(Answerer):
    """Tells the conversation what becomes of its exchange, until it is accepted."""

    def __init__(self, duplex: Duplex) -> None:
        self._duplex = duplex

    def drained(self) -> None:
        answerer = self._duplex.answerer
        if answerer is not None:
            answerer.drained()

    def disconnected(self) -> None:
        # The application may end within this, and with it this object.
        duplex = self._duplex
        duplex.lose(ABNORMAL, "")

    def stop(self) -> None:
        answerer = self._duplex.answerer
        if answerer is not None:
            answerer.stop()
