"""A request as Tornado's server would describe it: its start line, its fields, and the two ends of its connection.

Names are written as Tornado writes them, from one table that is learnt and bounded. Never here: bodies, answers.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPHeaders, RequestStartLine

from torana.gateway.handshake import handshake_fields, is_handshake

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints
    from torana.exchange.request import Request
    from torana.wire.events import Fields, RequestHead

#: Names learnt, and the longest that is worth it; when it is full all are forgotten.
_MOST_LEARNT = 512
_LONGEST_LEARNT = 64
#: What Tornado gives as the address of a client on a unix socket.
_NO_ADDRESS = "0.0.0.0"


class Context:
    """What ``request.connection.context`` is: who is at the other end, as far as it can be trusted.

    It is the server that knows which hops to trust, so that Tornado's own look at X-Forwarded-* does nothing here.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        client = endpoints.client
        self.address: Any = "" if client is None else client
        self.address_family = socket.AF_UNIX
        self.remote_ip = _NO_ADDRESS
        if client is not None:
            self.address_family = socket.AF_INET6 if ":" in client[0] else socket.AF_INET
            self.remote_ip = client[0]
        self.protocol = endpoints.scheme
        self.trusted_downstream: set[str] = set()

    def __str__(self) -> str:
        return str(self.remote_ip if self.address else self.address)


class Describer:
    """Describes requests for one application."""

    def __init__(self, root_path: str, mount: str, knows_prefix: bool) -> None:
        """``root_path`` and ``mount`` below it lead the application's paths, the first of them only if no proxy has cut
        it off. Tornado knows nothing of mount points, and so its paths begin behind both; ``knows_prefix``: this
        application does, and expects them.
        """
        self._root = root_path
        self._mount = mount
        self._is_mounted = bool(root_path or mount)
        self._knows_prefix = knows_prefix
        self._names: dict[bytes, str] = {}

    def start_line(self, head: RequestHead) -> Any:
        """Method, target and version; a WebSocket handshake is the GET of HTTP/1.1, whatever the client speaks."""
        method = "GET" if head.method == "CONNECT" and is_handshake(head) else head.method
        target = head.target.decode("latin-1")
        if target[:1] != "/" and target != "*":
            # An absolute form: its authority is in the Host field by now.
            target = head.raw_path.decode("latin-1")
            if head.query:
                target += "?" + head.query.decode("latin-1")
        if self._is_mounted:
            target = self._mounted(target)
        return RequestStartLine(method, target, "HTTP/" + head.version)

    def fields(self, head: RequestHead) -> Any:
        """The fields as ``HTTPHeaders``."""
        fields = head.fields
        if head.upgrade is not None and is_handshake(head):
            fields = handshake_fields(head)
        return self._headers(fields)

    def context(self, request: Request) -> Context:
        """Kept with the endpoints: most connections carry many requests."""
        endpoints = request.endpoints
        memo = endpoints.memo
        if memo is not None and memo[0] is self:
            known: Context = memo[1]
            return known
        made = Context(endpoints)
        endpoints.memo = (self, made)
        return made

    def _headers(self, fields: Fields) -> Any:
        made = HTTPHeaders()
        names = self._names
        count = 0
        for name, value in fields:
            key = names.get(name)
            if key is None:
                key = self._learn(name)
            text = value.decode("latin-1")
            count += 1
            if count > 1 and key in made:
                self._add(made, key, text)
                count -= 1
            else:
                made[key] = text
        return made

    def _add(self, made: Any, key: str, text: str) -> None:
        """A repeated field; of cookies HTTP/2 makes several (RFC 9113 section 8.2.3)."""
        if key == "Cookie":
            made[key] = made[key] + "; " + text
        else:
            made.add(key, text)

    def _learn(self, name: bytes) -> str:
        key = "-".join(word.capitalize() for word in name.decode("latin-1").split("-"))
        if len(name) <= _LONGEST_LEARNT:
            if len(self._names) >= _MOST_LEARNT:
                self._names = {}
            self._names[name] = key
        return key

    def _mounted(self, target: str) -> str:
        rest = below(target, self._root)
        if self._knows_prefix:
            return self._root + rest
        return below(rest, self._mount)


def below(target: str, prefix: str) -> str:
    """What of a path and its query follows a prefix; all of it when it does not stand there."""
    if prefix and target.startswith(prefix):
        rest = target[len(prefix) :]
        if rest[:1] == "/":
            return rest
        if not rest or rest[0] == "?":
            return "/" + rest
    return target
