"""Which slot a session belongs to: rendezvous hashing, so that a slot that comes or goes moves no more than its own.

Every slot has a number for every session, made of both; the session belongs to the slot with the greatest. Nothing has
to be remembered or agreed upon but which slots there are. Never here: what names a session, which slots serve.
"""

from __future__ import annotations

from hashlib import blake2b

_MASK = (1 << 64) - 1
# The multipliers of MurmurHash3's finaliser, which spreads each bit over all.
_FIRST_PRIME = 0xFF51AFD7ED558CCD
_SECOND_PRIME = 0xC4CEB9FE1A85EC53


def hash_of(kind: bytes, value: bytes) -> int:
    """64 bits of a session's name; names of different kinds do not meet."""
    return int.from_bytes(blake2b(value, digest_size=8, person=kind).digest(), "little")


def seed_of(slot: int) -> int:
    """64 bits of a slot."""
    return hash_of(b"slot", slot.to_bytes(4, "little"))


def weight(hash_: int, seed: int) -> int:
    """How much a slot wants a session."""
    mixed = hash_ ^ seed
    mixed ^= mixed >> 33
    mixed = mixed * _FIRST_PRIME & _MASK
    mixed ^= mixed >> 33
    mixed = mixed * _SECOND_PRIME & _MASK
    return mixed ^ mixed >> 33


def owner_of(hash_: int, slots: list[int], seeds: list[int]) -> int:
    """The slot that wants it most, -1 if there is none; ``seeds`` are those of ``slots``."""
    owner = -1
    most = 0
    count = len(slots)
    for index in range(count):
        mine = weight(hash_, seeds[index])
        if owner < 0 or mine > most:
            owner = slots[index]
            most = mine
    return owner
