"""Kinds of value that say which application answers what: one of several applications, and what an ASGI half is for.

Reads names, never imports or looks for what they name.
"""

from __future__ import annotations

import re
from typing import Any

from torana.config.kinds import InnerError, Kind, many, text
from torana.config.server_kinds import mount_point
from torana.config.spelling import key_of, nearest
from torana.gateway.options import ApplicationOptions, MountOptions

#: A host as it can be asked for: a name, an IPv4 or a bracketed IPv6 address; RFC 1123 section 2.1, and underscores.
_HOST = re.compile(
    r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*|\[[0-9a-f:.]+\]", re.ASCII
)
#: Segments of a path that some readers of a path would take away.
_UNSTEADY = re.compile(r"/(\.{0,2})(?=/|$)")
_WEBSOCKET = "websocket"
#: What a table may say of the application itself, by the names of the settings for a single one.
_SHARED = ("factory", "interface", "app_args", "app_dir", "lifespan", "threads", "asgi_for", "asgi_app")
_KEYS = ("app", "target", "path", "host", "root_path", *_SHARED)


def host_name() -> Kind:
    """The name of a host, kept as it is compared: in lower case, and in ASCII (RFC 5890)."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("")
        name = value.strip().lower().rstrip(".")
        wild = "*." if name.startswith("*.") else ""
        name = name.removeprefix(wild)
        if not name.isascii():
            try:
                name = name.encode("idna").decode("ascii")
            except UnicodeError:
                raise ValueError("it is no name of a host") from None
        if len(name) > 253 or not _HOST.fullmatch(name) or (wild and name.startswith("[")):
            raise ValueError("it has a port" if re.search(r"[^:\]]:[0-9]*$", name) else "")
        return wild + name

    return Kind("host", "the name of a host such as shop.example.org, or *.example.org", read, "HOST")


def place() -> Kind:
    """The path that an application begins at: "" or "/prefix", as people write it, without percent signs."""
    point = mount_point()

    def read(value: Any) -> str:
        path = str(point.read(value))
        _refuse_unsteady(path)
        return path

    return Kind("mount point", point.accepts, read, "PATH", show=point.show)


def asgi_purpose() -> Kind:
    """What the ASGI half of a site answers: WebSockets, or the paths that a pattern matches."""

    def read(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("")
        said = value.strip()
        if said.lower() in (_WEBSOCKET, "websockets"):
            return _WEBSOCKET
        if not re.fullmatch(r"/[^\x00-\x20\x7f?#]*", said):
            raise ValueError("")
        _refuse_unsteady(said.rstrip("/"))
        return said

    return Kind("purpose", "websocket, or a path such as /sse/* or /rooms/*/events", read, "WHAT")


def _refuse_unsteady(path: str) -> None:
    if "%" in path:
        raise ValueError("write the characters themselves, not their percent-encoding")
    if _UNSTEADY.search(path):
        raise ValueError("no request is for a path with empty segments, . or ..")


def application() -> Kind:
    """One of several applications: a table, or "PLACE=APP" where PLACE is a path, a host, or a host and a path."""

    def read(value: Any) -> MountOptions:
        if isinstance(value, dict):
            return _read_table(value)
        if not isinstance(value, str) or "=" not in value:
            raise ValueError("")
        where, _, app = value.partition("=")
        host, slash, path = where.strip().partition("/")
        return _read_table({"app": app.strip(), "path": slash + path} | ({"host": host} if host else {}))

    def show(one: MountOptions) -> str:
        return " ".join(f"{where}={one.application.target}" for where in where_of(one))

    accepts = "PATH=APP, HOST=APP or HOST/PATH=APP, or a table with app and path or host"
    return Kind("application", accepts, read, "PATH=APP", show=show)


def where_of(one: MountOptions) -> list[str]:
    """The places of an application as people write them: "/", "/api", "shop.example.org/api"."""
    return [(host + one.path) or "/" for host in one.hosts or ("",)]


def _read_table(table: dict[str, Any]) -> MountOptions:
    said: dict[str, Any] = {}
    for key, raw in table.items():
        name = key_of(key)
        if name not in _KEYS:
            close = nearest(name, _KEYS)
            hint = f"did you mean {close!r}?" if close else f"there are {', '.join(_KEYS)}"
            raise InnerError(key, f"[[app]] has no key {key!r}; {hint}")
        name = "app" if name == "target" else name
        if name in said:
            raise InnerError(key, "app and target are two words for one thing; say it once")
        said[name] = _read_value(key, name, raw)
    if not said.get("app"):
        raise InnerError("", "[[app]] needs an app, as in 'module:attribute'")
    return _mount(said)


def _mount(said: dict[str, Any]) -> MountOptions:
    path = said.get("path", "")
    root_path = said.get("root_path")
    if root_path and path != root_path and not path.startswith(root_path + "/"):
        raise InnerError("root_path", f"root_path: {root_path!r} is not the beginning of the path {path or '/'!r}")
    return MountOptions(
        ApplicationOptions(
            target=said["app"],
            app_dir=said.get("app_dir"),
            is_factory=said.get("factory", False),
            interface=said.get("interface", "auto"),
            arguments=said.get("app_args", ()),
            asgi_for=said.get("asgi_for", ()),
            asgi_target=said.get("asgi_app", ""),
        ),
        hosts=tuple(dict.fromkeys(said.get("host", ()))),
        path=path,
        root_path=root_path,
        lifespan=said.get("lifespan"),
        threads=said.get("threads"),
    )


def _read_value(key: str, name: str, raw: Any) -> Any:
    kind = _kind_of(name)
    try:
        return kind.read(raw)
    except ValueError as error:
        why = f": {error}" if str(error) else ""
        raise InnerError(key, f"{key}: found {raw!r}{why}; accepted: {kind.accepts}") from None


def _kind_of(name: str) -> Kind:
    if name in ("path", "root_path"):
        return place()
    if name == "host":
        return many(host_name())
    if name == "app":
        return text()
    # As for a single application; only here, since the settings are made of kinds.
    from torana.config.settings import BY_NAME

    return BY_NAME[name].kind
