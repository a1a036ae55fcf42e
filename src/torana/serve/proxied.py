"""The start of a connection through a trusted hop: its PROXY protocol header, before anything else (G-074)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from torana.base.endpoints import Endpoints
from torana.net.transport import Transport
from torana.wire.events import WireError
from torana.wire.proxy_protocol import Header, ProxyHeader

if TYPE_CHECKING:
    from torana.serve.acceptor import Acceptor

#: More than the longest header.
_LOOK_BYTES = 8192


class ProxiedStart:
    """Owns a transport until the header is complete; then hands the socket back to the acceptor."""

    def __init__(self, acceptor: Acceptor, sock: socket.socket, endpoints: Endpoints) -> None:
        self._acceptor = acceptor
        self._endpoints = endpoints
        self._header = ProxyHeader()
        poller = acceptor.poller
        self._transport = Transport(sock, poller, 4096, 1, 1)
        self._transport.owner = self
        limit_s = acceptor.site.timeouts.proxy_header_s
        self._transport.deadline = poller.clock.now + limit_s if limit_s else 0.0
        acceptor.crowd.joined(self)
        self._transport.open()

    def readable(self) -> None:
        # Looked at first, taken after: what follows the header belongs to TLS or HTTP and stays in the socket.
        sock = self._transport.sock
        try:
            data = sock.recv(_LOOK_BYTES, socket.MSG_PEEK)
            header = self._header.feed(data) if data else None
            if header is None:
                self.lost()
                return
            sock.recv(header.consumed if isinstance(header, Header) else len(data))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.lost()
            return
        except WireError as error:
            self._note(error.reason)
            self.lost()
            return
        if isinstance(header, Header):
            self._hand_over(header)

    def _hand_over(self, header: Header) -> None:
        endpoints = self._endpoints
        corrected = Endpoints(
            header.client or endpoints.client, header.server or endpoints.server, endpoints.scheme, header.tls
        )
        if header.tls is not None:
            corrected.scheme = "https"
        self._acceptor.crowd.left(self)
        sock = self._transport.release()
        try:
            self._acceptor.serve(sock, corrected)
        except OSError:
            # Gone before it began.
            sock.close()

    def peer_closed(self) -> None:
        self.lost()

    def drained(self) -> None:
        """Nothing is ever written here."""

    def expired(self, now: float) -> None:
        self._note("PROXY protocol header too slow")
        self.lost()

    def woken(self) -> None:
        self._transport.catch_up()

    def lost(self) -> None:
        self._acceptor.crowd.left(self)
        self._transport.close()

    # What the crowd asks of its members

    def waiting_since(self, has_heads: bool) -> float:
        return 0.0

    def evict(self) -> None:
        """Never asked: a header has but seconds."""

    def close_if_idle(self, before: float) -> bool:
        return False

    def doing(self) -> list[tuple[bool, str]]:
        return [(False, "connections without their PROXY protocol header")]

    def stop(self) -> None:
        self.lost()

    def kill(self) -> None:
        self.lost()

    def forsake(self) -> None:
        self._transport.sock.close()

    def _note(self, reason: str) -> None:
        acceptor = self._acceptor
        acceptor.site.refusals.note(reason, "proxy_protocol", self._endpoints.client, acceptor.poller.clock.now)
