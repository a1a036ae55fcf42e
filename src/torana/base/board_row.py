"""How one worker's row of the board is laid out; ``serve/ledger`` writes it, ``process/board`` reads it.

A row is an array of 64-bit words. First the counters, each with one writer; then a table of requests in flight, a
place of 16 words each: its state (0 free, otherwise 1 + bytes of text), when it began (a double, monotonic seconds),
and the text. Never here: memory, reading, writing.
"""

from __future__ import annotations

ROW_BYTES = 4096
ROW_WORDS = 512

# Counters, by word
MARK = 0  # MARKED once the worker serves
BEAT = 1  # grows while the worker's loop turns
BEGUN = 2  # requests begun in all
ENDED = 3  # requests over in all
QUEUE = 4  # requests that wait for a thread
CONNECTIONS = 5
HELD = 6  # bytes held for clients

#: What ``MARK`` holds; whatever else stands there, nobody serves.
MARKED = 0x746F72616E613031

PLACES = 24
FIRST_PLACE = 128
PLACE_WORDS = 16
#: Words of a place, counted from its own beginning.
STATE = 0
SINCE = 1
TEXT = 2
METHOD_BYTES = 16
TEXT_BYTES = 112

# Compiled, the names above are C variables (board_row.pxd); this keeps them importable from Python.
globals().update(
    ROW_BYTES=ROW_BYTES, ROW_WORDS=ROW_WORDS, MARK=MARK, BEAT=BEAT, BEGUN=BEGUN, ENDED=ENDED, QUEUE=QUEUE,
    CONNECTIONS=CONNECTIONS, HELD=HELD, MARKED=MARKED, PLACES=PLACES, FIRST_PLACE=FIRST_PLACE,
    PLACE_WORDS=PLACE_WORDS, STATE=STATE, SINCE=SINCE, TEXT=TEXT, METHOD_BYTES=METHOD_BYTES, TEXT_BYTES=TEXT_BYTES,
)  # fmt: skip
