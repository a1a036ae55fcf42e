"""Memory that others write: a worker's row of the board, the roster. ``process/board``, ``base/roster``."""

from __future__ import annotations

import struct

from tests.fuzz.target import Target, Verdict
from torana.base import board_row as at
from torana.base.roster import ROSTER_BYTES, SLOTS, Roster
from torana.process.board import read_row

_MARK = struct.pack("=Q", at.MARKED)


def _row(data: bytes) -> Verdict:
    row = bytearray(data[: at.ROW_BYTES].ljust(at.ROW_BYTES, b"\0"))
    reading = read_row(memoryview(row), 1000.0)
    assert reading.in_flight >= 0
    assert reading.describe().isprintable()
    assert len(reading.requests) <= at.PLACES
    assert all(one.age_s >= 0.0 for one in reading.requests)
    return repr(reading)


def _roster(data: bytes) -> Verdict:
    memory = bytearray(ROSTER_BYTES)
    memory[: min(len(data), ROSTER_BYTES)] = data[:ROSTER_BYTES]
    roster = Roster(memoryview(memory))
    served = roster.in_service()
    hash_ = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
    found = [roster.find(hash_, minute) for minute in (0, 5000)]
    assert all(-1 <= slot < SLOTS for slot in found)
    roster.learn(hash_, 7, 3)
    assert roster.find(hash_, 4) == 7
    return served[:50], found


def _run(data: bytes) -> Verdict:
    return _row(data), _roster(data)


def _place(number: int, state: int, since: float, text: bytes) -> bytes:
    start = 8 * (at.FIRST_PLACE + number * at.PLACE_WORDS)
    head = struct.pack("=6Q", at.MARKED, 5, 9, 7, 0, 3)
    return head + bytes(start - len(head)) + struct.pack("=Qd", state, since) + text


MEMORY = Target(
    "shared-memory",
    _run,
    (
        (_MARK, struct.pack("=5Q", 1, 2, 3, 4, 5)),
        (_place(0, 20, 990.0, b"GET /a"),),
        (_place(3, 1 << 63, float("nan"), b"\x1b[31m" * 30),),
        (_place(23, 113, -1e300, b"\xff" * 112),),
        (_MARK, b"\xff" * 4088),
        (_MARK, struct.pack("=Q", 3), struct.pack("=Q", 1) * 20),
    ),
    (_MARK, b"\xff" * 8, b"\0" * 8, struct.pack("=d", float("inf")), struct.pack("=Q", 1)),
    share=100,
)
