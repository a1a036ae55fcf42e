"""A request as ASGI's http scope (ASGI HTTP spec 2.5; ``spec.md`` ASGI-HTTP-01 to 26, ASGI-ROOT).

Every container in a scope is fresh, so that nothing an application changes reaches another request.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from torana.exchange.request import Request

SPEC_VERSION = "2.5"


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


def http_scope(request: Request, root_path: str, state: dict[str, Any] | None, is_debug: bool) -> dict[str, Any]:
    """A fresh http scope; ``state`` is the lifespan's namespace, copied, or None when there is none."""
    head = request.head
    endpoints = request.endpoints
    extensions: dict[str, Any] = {
        "http.response.early_hint": {},
        "http.response.pathsend": {},
        "http.response.zerocopysend": {},
    }
    if head.version != "1.0":
        extensions["http.response.trailers"] = {}
    if endpoints.tls is not None:
        extensions["tls"] = dict(endpoints.tls)
    if is_debug:
        extensions["http.response.debug"] = {}
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": SPEC_VERSION},
        "http_version": head.version,
        "server": endpoints.server,
        "client": endpoints.client,
        "scheme": endpoints.scheme,
        "method": head.method,
        "root_path": root_path,
        "path": path_of(head.raw_path, root_path),
        "raw_path": head.raw_path,
        "query_string": head.query,
        "headers": head.fields[:],
        "extensions": extensions,
    }
    if state is not None:
        scope["state"] = state.copy()
    return scope
