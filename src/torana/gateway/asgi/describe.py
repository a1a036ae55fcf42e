"""A request as ASGI's http or websocket scope (ASGI HTTP spec 2.5; ``spec.md`` ASGI-HTTP-01 to 26, ASGI-ROOT, WS-01 to
07).

Every container in a scope is fresh, so that nothing an application changes reaches another request.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import unquote_to_bytes

from torana.base.endpoints import Endpoints
from torana.exchange.duplex import Duplex
from torana.exchange.request import Request
from torana.wire.events import HTTP_1_0, HTTP_1_1

SPEC_VERSION = "2.5"

#: How a conversation's scheme is written (RFC 6455 section 3), whatever the version of HTTP says of its own.
_SCHEMES = {"http": "ws", "https": "wss"}

#: Their middleware for Brotli drops messages that it does not know, among them files sent by their path, which
#: Starlette sends whenever it may: the answer would never begin.
_SWALLOWING = frozenset({"brotli_asgi", "gradio"})


def path_of(raw_path: bytes, root_path: str) -> str:
    """The decoded path, ``root_path`` included.

    Decoded once and read as UTF-8 with U+FFFD for what is not; never normalised. A proxy that strips the prefix and one
    that leaves it both give the full path: it is added only where it does not already stand at a segment boundary.
    """
    path = raw_path.decode("ascii", "replace") if b"%" not in raw_path else _decode(raw_path)
    if root_path and path != root_path and not path.startswith(root_path + "/") and path != "*":
        return root_path + path
    return path


def _decode(raw_path: bytes) -> str:
    return unquote_to_bytes(raw_path).decode("utf-8", "replace")


class Describer:
    """Makes scopes for one application. Copying a template is cheaper than filling a dict key by key."""

    def __init__(self, root_path: str, state: dict[str, Any] | None, is_debug: bool, mount: str = "") -> None:
        """``state``: the lifespan's namespace, copied into each scope; None when there is none.

        ``mount``: what follows ``root_path`` in each path and belongs to the mount point (several applications).
        """
        self._root_path = root_path
        self._mounted_at = root_path + mount
        self._state = state
        self._is_debug = is_debug
        self._offers_files = not _SWALLOWING & sys.modules.keys()
        self._asgi: dict[str, Any] = {"version": "3.0", "spec_version": SPEC_VERSION}
        self._template: dict[str, Any] = dict.fromkeys(
            ("type", "asgi", "http_version", "server", "client", "scheme", "method", "root_path", "path", "raw_path",
             "query_string", "headers", "extensions")
        )  # fmt: skip
        self._template["type"] = "http"
        self._template["method"] = "GET"
        self._template["query_string"] = b""
        self._template["root_path"] = self._mounted_at
        if state is not None:
            self._template["state"] = None

    def http_scope(self, request: Request) -> dict[str, Any]:
        """A fresh scope for one request."""
        head = request.head
        endpoints = request.endpoints
        # None of them has anything to say; one dict, of this scope alone, serves all.
        nothing: dict[str, Any] = {}
        extensions: dict[str, Any] = {
            "http.response.early_hint": nothing,
            "http.response.zerocopysend": nothing,
        }
        if self._offers_files:
            extensions["http.response.pathsend"] = nothing
        is_plain = head.version == HTTP_1_1
        if is_plain or head.version != HTTP_1_0:
            extensions["http.response.trailers"] = nothing
        if endpoints.tls is not None:
            extensions["tls"] = endpoints.tls.copy()
        if self._is_debug:
            extensions["http.response.debug"] = nothing
        scope = self._template_of(endpoints).copy()
        scope["asgi"] = self._asgi.copy()
        # What most requests say stands in the template.
        if not is_plain:
            scope["http_version"] = head.version
        if head.method != "GET":
            scope["method"] = head.method
        scope["path"] = path_of(head.raw_path, self._root_path)
        scope["raw_path"] = head.raw_path
        if head.query:
            scope["query_string"] = head.query
        scope["headers"] = head.fields[:]
        scope["extensions"] = extensions
        if self._state is not None:
            scope["state"] = self._state.copy()
        return scope

    def websocket_scope(self, duplex: Duplex) -> dict[str, Any]:
        """A fresh scope for one conversation."""
        request = duplex.request
        head = request.head
        endpoints = request.endpoints
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        if endpoints.tls is not None:
            extensions["tls"] = endpoints.tls.copy()
        scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": self._asgi.copy(),
            "http_version": head.version,
            "server": endpoints.server,
            "client": endpoints.client,
            "scheme": _SCHEMES.get(endpoints.scheme, endpoints.scheme),
            "root_path": self._mounted_at,
            "path": path_of(head.raw_path, self._root_path),
            "raw_path": head.raw_path,
            "query_string": head.query,
            "headers": head.fields[:],
            "subprotocols": duplex.subprotocols[:],
            "extensions": extensions,
        }
        if self._state is not None:
            scope["state"] = self._state.copy()
        return scope

    def _template_of(self, endpoints: Endpoints) -> dict[str, Any]:
        """What is the same in all requests of a connection; kept with its endpoints."""
        memo = endpoints.memo
        if memo is not None and memo[0] is self:
            known: dict[str, Any] = memo[1]
            return known
        template = self._template.copy()
        template["http_version"] = HTTP_1_1
        template["server"] = endpoints.server
        template["client"] = endpoints.client
        template["scheme"] = endpoints.scheme
        endpoints.memo = (self, template)
        return template
