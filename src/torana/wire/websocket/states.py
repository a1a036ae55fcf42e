"""What is legal on a WebSocket connection, and when: the one table that the other rooms ask (law E).

The connection             OPEN ──our close frame──> CLOSING ──the client's──> OVER
                             └──the client's (ours answers it), failure──────────┘

The message being read     BETWEEN ──first frame, not final──> IN_TEXT or IN_BINARY ──final frame──> BETWEEN
Control frames stand between any two others, and are never fragmented.

Never here: bytes beyond a frame's first. RFC 6455 sections 5.4, 5.5, 7; RFC 7692 section 6.
"""

from __future__ import annotations

OPEN = 0
CLOSING = 1
OVER = 2

CLOSE_SENT = 0
CLOSE_RECEIVED = 1
FAILED = 2

BETWEEN = 0
IN_TEXT = 1
IN_BINARY = 2

OP_CONTINUATION = 0x0
OP_TEXT = 0x1
OP_BINARY = 0x2
OP_CLOSE = 0x8
OP_PING = 0x9
OP_PONG = 0xA

FINAL = 0x80
#: The first frame of a compressed message has this bit (RFC 7692 section 6).
COMPRESSED = 0x40

#: What ``judge`` finds.
DATA_FRAME = 0
CONTROL_FRAME = 1
RESERVED_BIT = 2
UNKNOWN_OPCODE = 3
FRAGMENTED_CONTROL = 4
STRAY_CONTINUATION = 5
INTERRUPTED_MESSAGE = 6

# Compiled, the names above are C variables (states.pxd); this keeps them importable from Python.
globals().update(
    OPEN=OPEN, CLOSING=CLOSING, OVER=OVER, CLOSE_SENT=CLOSE_SENT, CLOSE_RECEIVED=CLOSE_RECEIVED, FAILED=FAILED,
    BETWEEN=BETWEEN, IN_TEXT=IN_TEXT, IN_BINARY=IN_BINARY,
    OP_CONTINUATION=OP_CONTINUATION, OP_TEXT=OP_TEXT, OP_BINARY=OP_BINARY, OP_CLOSE=OP_CLOSE, OP_PING=OP_PING,
    OP_PONG=OP_PONG, FINAL=FINAL, COMPRESSED=COMPRESSED,
    DATA_FRAME=DATA_FRAME, CONTROL_FRAME=CONTROL_FRAME, RESERVED_BIT=RESERVED_BIT, UNKNOWN_OPCODE=UNKNOWN_OPCODE,
    FRAGMENTED_CONTROL=FRAGMENTED_CONTROL, STRAY_CONTINUATION=STRAY_CONTINUATION,
    INTERRUPTED_MESSAGE=INTERRUPTED_MESSAGE,
)  # fmt: skip


class LegalityError(RuntimeError):
    """Our own side asked for what the protocol does not allow now; always a bug above, never the peer's doing."""


_TABLE = bytes(
    [
        # CLOSE_SENT  CLOSE_RECEIVED  FAILED
        CLOSING, OVER, OVER,  # OPEN
        CLOSING, OVER, OVER,  # CLOSING
        OVER, OVER, OVER,  # OVER
    ]
)  # fmt: skip
_ROWS = _TABLE


def after(state: int, act: int) -> int:
    """State of the connection that ``act`` leads to from ``state``."""
    return _ROWS[state * 3 + act]


def can_send(state: int) -> bool:
    """Whether a frame of ours may still be sent; none may follow the close frame."""
    return state == OPEN


def _verdict(message: int, has_deflate: bool, first: int) -> int:
    """What ``judge`` is to find; it only looks the answer up."""
    opcode = first & 0x0F
    is_control = opcode >= OP_CLOSE
    is_start = opcode == OP_TEXT or opcode == OP_BINARY
    if not is_start and opcode not in {OP_CONTINUATION, OP_CLOSE, OP_PING, OP_PONG}:
        return UNKNOWN_OPCODE
    if first & 0x30 or (first & COMPRESSED and not (has_deflate and is_start)):
        return RESERVED_BIT
    if is_control:
        return CONTROL_FRAME if first & FINAL else FRAGMENTED_CONTROL
    if is_start and message != BETWEEN:
        return INTERRUPTED_MESSAGE
    if not is_start and message == BETWEEN:
        return STRAY_CONTINUATION
    return DATA_FRAME


_VERDICTS = bytes(
    _verdict(message, has_deflate, first)
    for message in range(3)
    for has_deflate in (False, True)
    for first in range(256)
)
_FRAMES = _VERDICTS


def judge(message: int, has_deflate: bool, first: int) -> int:
    """Whether a frame that begins with the byte ``first`` may stand here: its kind, or what is wrong with it."""
    return _FRAMES[(message * 2 + has_deflate) * 256 + first]


_COMPLAINTS = {
    RESERVED_BIT: "reserved-bit",
    UNKNOWN_OPCODE: "unknown-opcode",
    FRAGMENTED_CONTROL: "fragmented-control-frame",
    STRAY_CONTINUATION: "stray-continuation",
    INTERRUPTED_MESSAGE: "interrupted-message",
}


def complaint(verdict: int) -> str:
    """The word for what ``judge`` found wrong."""
    return _COMPLAINTS[verdict]


def message_after(message: int, first: int) -> int:
    """State of the message being read, once the head of a legal data frame has been read."""
    if first & FINAL:
        return BETWEEN
    opcode = first & 0x0F
    return message if opcode == OP_CONTINUATION else opcode


def is_close_code(code: int) -> bool:
    """Whether ``code`` may stand in a close frame, either way (RFC 6455 section 7.4; IANA has 1012 to 1014 since)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
