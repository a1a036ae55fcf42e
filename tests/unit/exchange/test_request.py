"""A request's body as it arrives: in few pieces, however it came (threats G-017, G-048)."""

from __future__ import annotations

import tracemalloc

from torana.base.endpoints import Endpoints
from torana.exchange.request import Request
from torana.exchange.roles import Channel
from torana.wire.events import RequestHead


class _Way(Channel):
    """Nobody is to be asked for more."""

    def want_body(self) -> None:
        pass


def test_a_body_of_single_bytes_costs_about_its_size() -> None:
    head = RequestHead()
    head.content_length = -1
    request = Request(head, Endpoints(("10.0.0.1", 5), ("10.0.0.2", 80), "http", None), _Way(), 0, 1)
    pieces = [b"%02d" % (number % 100) for number in range(20_000)]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for piece in pieces:
            # A piece as it comes from a read: an object of its own.
            request.push(bytes(bytearray(piece)))
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert request.buffered == request.received == 40_000
    assert held < 4 * request.buffered
    assert request.take() == b"".join(pieces)
    assert request.buffered == 0
