"""Which fields may never come in a trailer section, in any version of HTTP (RFC 9110 section 6.5.1).

A trailer arrives after the head was acted on: nothing that frames, routes, authenticates, conditions or describes
the message, or says who the client is, may come so late. Asked for requests and for responses.
"""

from __future__ import annotations

_NAMES = frozenset(
    b"host connection keep-alive proxy-connection te trailer transfer-encoding upgrade http2-settings "
    b"accept accept-charset accept-encoding accept-language age allow authorization authentication-info "
    b"proxy-authorization proxy-authenticate proxy-authentication-info www-authenticate cache-control cookie "
    b"set-cookie date expect expires forwarded from if-match if-modified-since if-none-match if-range "
    b"if-unmodified-since location max-forwards origin pragma proxy range referer retry-after server "
    b"user-agent vary via warning remote-user".split()
)
_PREFIXES = (b"content-", b"x-forwarded-", b"x-real-ip", b"x-client-", b"x-cluster-client-ip", b"true-client-ip",
             b"cf-connecting-ip", b"fastly-client-ip", b"client-cert", b"x-ssl-client", b"ssl-client", b"x-remote-user",
             b"x-original-", b"x-rewrite-url", b"x-http-method-override", b"sec-", b"access-control-")  # fmt: skip


def is_forbidden_trailer(name: bytes) -> bool:
    """Whether ``name`` (lower case) may not stand in a trailer section; "_" and "." never may (threat G-075)."""
    return name in _NAMES or name.startswith(_PREFIXES) or b"_" in name or b"." in name
