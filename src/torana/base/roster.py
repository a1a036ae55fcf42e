"""The roster: which worker slots serve, and which sessions were found to belong to a slot, in memory that all share.

An array of 64-bit words: a mark, a version that grows with each change, a word for each slot (1: a worker of it
serves), then a table of what was learned. The supervisor alone writes the first part; the table is written by all, a
word at a time and without locks: an entry is one word, so that nobody reads half of one. In sets of ``WAYS`` entries
the one that was used longest ago makes room. Never here: the memory itself, hashing, what a session is.
"""

from __future__ import annotations

SLOTS = 4096
WAYS = 8
SETS = 1 << 14
#: Words before the table, and bytes in all.
_FIRST = 2 + SLOTS
ROSTER_BYTES = 8 * (_FIRST + WAYS * SETS)

_MARK = 0
#: The word that holds the version.
VERSION = 1
#: What ``_MARK`` holds once the supervisor has written.
_MARKED = 0x746F72616E613031
# An entry: 40 bits of the hash, 12 bits of the slot, 12 bits of the minute in which it was last used; 0 is free.
_MINUTES = (1 << 12) - 1
_TAG_BITS = 40


class Roster:
    """A view of the memory, ``ROSTER_BYTES`` long and writable; raises ``ValueError`` for any other."""

    def __init__(self, memory: memoryview) -> None:
        if memory.readonly or memory.nbytes != ROSTER_BYTES or not memory.c_contiguous:
            raise ValueError(f"a roster is {ROSTER_BYTES} writable bytes")
        self.words = memory.cast("B").cast("Q")

    @property
    def version(self) -> int:
        """Grows whenever the slots in service change."""
        return self.words[VERSION]

    def in_service(self) -> tuple[int, ...]:
        """The slots that have a worker which serves, in order."""
        if self.words[_MARK] != _MARKED:
            return ()
        return tuple(slot for slot in range(SLOTS) if self.words[2 + slot])

    def set_in_service(self, slots: set[int]) -> bool:
        """For the supervisor: these slots serve now. Whether that is a change; slots beyond ``SLOTS`` are left out."""
        words = self.words
        wanted = tuple(slot for slot in sorted(slots) if 0 <= slot < SLOTS)
        if words[_MARK] == _MARKED and self.in_service() == wanted:
            return False
        for slot in range(SLOTS):
            words[2 + slot] = 1 if slot in slots else 0
        words[_MARK] = _MARKED
        # Last: whoever sees the new version sees the new slots.
        words[VERSION] += 1
        return True

    # What was learned

    def learn(self, hash_: int, slot: int, minute: int) -> None:
        """A session with this hash (64 bits) is the slot's; ``minute``: of any clock that all workers share."""
        if not 0 <= slot < SLOTS:
            return
        words = self.words
        tag = hash_ >> (64 - _TAG_BITS)
        at = self._set_of(hash_)
        oldest, oldest_age = at, -1
        for place in range(at, at + WAYS):
            word = words[place]
            if word == 0 or word >> 24 == tag:
                oldest = place
                break
            age = (minute - word) & _MINUTES
            if age > oldest_age:
                oldest, oldest_age = place, age
        words[oldest] = tag << 24 | slot << 12 | (minute & _MINUTES)

    def find(self, hash_: int, minute: int) -> int:
        """The slot of a session that was learned, -1 if it was not or had to make room; it counts as used."""
        words = self.words
        tag = hash_ >> (64 - _TAG_BITS)
        at = self._set_of(hash_)
        for place in range(at, at + WAYS):
            word = words[place]
            if word and word >> 24 == tag:
                if (word ^ minute) & _MINUTES:
                    words[place] = word & ~_MINUTES | (minute & _MINUTES)
                slot: int = word >> 12 & (SLOTS - 1)
                return slot
        return -1

    def _set_of(self, hash_: int) -> int:
        return _FIRST + WAYS * (hash_ & (SETS - 1))
