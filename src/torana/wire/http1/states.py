"""What is legal on an HTTP/1 connection, and when: the one table that the other rooms ask (law E).

A connection carries cycles, one after another: one request read, one response written.

    reading   IDLE ──first byte──> HEAD ──head──> BODY ──end──> READ ──next cycle──> IDLE
                                     └──head without body────────┘
              any ──WireError, peer's FIN, upgrade──> ENDED   (no byte is parsed any more: invariant I2)

    writing   SILENT ──final head──> STARTED ──end──> WRITTEN ──next cycle──> SILENT
              1xx heads do not leave SILENT.

Reading and writing advance independently: a response may start, even end, before the request was read.
Never here: bytes. RFC 9112 sections 6 and 9; RFC 9110 sections 10.1.1 and 15.2.
"""

from __future__ import annotations

IDLE = 0
HEAD = 1
BODY = 2
READ = 3
ENDED = 4

SILENT = 0
STARTED = 1
WRITTEN = 2

# Compiled, the names above are C variables (states.pxd); this keeps them importable from Python.
globals().update(
    IDLE=IDLE, HEAD=HEAD, BODY=BODY, READ=READ, ENDED=ENDED, SILENT=SILENT, STARTED=STARTED, WRITTEN=WRITTEN
)


class LegalityError(RuntimeError):
    """Our own side asked for what the protocol does not allow now; always a bug above, never the peer's doing."""


def can_parse_head(reading: int) -> bool:
    """Whether the next bytes belong to a request head."""
    return reading == IDLE or reading == HEAD


def can_begin_next(reading: int, writing: int, keep_alive: bool) -> bool:
    """Whether this cycle is over and another may follow: nothing of either message may be left."""
    return keep_alive and reading == READ and writing == WRITTEN


def can_send_head(writing: int) -> bool:
    """Whether the final head may be written; also true after a WireError, whose answer has no request."""
    return writing == SILENT


def can_send_data(writing: int) -> bool:
    """Whether body data, trailers or the end of the response may be written."""
    return writing == STARTED


def can_inform(reading: int, writing: int, minor: int) -> bool:
    """Whether an interim response may be written: to HTTP/1.1, about a request, ahead of the final head."""
    return minor == 1 and writing == SILENT and (reading == BODY or reading == READ)


def can_hand_over(reading: int, writing: int) -> bool:
    """Whether the bytes behind the request may go to another protocol: only behind a request that is fully read."""
    return reading == READ
