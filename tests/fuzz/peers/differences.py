"""Where a peer reads otherwise than we do, and why we stay as we are. Whatever is not listed here is a finding."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fuzz.shapes import http2, websocket
from tests.fuzz.shapes.websocket import COMPRESSED


def _always(data: bytes, message: Any) -> bool:
    return True


@dataclass(frozen=True)
class Difference:
    """``peer`` says something that matches ``says`` where ``when`` holds of the input and of our message."""

    peer: str
    says: str
    reason: str
    when: Callable[[bytes, Any], bool] = _always


#: Of requests, beside those of RTSP.
_LLHTTP_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND "
    b"UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK "
    b"UNLINK SOURCE QUERY".split()
)


def _kinds(data: bytes) -> set[int]:
    """The kinds of the frames in an input of HTTP/2."""
    return {one.kind for one in http2.read(data.removeprefix(http2.PREFACE))}


def _has_control_within_compressed(data: bytes, message: Any) -> bool:
    is_open = False
    for one in websocket.read(data[1:]):
        if one.first & 8:
            if is_open:
                return True
        elif one.first & websocket.FINAL:
            is_open = False
        elif one.first & COMPRESSED:
            is_open = True
    return False


def _ends_stream(data: bytes, message: Any) -> bool:
    """Whether a compressed message holds a last block, as far as its bytes can be followed."""
    reader = zlib.decompressobj(wbits=-15)
    is_compressed = False
    for one in websocket.read(data[1:]):
        if one.first & 8:
            continue
        is_compressed = bool(one.first & COMPRESSED) if one.first & 0x0F else is_compressed
        if is_compressed:
            try:
                reader.decompress(one.payload + (b"\0\0\xff\xff" if one.first & websocket.FINAL else b""), 1 << 20)
            except zlib.error:
                return False
            if reader.eof:
                return True
    return False


def _has_empty_compressed(data: bytes, message: Any) -> bool:
    return any(one.first & COMPRESSED and not one.payload for one in websocket.read(data[1:]))


DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        "h11",
        "no request line received|illegal request line",
        "one empty line ahead of a request is passed over (RFC 9112 section 2.2)",
        lambda data, message: b"\r\n\r\n\r\n" in data or data.startswith(b"\r\n") or b"\n\r\n" in data,
    ),
    Difference(
        "h11",
        "bad Content-Length",
        "more than 20 digits are no other number when the first of them are zeros",
        lambda data, message: any(name == b"content-length" and len(value) > 20 for name, value in message.head[4]),
    ),
    Difference(
        "h11",
        "illegal chunk header",
        "white space around the marks of a chunk extension is to be read, not to be written (RFC 9112 section 7.1.1)",
        lambda data, message: re.search(rb"[0-9a-fA-F][ \t]+;|;[ \t]+|[ \t]+=|=[ \t]+", data) is not None,
    ),
    Difference(
        "httptools",
        "Invalid character in chunk extensions|Invalid character in chunk size",
        "white space around the marks of a chunk extension is to be read, not to be written (RFC 9112 section 7.1.1)",
        lambda data, message: re.search(rb"[0-9a-fA-F][ \t]+;|;[ \t]+|[ \t]+=|=[ \t]+", data) is not None,
    ),
    Difference(
        "httptools",
        "Invalid method encountered|Expected .* after method|Invalid method for HTTP",
        "llhttp knows a list of methods; RFC 9110 section 9.1 lets any token be one",
        lambda data, message: message is not None and message.head[0] not in _LLHTTP_METHODS,
    ),
    Difference(
        "httptools",
        "its reading is over|differs|does not|waits",
        "llhttp stops at a request that asks for an upgrade, before its body; we go on when nobody takes the upgrade",
        lambda data, message: b"upgrade" in data.lower(),
    ),
    Difference(
        "h2",
        "in state ConnectionState.CLOSED",
        "a client's GOAWAY says that it takes no more of our streams; what it opens itself goes on (RFC 9113 6.8)",
        lambda data, message: 7 in _kinds(data),
    ),
    Difference(
        "h2",
        "Setting 8 has invalid value",
        "what a client says of SETTINGS_ENABLE_CONNECT_PROTOCOL has no meaning for a server (RFC 8441 section 3)",
    ),
    Difference(
        "h11",
        "its reading is over",
        "h11 keeps no connection of HTTP/1.0; we do when the client says keep-alive (RFC 9112 section 9.3)",
        lambda data, message: b"HTTP/1.0" in data,
    ),
    Difference(
        "h2",
        "non-compliant data",
        "WINDOW_UPDATE by 0 is an error of its stream, and nothing where that is over (RFC 9113 section 6.9)",
        lambda data, message: 8 in _kinds(data),
    ),
    Difference(
        "h2",
        "Frame data missing|non-compliant data|invalid header",
        "frames of other kinds than RFC 9113's are passed over unread (section 4.1); h2 reads ALTSVC",
        lambda data, message: 10 in _kinds(data),
    ),
    Difference(
        "h2",
        "Frame data missing|non-compliant data",
        "PRIORITY of a wrong length is an error of its stream, and nothing where that is over (RFC 9113 section 6.3)",
        lambda data, message: 2 in _kinds(data),
    ),
    Difference(
        "httptools",
        "invalid `Transfer-Encoding`",
        "white space behind a value is no part of it (RFC 9112 section 5); llhttp keeps it for this field",
        lambda data, message: re.search(rb"(?i)transfer-encoding:[^\r\n]*[ \t]\r\n", data) is not None,
    ),
    Difference(
        "h2",
        "invalid padding",
        "padding may be all of a HEADERS frame behind its length: only more is an error (RFC 9113 section 6.2)",
        lambda data, message: 1 in _kinds(data),
    ),
    Difference(
        "wsproto",
        "error in extension|codec can't decode|differs|one more|waits",
        "a sender may end its compressed stream; the next message begins another (RFC 7692 section 7.2.3.4)",
        _ends_stream,
    ),
    Difference(
        "websockets",
        "decompression failed|not UTF-8|differs|one more|waits|ProtocolError",
        "a sender may end its compressed stream; the next message begins another (RFC 7692 section 7.2.3.4)",
        _ends_stream,
    ),
    Difference(
        "wsproto",
        "unknown reserved code",
        "1012 to 1014 are registered (IANA, WebSocket Close Code Number Registry); wsproto's list is older",
        lambda data, message: message is not None and message.head[1] in (1012, 1013, 1014),
    ),
    Difference(
        "wsproto",
        "error in extension|codec can't decode|differs|one more|waits",
        "wsproto forgets at a control frame between fragments that the message is compressed (RFC 7692 section 6.1)",
        _has_control_within_compressed,
    ),
    Difference(
        "wsproto",
        "error in extension|codec can't decode|differs|one more|waits",
        "a compressed message without a single byte is empty; RFC 7692 section 7.2.3.6 has one byte for it",
        _has_empty_compressed,
    ),
    Difference(
        "websockets",
        "decompression failed|differs|one more|waits|ProtocolError",
        "a compressed message without a single byte is empty; RFC 7692 section 7.2.3.6 has one byte for it",
        _has_empty_compressed,
    ),
)


def is_known(peer: str, says: str, data: bytes, message: Any) -> bool:
    """Whether somebody has thought about this."""
    return any(
        one.peer == peer and re.search(one.says, says) is not None and one.when(data, message) for one in DIFFERENCES
    )
