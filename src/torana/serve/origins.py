"""Which pages may open a WebSocket: those of the same host and port, and those that a deployer names.

A browser opens WebSockets to anybody, with the cookies that it has for them, and only says in Origin whose page asked
(threat G-058). Clients that are no browsers send no Origin and may always. RFC 6454, RFC 6455 sections 4.2.2 and 10.2.
"""

from __future__ import annotations

from torana.base.headers import Fields, get, get_all

#: What an origin's scheme means for a port that is not said.
_PORTS = {b"http": b"80", b"ws": b"80", b"https": b"443", b"wss": b"443"}
_SCHEMES = (b"http", b"https")


class Origins:
    """The origins of one site. ``allowed``: as a browser writes them ("https://example.com:8443"), or "*" for any."""

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self._takes_any = "*" in allowed
        self._allowed = frozenset(_normal(origin.encode("utf-8", "replace")) for origin in allowed)

    def allows(self, fields: Fields, scheme: str) -> bool:
        """Whether the page that asks may; ``scheme`` is how the request reached us, "http" or "https"."""
        origins = get_all(fields, b"origin")
        if not origins or self._takes_any:
            return True
        if len(origins) > 1:
            return False
        origin = _normal(origins[0])
        return origin in self._allowed or _is_same(origin, get(fields, b"host") or b"", scheme)


def _is_same(origin: bytes, host: bytes, scheme: str) -> bool:
    """Whether a (normal) origin is that of ``host``, the value of the Host field.

    A host without a port is at that of its scheme. Behind a proxy that ended TLS and did not say so it looks like
    "http", so there either port will do.
    """
    its_scheme, mark, authority = origin.partition(b"://")
    if not mark or its_scheme not in _SCHEMES:
        return False
    name, port = _split(authority)
    our_name, our_port = _split(host.lower())
    if name != our_name or not name:
        return False
    port = port or _PORTS[its_scheme]
    if our_port:
        return port == our_port
    return port == b"443" or (scheme == "http" and port == b"80")


def _normal(origin: bytes) -> bytes:
    """In lower case, without the slash that people add and without the scheme's own port."""
    origin = origin.lower().rstrip(b"/")
    scheme, mark, authority = origin.partition(b"://")
    name, port = _split(authority)
    if mark and port and port == _PORTS.get(scheme):
        return scheme + mark + name
    return origin


def _split(authority: bytes) -> tuple[bytes, bytes]:
    """Host and port; b"" for a port that is not there. The brackets of an IPv6 address stay."""
    name, mark, port = authority.rpartition(b":")
    if not mark or port.endswith(b"]"):
        return authority, b""
    return name, port
