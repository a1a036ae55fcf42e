"""The phases of an HTTP/1 connection, in the order it goes through them."""

from __future__ import annotations

FRESH = 0  # accepted, no byte yet
HEAD = 1  # within a request head
BODY = 2  # the request body is arriving, or the application holds it up
ANSWER = 3  # the request is complete, the answer is not
IDLE = 4  # between two requests
DISCARD = 5  # the answer is complete, the rest of the body is thrown away
CLOSING = 6  # the last bytes are being written
LINGER = 7  # FIN is sent, what still arrives is thrown away
OVER = 8

# Compiled, the names above are C variables (phases.pxd); this keeps them importable from Python.
globals().update(
    FRESH=FRESH, HEAD=HEAD, BODY=BODY, ANSWER=ANSWER, IDLE=IDLE, DISCARD=DISCARD, CLOSING=CLOSING, LINGER=LINGER,
    OVER=OVER,
)  # fmt: skip
