"""A request that another worker answers while its connection stays here: carried as HTTP/1.1 over a pair of sockets.

The other worker takes its end for a connection of the client, whose address came with it in a letter. Never here: HTTP
(``gateway/inner_http1``), which worker it is.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from torana.gateway.inner_http1 import InnerExchange
from torana.gateway.pipe import Pipe
from torana.net.transport import Transport

if TYPE_CHECKING:
    from torana.exchange.request import Request
    from torana.exchange.response import Response

#: One read of what has come before the other end was closed.
_REST_BYTES = 64 * 1024


class Relay(Pipe):
    """Our end of the pair, for one exchange."""

    def __init__(self, sock: socket.socket, affinity: Any) -> None:
        sock.setblocking(False)
        options = affinity.options
        self._relays: set[Relay] = affinity.relays
        self._relays.add(self)
        self._is_over = False
        self.transport = transport = Transport(
            sock, affinity.poller, options.read_bytes, options.write_high_bytes, options.write_low_bytes
        )
        transport.owner = self
        self.exchange = InnerExchange(self, self._over)

    # Told by the transport

    def readable(self) -> None:
        data = self.transport.recv()
        if data is None:
            return
        if data:
            self.exchange.received(data)
        else:
            self._end()

    def drained(self) -> None:
        self.exchange.drained()

    def blocked(self) -> None:
        """Nothing is posted."""

    def peer_closed(self) -> None:
        """While nobody reads: what came before is read when somebody does, and then the end."""

    def woken(self) -> None:
        if self.transport.is_lost():
            self.lost()

    def expired(self, now: float) -> None:
        """No time is set: the client's connection and the other worker have their own."""

    def lost(self) -> None:
        """The other end is closed, perhaps behind an answer that its client takes slowly: all of that is here."""
        sock = self.transport.sock
        while not self._is_over:
            try:
                data = sock.recv(_REST_BYTES)
            except OSError:
                break
            if not data:
                break
            self.exchange.received(data)
        self._end()

    def _end(self) -> None:
        if not self._is_over:
            self.transport.set_reading(False)
            self.exchange.ended()
        self._close()

    # Told by the exchange

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def set_reading(self, is_reading: bool) -> None:
        self.transport.set_reading(is_reading)

    def is_full(self) -> bool:
        return self.transport.is_full()

    def close(self) -> None:
        self._close()

    def abort(self) -> None:
        # A closed socket of a pair is a broken one for the other end, whatever it is at.
        self._close()

    def _over(self, is_reusable: bool) -> None:
        self._close()

    def _close(self) -> None:
        self._is_over = True
        self.transport.close()
        self._relays.discard(self)

    def forsake(self) -> None:
        """In a forked child: close our copy."""
        self.transport.sock.close()


def relay(request: Request, response: Response, sock: socket.socket, affinity: Any) -> None:
    """Carry the exchange over ``sock``, which is ours from here on."""
    carrier = Relay(sock, affinity)
    carrier.transport.open()
    carrier.exchange.start(request, response)
