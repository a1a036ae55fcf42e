"""One request as ``environ``: a copy of its connection's template, and what the request itself says.

Field names become keys by one table that is learnt and bounded, for clients may send any names. Only HTTP_*,
CONTENT_TYPE and CONTENT_LENGTH can come out of it (G-075). Never here: bodies, threads, what the answer may be.
PEP 3333 "environ Variables"; RFC 3875 section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from torana.base.field_names import KIND_OF
from torana.gateway.wsgi.constants import TemplateOf, native
from torana.wire.events import HTTP_1_1, WireError

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints
    from torana.exchange.request import Request
    from torana.wire.events import Fields

#: Names learnt beyond the known ones, and the longest that is worth it; when it is full all are forgotten.
_MOST_LEARNT = 256
_LONGEST_LEARNT = 64

#: Fields of the connection, or unsafe to pass on (``Proxy`` would become the HTTP_PROXY of CGI programs): no key.
_DROPPED = (
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"proxy",
)  # fmt: skip


def key_of(name: bytes) -> str:
    """The key of a field name in lower case; "" for a field that has no place in ``environ``."""
    if name in _DROPPED or b"_" in name or b"." in name:
        return ""
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


#: By the very objects that parsers make fields of: these are found without a look at their bytes.
_KEYS = {name: key_of(name) for name in KIND_OF}


class Describer:
    """Makes ``environ`` for one application's gateway. Used by many threads at once."""

    def __init__(self, template_of: TemplateOf, root_path: str, mount: str = "") -> None:
        """``mount``: what follows ``root_path`` in each path and belongs to the mount point (several applications)."""
        self._template_of = template_of
        self._root = native(root_path)
        self._mounted = native(mount)
        self._is_mounted = bool(root_path or mount)
        self._keys = dict(_KEYS)

    def environ(self, request: Request, body_bytes: int) -> dict[str, Any]:
        """A new dict, all but ``wsgi.early_hints``, and ``wsgi.input`` where there is a body.

        ``body_bytes``: size of the complete body, told as CONTENT_LENGTH; -1 leaves what the client said.
        Raises ``WireError`` for a request that no application can be told of without a doubt.
        """
        head = request.head
        environ = self._template(request.endpoints).copy()
        target = head.target
        raw_path = head.raw_path
        uri = target.decode("latin-1")
        path = uri
        if raw_path != target:
            path = raw_path.decode("latin-1")
        if 37 in raw_path:  # "%"
            path = unquote_to_bytes(raw_path).decode("latin-1")
        if head.method != "GET":
            environ["REQUEST_METHOD"] = head.method
        environ["PATH_INFO"] = path
        environ["REQUEST_URI"] = uri
        environ["RAW_URI"] = uri
        if head.query:
            environ["QUERY_STRING"] = head.query.decode("latin-1")
        if head.version != HTTP_1_1:
            environ["SERVER_PROTOCOL"] = "HTTP/" + head.version
        if self._is_mounted:
            environ["PATH_INFO"] = _below(_below(path, self._root), self._mounted)
        self._put_fields(environ, head.fields)
        if body_bytes >= 0:
            environ["CONTENT_LENGTH"] = str(body_bytes)
        return environ

    def _template(self, endpoints: Endpoints) -> dict[str, Any]:
        """Kept with the endpoints: most connections carry many requests."""
        memo = endpoints.memo
        if memo is not None and memo[0] is self:
            template: dict[str, Any] = memo[1]
            return template
        template = self._template_of(endpoints)
        endpoints.memo = (self, template)
        return template

    def _put_fields(self, environ: dict[str, Any], fields: Fields) -> None:
        keys = self._keys
        for name, value in fields:
            key = keys.get(name)
            if key is None:
                key = self._learn(name)
            if not key:
                continue
            text = value.decode("latin-1")
            count = len(environ)
            held = environ.setdefault(key, text)
            # As many keys as before: the field stood there already.
            if len(environ) == count:
                environ[key] = self._joined(key, held, text)

    def _joined(self, key: str, held: str, text: str) -> str:
        """Both lines of a repeated field as one value, in order (RFC 9110 section 5.3; cookies: RFC 9113 8.2.3)."""
        if key == "HTTP_COOKIE":
            return held + "; " + text
        if key == "CONTENT_LENGTH":
            return held
        if key == "CONTENT_TYPE":
            raise WireError(400, "two content-type fields")
        return held + "," + text

    def _learn(self, name: bytes) -> str:
        key = key_of(name)
        if len(name) <= _LONGEST_LEARNT:
            if len(self._keys) >= len(_KEYS) + _MOST_LEARNT:
                self._keys = dict(_KEYS)
            self._keys[name] = key
        return key


def _below(path: str, mount: str) -> str:
    """What follows the mount point; a path without it was cut by the proxy already."""
    if mount and path.startswith(mount):
        rest = path[len(mount) :]
        if not rest or rest.startswith("/"):
            return rest
    return path
