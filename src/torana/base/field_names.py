"""Field names of requests that most clients send or that a parser must look into: one list for every version of HTTP.

Here: what a name means to a parser, whatever it is found with. Never here: values, which of them a version forbids.
"""

from __future__ import annotations

from torana.base.forwarding import FORWARDING_NAMES, FORWARDING_STEMS

#: What a name means to the parser.
PLAIN = 0
HOST = 1
CONTENT_LENGTH = 2
TRANSFER_ENCODING = 3
CONNECTION = 4
EXPECT = 5
UPGRADE = 6
TE = 7
CONTENT_TYPE = 8
FORWARDING = 9
PROXY = 10

_KINDS = {
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"te": TE,
    b"content-type": CONTENT_TYPE,
    b"proxy": PROXY,
}

#: Names that a proxy sets, besides those that ``forwarding`` lists; all of them are looked at where anybody is trusted.
_RELATED = (
    b"x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-prefix x-forwarded-server "
    b"x-forwarded-by x-forwarded-ssl x-forwarded-scheme x-forwarded-client-cert x-ssl-client-cert x-ssl-client-verify "
    b"x-ssl-client-dn x-original-host x-original-for x-original-proto x-original-url x-rewrite-url x-remote-user "
    b"remote-user"
).split()
_RELATED_STEMS = (b"x-client-", b"ssl-client", b"x-original-")
_STEMS = FORWARDING_STEMS + _RELATED_STEMS

_PLAIN = (
    b"accept accept-charset accept-encoding accept-language access-control-request-headers "
    b"access-control-request-method authorization cache-control cookie date dnt from if-match if-modified-since "
    b"if-none-match if-range if-unmodified-since keep-alive max-forwards origin pragma priority "
    b"proxy-authorization proxy-connection range referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform "
    b"sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-extensions "
    b"sec-websocket-key sec-websocket-protocol sec-websocket-version server-timing traceparent tracestate trailer "
    b"upgrade-insecure-requests user-agent via x-api-key x-csrf-token x-csrftoken x-request-id x-requested-with "
    b"x-correlation-id content-encoding content-language content-disposition idempotency-key last-event-id "
    b"x-http-method-override baggage b3 x-amzn-trace-id x-request-start http2-settings save-data"
).split()

#: What each known name (lower case) means. One with "_" is never asked for: parsers leave such fields out.
KIND_OF: dict[bytes, int] = (
    dict.fromkeys((name for name in (*FORWARDING_NAMES, *_RELATED) if b"_" not in name), FORWARDING)
    | dict.fromkeys(_PLAIN, PLAIN)
    | _KINDS
)

# Compiled, the names above are C variables (field_names.pxd); this keeps them importable from Python.
globals().update(
    PLAIN=PLAIN,
    HOST=HOST,
    CONTENT_LENGTH=CONTENT_LENGTH,
    TRANSFER_ENCODING=TRANSFER_ENCODING,
    CONNECTION=CONNECTION,
    EXPECT=EXPECT,
    UPGRADE=UPGRADE,
    TE=TE,
    CONTENT_TYPE=CONTENT_TYPE,
    FORWARDING=FORWARDING,
    PROXY=PROXY,
)


def is_forwarding(name: bytes) -> bool:
    """Whether an unknown name belongs to those that only a trusted hop may set."""
    return name.startswith(_STEMS)
