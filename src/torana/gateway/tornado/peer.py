"""What applications ask of the socket that Tornado would have: who is at its ends, and a client's certificate.

Never here: bytes.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints


class Peer:
    """In the place of ``IOStream.socket``."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints

    def getpeername(self) -> Any:
        """The client's address; "" on a unix socket."""
        return self._endpoints.client or ""

    def getsockname(self) -> Any:
        """Our own."""
        server = self._endpoints.server
        if server is None:
            return ""
        return server if server[1] is not None else server[0]

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The client's certificate as DER, or None when it has shown none; decoded ones are not to be had."""
        chain = (self._endpoints.tls or {}).get("client_cert_chain")
        if not chain or not binary_form:
            return None
        return ssl.PEM_cert_to_DER_cert(chain[0])

    def setsockopt(self, *option: Any) -> None:
        """The socket's options are the server's."""
