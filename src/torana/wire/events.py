"""Events that every wire protocol speaks: heads in, and the marks that a protocol gives instead of an event.

Body data needs no wrapper: it travels as plain ``bytes``.
Never here: parsing, serialising, or anything that only one protocol knows.
"""

from __future__ import annotations

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

Fields = list[tuple[bytes, bytes]]

#: The versions of HTTP, as heads have them: to compare these very objects takes no look at their characters.
HTTP_1_0 = "1.0"
HTTP_1_1 = "1.1"
HTTP_2 = "2"


@cython.freelist(64)
@cython.cclass
class RequestHead:
    """A request's control data and header section (RFC 9110 section 6.2, 6.3), already judged legal."""

    # Plain attributes, typed in events.pxd; the parser fills them in place.
    def __init__(self) -> None:
        #: Method, a token, as received ("GET").
        self.method: str = "GET"
        #: Request target exactly as received.
        self.target: bytes = b"/"
        #: Path component of the target, still percent-encoded, without query; b"*" for OPTIONS *.
        self.raw_path: bytes = b"/"
        #: Query component, without "?"; b"" when absent.
        self.query: bytes = b""
        #: Header fields in received order, names lower-cased, values without surrounding whitespace.
        #: ``host`` already holds the authority of an absolute-form target (RFC 9112 section 3.2.2).
        self.fields: Fields = []
        #: ``HTTP_1_0``, ``HTTP_1_1`` or ``HTTP_2``.
        self.version: str = HTTP_1_1
        #: Declared body length; 0 when there is no body, -1 when only the end of the body tells.
        self.content_length: int = 0
        #: The client waits for 100 (Continue) before it sends the body.
        self.expects_continue: bool = False
        #: The connection may carry another request after this one, as far as the client is concerned.
        self.keep_alive: bool = True
        #: What the client wants to go on with: in HTTP/1.1 the value of the Upgrade field when Connection lists
        #: "upgrade", in HTTP/2 that of ``:protocol`` (RFC 8441); else None.
        self.upgrade: bytes | None = None
        #: The client said "TE: trailers": it will keep trailer fields.
        self.takes_trailers: bool = False
        #: At least one field that a proxy would set (Forwarded, X-Forwarded-*, X-Real-IP, ...) is present.
        self.has_forwarding: bool = False

    @property
    def has_body(self) -> bool:
        """Whether body data may follow."""
        return self.content_length != 0


class EndOfBody:
    """The request's body is complete; trailer fields, if any, were legal (RFC 9110 section 6.5)."""

    def __init__(self, trailers: Fields) -> None:
        self.trailers = trailers


class Mark:
    """What ``next()`` gives when there is no event; compared by identity."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


#: More bytes are needed for the next event.
NEED_DATA = Mark("NEED_DATA")
#: The request is complete; the next one is not looked at before ``next_cycle()``.
PAUSED = Mark("PAUSED")
#: Nothing more will be read from this peer.
CLOSED = Mark("CLOSED")


class WireError(Exception):
    """The peer broke the protocol or a bound; nothing after it is parsed (RFC 9112 section 2.2).

    ``status`` is the answer it deserves, ``reason`` a short stable word for counters and the log
    (never bytes of the peer), ``setting`` the name of the setting that would have allowed it, or "".
    """

    def __init__(self, status: int, reason: str, setting: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.setting = setting
