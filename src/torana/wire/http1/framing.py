"""Which framing a message has: where its body ends (RFC 9112 section 6.3), decided once, by fields alone.

Whatever two readers could understand differently is refused, also where the RFC would let us choose: both
Content-Length and Transfer-Encoding, any of them twice, a Transfer-Encoding that is not just "chunked".
Never here: reading or writing the body.
"""

from __future__ import annotations

from torana.base.headers import tokens
from torana.wire.events import WireError

NO_BODY = 0
LENGTH = 1
CHUNKED = 2
UNTIL_CLOSE = 3

# Compiled, the names above are C variables (framing.pxd); this keeps them importable from Python.
globals().update(NO_BODY=NO_BODY, LENGTH=LENGTH, CHUNKED=CHUNKED, UNTIL_CLOSE=UNTIL_CLOSE)

#: Codings that exist (IANA registry, and what browsers speak) and that we do not undo.
_CODINGS = frozenset((b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress", b"br", b"zstd", b"identity"))


def request_length(minor: int, content_length: int, transfer_encoding: bytes | None) -> int:
    """Length of a request's body: 0 none, -1 chunked. ``content_length`` is -1 when the field is absent.

    Raises ``WireError`` 400 for ambiguous framing, 501 for a transfer coding that we know but do not undo.
    """
    if transfer_encoding is None:
        return content_length if content_length > 0 else 0
    if minor == 0:
        raise WireError(400, "transfer-encoding-1.0")
    if content_length >= 0:
        raise WireError(400, "length-and-coding")
    if transfer_encoding.lower() == b"chunked":
        return -1
    raise _refused(transfer_encoding)


def _refused(transfer_encoding: bytes) -> WireError:
    """Why a Transfer-Encoding that is not "chunked" is refused."""
    codings = tokens(transfer_encoding)
    is_list = len(codings) == transfer_encoding.count(b",") + 1
    known = [coding for coding in codings if coding in _CODINGS]
    if is_list and known and len(known) + codings.count(b"chunked") == len(codings):
        return WireError(501, "unknown-coding")
    return WireError(400, "bad-transfer-encoding")


def response_framing(length: int, has_length: bool, minor: int) -> int:
    """How a response's end is told: ``length`` -2 no body, -1 unknown, else known; ``has_length``: by its fields."""
    if length == -2:
        return NO_BODY
    if length >= 0 or has_length:
        return LENGTH
    return CHUNKED if minor == 1 else UNTIL_CLOSE
