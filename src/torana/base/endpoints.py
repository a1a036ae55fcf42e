"""Who is at the two ends of a connection, as far as it can be trusted."""

from __future__ import annotations

from typing import Any


class Endpoints:
    """The two ends of a connection; made once a connection, or anew where a trusted hop speaks for the client.

    ``client``: (host, port) or None for a unix socket. ``server``: (host, port), or (path, None) for a unix socket.
    ``scheme``: "http" or "https". ``tls``: the facts of ASGI's tls extension, or None on a plain connection.
    """

    def __init__(
        self,
        client: tuple[str, int] | None,
        server: tuple[str, int | None] | None,
        scheme: str,
        tls: dict[str, Any] | None = None,
    ) -> None:
        self.client = client
        self.server = server
        self.scheme = scheme
        self.tls = tls
        #: What a gateway made once out of the above, with itself in front: (gateway's object, value).
        #: Nobody else reads it.
        self.memo: tuple[Any, Any] | None = None
