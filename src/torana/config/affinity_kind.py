"""The kind of value that says what keeps a session with its worker, and the presets for applications that need it."""

from __future__ import annotations

import re
from typing import Any

from torana.config.kinds import Kind
from torana.serve.options import SessionKey

#: What our own cookie is called.
_COOKIE = "torana_worker"
#: RFC 9110 section 5.6.2, and for a query what needs no escape.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", re.ASCII)
_QUERY = re.compile(r"[0-9A-Za-z_.~-]{1,100}", re.ASCII)

#: A browser has the cookie; whoever keeps none, or is in a frame of another site, is known by its address.
_BROWSER = (SessionKey("cookie", _COOKIE), SessionKey("client", spares_pages=True))

#: By name: where the sessions of these are to be found.
PRESETS: dict[str, tuple[SessionKey, ...]] = {
    # Engine.IO names its sessions itself, in the answer to the first poll ("0{"sid":"..."), with or without quotes
    # that are escaped (JSONP); a WebSocket that follows names it too.
    "socketio": (SessionKey("query", "sid", learned_by=r'\\?"sid\\?":\\?"([0-9A-Za-z_-]{8,64})\\?"'),),
    # Streamable HTTP in a field; the older transport in the first event of its stream.
    "mcp": (
        SessionKey("header", "mcp-session-id"),
        SessionKey("query", "session_id", learned_by=r"[?&]session_id=([0-9A-Za-z-]{8,64})"),
    ),
    "streamlit": _BROWSER,
    "gradio": _BROWSER,
}


def affinity() -> Kind:
    """``cookie``, ``header:NAME``, ``query:NAME``, ``client``, or the name of a preset; "off" is an empty tuple."""

    def read(value: Any) -> tuple[SessionKey, ...]:
        if value is False or value == "off":
            return ()
        if not isinstance(value, str):
            raise ValueError("")
        if value in PRESETS:
            return PRESETS[value]
        kind, colon, name = value.partition(":")
        if kind == "client" and not colon:
            return (SessionKey("client"),)
        if kind == "cookie" and (not colon or _TOKEN.fullmatch(name)):
            return (SessionKey("cookie", name or _COOKIE),)
        if kind == "header" and _TOKEN.fullmatch(name):
            return (SessionKey("header", name.lower()),)
        if kind == "query" and _QUERY.fullmatch(name):
            return (SessionKey("query", name),)
        raise ValueError("")

    accepts = f"off, cookie[:NAME], header:NAME, query:NAME, client, {', '.join(PRESETS)}"
    return Kind("affinity", accepts, read, "KEY", show=shown)


def shown(keys: tuple[SessionKey, ...]) -> str:
    """What is looked for, in order."""
    return ", else ".join(key.describe() for key in keys) or "off"
