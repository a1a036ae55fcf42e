"""The health path: whether this server wants requests, answered without the application and without a line in the log.

Stands in front of the application's gateway where a path is set, and is not there at all where none is.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from torana.exchange.roles import Gateway

_FIELDS = ((b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"))
#: What may stand in a path or a query as it is (RFC 3986 section 3.3, 3.4).
_SAFE = "/?%!$&'()*+,;=:@-._~"


def as_target(text: str) -> bytes:
    """A path as a setting says it, as it stands in a request line."""
    return quote(text if text.startswith("/") else "/" + text, safe=_SAFE).encode("ascii")


class HealthGateway(Gateway):
    """Answers one path itself and leaves the rest to the application."""

    def __init__(self, path: str, gateway: Gateway) -> None:
        self._path = as_target(path)
        self._gateway = gateway
        #: False: whoever asks shall send no more requests here.
        self.is_ready = True

    def is_asked(self, request: Any) -> bool:
        """Whether a request is for the health path; only GET and HEAD are."""
        head = request.head
        is_asked: bool = head.raw_path == self._path and (head.method == "GET" or head.method == "HEAD")
        return is_asked

    def gateway_of(self, request: Any) -> Gateway:
        return self if self.is_asked(request) else self._gateway.gateway_of(request)

    def takes_conversations(self) -> bool:
        return self._gateway.takes_conversations()

    def takes_tunnels(self) -> bool:
        return self._gateway.takes_tunnels()

    def converse(self, duplex: Any) -> None:
        self._gateway.converse(duplex)

    def answer(self, request: Any, response: Any) -> None:
        if not self.is_asked(request):
            self._gateway.answer(request, response)
            return
        request.channel.leave_unlogged()
        status, body = (200, b"ok") if self.is_ready else (503, b"unready")
        response.replace(status, [*_FIELDS, (b"content-length", b"%d" % len(body))], body)
        request.channel.ended()
