"""The part of ``environ`` that is the same for all requests of a connection.

Here: who is at the two ends, TLS facts, and what the server says of itself. Strings are "bytes as latin-1" throughout.
Never here: anything that a request says. PEP 3333 "environ Variables"; RFC 3875 section 4.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torana import __version__
from torana.gateway.wsgi.body import NO_BODY
from torana.gateway.wsgi.file_wrapper import FileWrapper

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints

#: Keys that are no identifiers, for those who set them: found by these very objects.
INPUT = "wsgi.input"
EARLY_HINTS = "wsgi.early_hints"

_TLS_NAMES = {0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", 0x0304: "TLSv1.3"}


def native(text: str) -> str:
    """``text`` as PEP 3333 wants it: its UTF-8 bytes, each one a character of U+0000 to U+00FF."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


class Constants:
    """Makes the template that each request's ``environ`` is copied from."""

    def __init__(
        self,
        errors: Any,
        is_multithread: bool,
        is_multiprocess: bool,
        script_name: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._base: dict[str, Any] = {
            # What each request replaces; they stand here so that the copy has room for them.
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": script_name,
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "REQUEST_URI": "/",
            "RAW_URI": "/",
            "SERVER_PROTOCOL": "HTTP/1.1",
            INPUT: NO_BODY,
            EARLY_HINTS: None,
            # What is the same for all.
            "GATEWAY_INTERFACE": "CGI/1.1",
            "SERVER_SOFTWARE": f"torana/{__version__}",
            "wsgi.version": (1, 0),
            "wsgi.errors": errors,
            "wsgi.multithread": is_multithread,
            "wsgi.multiprocess": is_multiprocess,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
        }
        self._extra = {native(key): native(value) for key, value in (extra or {}).items()}

    def of(self, endpoints: Endpoints) -> dict[str, Any]:
        """The template for requests that come by these ends."""
        environ = dict(self._base)
        environ["wsgi.url_scheme"] = endpoints.scheme
        environ["SERVER_NAME"], environ["SERVER_PORT"] = _server(endpoints)
        # RFC 3875 wants REMOTE_ADDR always, and applications index it; a unix socket has no address to tell.
        environ["REMOTE_ADDR"] = native(endpoints.client[0]) if endpoints.client is not None else ""
        if endpoints.client is not None and endpoints.client[1]:
            environ["REMOTE_PORT"] = str(endpoints.client[1])
        if endpoints.scheme == "https":
            environ["HTTPS"] = "on"
        if endpoints.tls is not None:
            environ.update(_tls(endpoints.tls))
        environ.update(self._extra)
        return environ


def _server(endpoints: Endpoints) -> tuple[str, str]:
    """SERVER_NAME and SERVER_PORT: never empty, also on a unix socket and without a Host field."""
    server = endpoints.server
    if server is not None and server[1] is not None:
        host = native(server[0])
        # An IPv6 address is bracketed, so that a URL can be put together from the two (RFC 3875 section 4.1.14).
        return (f"[{host}]" if ":" in host else host) or "localhost", str(server[1])
    return "localhost", "443" if endpoints.scheme == "https" else "80"


def _tls(tls: Mapping[str, Any]) -> dict[str, str]:
    """SSL_* variables, named as Apache's mod_ssl names them, from the facts of ASGI's tls extension."""
    found: dict[str, str] = {}
    version = tls.get("tls_version")
    if version is not None:
        found["SSL_PROTOCOL"] = _TLS_NAMES.get(version, f"0x{version:04x}")
    chain = tls.get("client_cert_chain") or ()
    error = tls.get("client_cert_error")
    if error:
        found["SSL_CLIENT_VERIFY"] = native(f"FAILED:{error}")
    else:
        found["SSL_CLIENT_VERIFY"] = "SUCCESS" if tls.get("client_cert_name") or chain else "NONE"
    if tls.get("client_cert_name"):
        found["SSL_CLIENT_S_DN"] = native(tls["client_cert_name"])
    for number, certificate in enumerate(chain):
        found["SSL_CLIENT_CERT" if number == 0 else f"SSL_CLIENT_CERT_CHAIN_{number - 1}"] = certificate
    return found


#: What ``Describer`` is given to make templates with.
TemplateOf = Callable[["Endpoints"], dict[str, Any]]
