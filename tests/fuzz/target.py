"""What a fuzz target is, and how the bytes of one are cut into pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from zlib import crc32

#: Plain values only: both builds must give equal ones, also through a text.
Verdict = object
#: An input in the parts that are sensible to drop, repeat or exchange: lines, frames, blocks.
Seed = tuple[bytes, ...]
#: Makes another input of one, in form (``shapes``); given chance, the input, and what may damage bytes within.
Grow = Callable[[Random, bytes, Callable[[bytes], bytes]], bytes]


@dataclass(frozen=True)
class Target:
    """One parser under test."""

    name: str
    run: Callable[[bytes], Verdict]
    seeds: tuple[Seed, ...]
    #: What is worth putting into an input anywhere.
    tokens: tuple[bytes, ...] = ()
    #: Makes a damaged part formally right again, such as the length in a frame's head: else nothing behind it is met.
    mend: Callable[[bytes], bytes] | None = None
    grow: Grow | None = None
    #: Inputs of the short runs, in a thousandth of the usual: less where one takes long.
    share: int = 1000


def cuts(data: bytes) -> list[list[bytes]]:
    """``data`` in pieces, two or three ways, always the same for the same data; each piece has a byte at least."""
    size = len(data)
    if size < 2:
        return []
    at = crc32(data) % (size - 1) + 1
    step = 1 if size <= 300 else size // 40
    return [[data[:at], data[at:]], [data[start : start + step] for start in range(0, size, step)]]
