"""The content that site and clients agree on, so that each byte can be checked wherever it went.

Lives here: bytes by size, and what compares them. Never here: a socket.
"""

from __future__ import annotations

import random

#: Random, hence neither compressible nor equal to itself at another place.
PATTERN = random.Random(6).randbytes(1 << 18)
PIECE_BYTES = 16384


def content(size: int, start: int = 0) -> bytes:
    """Bytes ``start`` to ``start + size`` of the endless repetition of ``PATTERN``."""
    place = start % len(PATTERN)
    repeated = PATTERN * ((place + size) // len(PATTERN) + 1)
    return repeated[place : place + size]


class Check:
    """Compares pieces, as they come, with what they should be."""

    def __init__(self) -> None:
        self.size = 0
        self.is_right = True

    def feed(self, piece: bytes) -> None:
        """The next piece."""
        self.is_right = self.is_right and content(len(piece), self.size) == piece
        self.size += len(piece)

    def is_whole(self, size: int) -> bool:
        """Whether exactly so much came, all of it right."""
        return self.is_right and self.size == size
