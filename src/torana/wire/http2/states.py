"""What is legal on an HTTP/2 connection, and when: the one table that the other rooms ask (law E).

A stream, seen from here (RFC 9113 section 5.1; nobody reserves streams with us, so those states are not):

                     HEADERS
              IDLE ──────────> OPEN ──their END_STREAM──> REMOTE_DONE ──our END_STREAM──┐
                                 └────our END_STREAM────> LOCAL_DONE ──their END_STREAM─┴─> CLOSED
              any live state ──their RST_STREAM──> RESET_BY_PEER      ──ours──> RESET_BY_US
              FORGOTTEN: closed so long ago (or skipped) that nobody knows how.

Its answer:   SILENT ──final head──> STARTED ──end──> WRITTEN          (what is queued counts as written)

The connection: PREFACE ──24 bytes──> SETTINGS ──first frame──> TALKING;  any ──connection error, end──> ENDED

Never here: bytes, windows, budgets.
"""

from __future__ import annotations

IDLE = 0
OPEN = 1
REMOTE_DONE = 2
LOCAL_DONE = 3
CLOSED = 4
RESET_BY_PEER = 5
RESET_BY_US = 6
FORGOTTEN = 7

SILENT = 0
STARTED = 1
WRITTEN = 2

PREFACE = 0
SETTINGS = 1
TALKING = 2
ENDED = 3

#: Verdicts on a frame: take it; process the least and drop it; RST_STREAM(STREAM_CLOSED); GOAWAY(STREAM_CLOSED);
#: GOAWAY(PROTOCOL_ERROR).
TAKE = 0
DROP = 1
STREAM_ERROR = 2
CLOSED_ERROR = 3
UNEXPECTED = 4

# Compiled, the names above are C variables (states.pxd); this keeps them importable from Python.
globals().update(
    IDLE=IDLE, OPEN=OPEN, REMOTE_DONE=REMOTE_DONE, LOCAL_DONE=LOCAL_DONE, CLOSED=CLOSED,
    RESET_BY_PEER=RESET_BY_PEER, RESET_BY_US=RESET_BY_US, FORGOTTEN=FORGOTTEN,
    SILENT=SILENT, STARTED=STARTED, WRITTEN=WRITTEN,
    PREFACE=PREFACE, SETTINGS=SETTINGS, TALKING=TALKING, ENDED=ENDED,
    TAKE=TAKE, DROP=DROP, STREAM_ERROR=STREAM_ERROR, CLOSED_ERROR=CLOSED_ERROR, UNEXPECTED=UNEXPECTED,
)  # fmt: skip

#: Columns: the frame's type is the index (DATA 0, HEADERS 1, PRIORITY 2, RST_STREAM 3), WINDOW_UPDATE comes last.
_FRAMES = bytes(
    [
        # DATA        HEADERS       PRIORITY RST_STREAM  WINDOW_UPDATE
        UNEXPECTED,   TAKE,         TAKE,    UNEXPECTED, UNEXPECTED,  # IDLE
        TAKE,         TAKE,         TAKE,    TAKE,       TAKE,  # OPEN
        STREAM_ERROR, STREAM_ERROR, TAKE,    TAKE,       TAKE,  # REMOTE_DONE
        TAKE,         TAKE,         TAKE,    TAKE,       TAKE,  # LOCAL_DONE
        CLOSED_ERROR, CLOSED_ERROR, DROP,    DROP,       DROP,  # CLOSED
        STREAM_ERROR, STREAM_ERROR, DROP,    DROP,       DROP,  # RESET_BY_PEER
        DROP,         DROP,         DROP,    DROP,       DROP,  # RESET_BY_US
        DROP,         UNEXPECTED,   DROP,    DROP,       DROP,  # FORGOTTEN
    ]
)  # fmt: skip
_FRAME_ROWS = _FRAMES

_ENDS = bytes(
    [
        # theirs      ours
        REMOTE_DONE,  LOCAL_DONE,  # IDLE: the head itself may be the end
        REMOTE_DONE,  LOCAL_DONE,  # OPEN
        REMOTE_DONE,  CLOSED,  # REMOTE_DONE
        CLOSED,       LOCAL_DONE,  # LOCAL_DONE
    ]
)  # fmt: skip
_END_ROWS = _ENDS


class LegalityError(RuntimeError):
    """Our own side asked for what the protocol does not allow now; always a bug above, never the peer's doing."""


def verdict(state: int, frame: int) -> int:
    """What becomes of a frame of type ``frame`` (4: WINDOW_UPDATE) on a stream in ``state``."""
    return _FRAME_ROWS[state * 5 + frame]


def after_their_end(state: int) -> int:
    """The live state that the client's END_STREAM leads to."""
    return _END_ROWS[state * 2]


def after_our_end(state: int) -> int:
    """The live state that our END_STREAM leads to."""
    return _END_ROWS[state * 2 + 1]


def is_dead(state: int) -> bool:
    """Whether nothing can be sent or received on the stream any more."""
    return state >= CLOSED


def is_reset(state: int) -> bool:
    """Whether the stream was cut, by either side."""
    return state == RESET_BY_PEER or state == RESET_BY_US


def is_receiving(state: int) -> bool:
    """Whether the client may still send DATA."""
    return state == OPEN or state == LOCAL_DONE


def can_send_head(sending: int) -> bool:
    """Whether the final head, or an interim one, may be written."""
    return sending == SILENT


def can_send_data(sending: int) -> bool:
    """Whether body data, trailers or the end may be written."""
    return sending == STARTED
