"""A byte stream of any length that both ends can make and check piece by piece, without holding it.

Its period is a little under 1 MiB, so that a lost, doubled or swapped piece shows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

PIECE_BYTES = 1024 * 1024
PERIOD_BYTES = PIECE_BYTES - 3
PATTERN = random.Random(20).randbytes(PERIOD_BYTES)
DOUBLED = PATTERN + PATTERN + PATTERN[:16]


def pieces(total_bytes: int) -> Iterator[bytes]:
    """The stream's first `total_bytes` in pieces of 1 MiB."""
    for at in range(0, total_bytes, PIECE_BYTES):
        start = at % PERIOD_BYTES
        yield DOUBLED[start : start + min(PIECE_BYTES, total_bytes - at)]


class Checker:
    """Counts what it is fed, and sees whether it is the stream."""

    def __init__(self) -> None:
        self.count = 0
        self.is_sound = True

    def feed(self, data: bytes) -> None:
        """Add data."""
        for at in range(0, len(data), PIECE_BYTES):
            part = data[at : at + PIECE_BYTES]
            start = self.count % PERIOD_BYTES
            self.is_sound = self.is_sound and part == DOUBLED[start : start + len(part)]
            self.count += len(part)
