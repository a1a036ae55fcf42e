"""What is legal in an answer and in a conversation, whatever the protocol: two tables, which all others ask (law E).

The rows are the states, the columns what an application can do next. The framing of a protocol has its own table.
"""

from __future__ import annotations

#: Nothing was said yet.
IDLE = 0
#: The head is known and held back, so that a failure can still become a 500.
STARTED = 1
#: The head has been handed to the channel.
SENDING = 2
#: The body is complete, the trailer section is awaited.
TRAILERS = 3
#: The message is complete.
DONE = 4
#: The message was cut: the client is gone, or may not take a part for the whole.
CUT = 5

START = 0
HINT = 1
DATA = 2
LAST_DATA = 3
LAST_DATA_BEFORE_TRAILERS = 4
LAST_TRAILERS = 5

#: The act is an error of the application.
ILLEGAL = 6
#: The act is too late to matter and is passed over (ASGI: messages after completion are ignored).
IGNORED = 7

#: A conversation (WebSocket): the client waits for the answer to its handshake.
CONNECTING = 0
#: The handshake is being refused with an ordinary response.
DENYING = 1
#: Both sides may send.
OPEN = 2
#: Over: closed by either side, refused, or lost.
CLOSED = 3

ACCEPT = 0
DENY = 1
SEND = 2
CLOSE = 3

#: The act is too late; the caller turns it into ``ClientDisconnected``.
GONE = 7

# Compiled, the names above are C variables (states.pxd); this keeps them importable from Python.
globals().update(
    IDLE=IDLE, STARTED=STARTED, SENDING=SENDING, TRAILERS=TRAILERS, DONE=DONE, CUT=CUT,
    START=START, HINT=HINT, DATA=DATA, LAST_DATA=LAST_DATA, LAST_DATA_BEFORE_TRAILERS=LAST_DATA_BEFORE_TRAILERS,
    LAST_TRAILERS=LAST_TRAILERS, ILLEGAL=ILLEGAL, IGNORED=IGNORED,
    CONNECTING=CONNECTING, DENYING=DENYING, OPEN=OPEN, CLOSED=CLOSED,
    ACCEPT=ACCEPT, DENY=DENY, SEND=SEND, CLOSE=CLOSE, GONE=GONE,
)  # fmt: skip

_TABLE = bytes(
    [
        # START    HINT      DATA      LAST_DATA  LAST_DATA_BEFORE_TRAILERS  LAST_TRAILERS
        STARTED, IDLE, ILLEGAL, ILLEGAL, ILLEGAL, ILLEGAL,  # IDLE
        ILLEGAL, STARTED, SENDING, DONE, TRAILERS, ILLEGAL,  # STARTED
        ILLEGAL, IGNORED, SENDING, DONE, TRAILERS, ILLEGAL,  # SENDING
        ILLEGAL, IGNORED, ILLEGAL, ILLEGAL, ILLEGAL, DONE,  # TRAILERS
        IGNORED, IGNORED, IGNORED, IGNORED, IGNORED, IGNORED,  # DONE
        CUT, CUT, CUT, CUT, CUT, CUT,  # CUT: the caller turns this into ClientDisconnected
    ]
)  # fmt: skip
_ROWS = _TABLE


def after(state: int, act: int) -> int:
    """State that ``act`` leads to from ``state``; ILLEGAL or IGNORED where it leads nowhere."""
    return _ROWS[state * 6 + act]


_CONVERSATION = bytes(
    [
        # ACCEPT  DENY     SEND     CLOSE
        OPEN, DENYING, ILLEGAL, CLOSED,  # CONNECTING
        ILLEGAL, DENYING, ILLEGAL, ILLEGAL,  # DENYING
        ILLEGAL, ILLEGAL, OPEN, CLOSED,  # OPEN
        GONE, GONE, GONE, GONE,  # CLOSED
    ]
)  # fmt: skip
_CONVERSATION_ROWS = _CONVERSATION


def after_in_conversation(state: int, act: int) -> int:
    """State of a conversation that ``act`` leads to from ``state``; ILLEGAL or GONE where it leads nowhere."""
    return _CONVERSATION_ROWS[state * 4 + act]
