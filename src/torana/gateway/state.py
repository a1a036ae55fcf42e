"""Which applications keep in memory what their clients come back for, so that a client must find the same worker again.

Looks at what is inside an application: sticky parts are mounted and wrapped. Never here: how many workers there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torana.base.worker_policy import POLICIES, STICKY
from torana.gateway import keeping
from torana.gateway.keeping import NOTHING, Keeping
from torana.gateway.kinds import is_of
from torana.gateway.shape import attribute

_JUPYTER = frozenset({("jupyter_server.serverapp", "ServerWebApplication"), ("jupyter_server.serverapp", "ServerApp")})
_PRODUCTS = (
    (_JUPYTER, keeping.JUPYTER),
    (frozenset({("streamlit.web.server.starlette.starlette_app", "App")}), keeping.STREAMLIT),
    (frozenset({("gradio.routes", "App"), ("gradio.blocks", "Blocks")}), keeping.GRADIO),
    (
        frozenset({("bokeh.server.tornado", "BokehTornado"), ("bokeh.application.application", "Application")}),
        keeping.BOKEH,
    ),
    (frozenset({("panel.viewable", "ServableMixin")}), keeping.PANEL),
)
_ENGINES = frozenset({("engineio.async_drivers.asgi", "ASGIApp"), ("engineio.middleware", "WSGIApp")})
_MCP = frozenset({
    ("mcp.server.streamable_http_manager", "StreamableHTTPASGIApp"),
    ("mcp.server.fastmcp.server", "StreamableHTTPASGIApp"),
    ("mcp.server.sse", "SseServerTransport"),
})  # fmt: skip

#: Under which names a wrapper keeps what it wraps, and a router what it routes to.
_INSIDE = ("app", "application", "asgi_app", "wsgi_app", "other_asgi_app", "_app", "inner", "asgi", "endpoint")
_ROUTES = ("routes", "_routes")
_PLAIN = (str, bytes, int, float, bool, type(None))
_MOST = 500


def keeping_of(application: Any) -> Keeping:
    """What an application keeps in memory; it may say so itself (``__torana_workers__``: "any", "sticky", "single")."""
    for each in within(application):
        told = attribute(each, "__torana_workers__")
        if isinstance(told, str) and told in POLICIES:
            return Keeping(told, f"says so (__torana_workers__ = {told!r})")
        for names, kept in _PRODUCTS:
            if is_of(each, names):
                return kept
        if is_of(each, _ENGINES) and not _is_spread(each):
            return Keeping(STICKY, "keeps Socket.IO's sessions in memory")
        if is_of(each, _MCP) and not attribute(attribute(each, "session_manager"), "stateless"):
            return Keeping(STICKY, "keeps MCP's sessions in memory")
    return NOTHING


def _is_spread(app: Any) -> bool:
    """Whether Socket.IO does without: each session is one WebSocket, and a broker carries what concerns others."""
    server = attribute(app, "engineio_server") or attribute(app, "engineio_app")
    engine = attribute(server, "eio") or server
    transports = attribute(engine, "transports")
    manager = type(attribute(server, "manager")).__mro__
    has_broker = any(base.__name__ in ("PubSubManager", "AsyncPubSubManager") for base in manager)
    return isinstance(transports, list) and transports == ["websocket"] and has_broker


def within(application: Any) -> Iterator[Any]:
    """An application, and what it wraps and mounts; looks only at what objects hold, asks nothing of them."""
    waiting = [application]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        each = waiting.pop(0)
        if id(each) in seen or type(each) in _PLAIN:
            continue
        seen.add(id(each))
        yield each
        waiting += _held(each)


def _held(each: Any) -> list[Any]:
    found: list[Any] = []
    # Partials keep theirs in "func", bound methods in "__self__": FastAPI's routes end in functions, wrappers in these.
    for name in ("func", "__self__"):
        value = getattr(each, name, None) if type(each).__name__ in ("partial", "method") else None
        found += [value] if value is not None else []
    held = _variables(each)
    if not isinstance(held, dict):
        return found
    for name in _INSIDE:
        if name in held:
            found.append(held[name])
    for name in _ROUTES:
        routes = held.get(name)
        if isinstance(routes, list):
            found += routes[:_MOST]
    for name in ("router", "application_mapping"):
        inner = held.get(name)
        found += list(inner.values()) if isinstance(inner, dict) else [inner] if inner is not None else []
    return found


def _variables(each: Any) -> Any:
    try:
        return object.__getattribute__(each, "__dict__")
    except AttributeError:
        return None
