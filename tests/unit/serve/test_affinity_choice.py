"""Whose a session is: even shares, and a slot that comes or goes moves no more than its own."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from torana.serve.affinity.choice import hash_of, owner_of, seed_of, weight

SESSIONS = [hash_of(b"q:s", b"session %d" % i) for i in range(4000)]


def owners(slots: list[int]) -> list[int]:
    seeds = [seed_of(slot) for slot in slots]
    return [owner_of(session, slots, seeds) for session in SESSIONS]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 16, 61])
def test_each_slot_has_its_share(count: int) -> None:
    shares = Counter(owners(list(range(count))))
    even = len(SESSIONS) / count
    # Six standard deviations of a fair draw.
    assert set(shares) == set(range(count))
    assert all(abs(share - even) < 6 * (even * (1 - 1 / count)) ** 0.5 + 1 for share in shares.values())


@pytest.mark.parametrize("gone", range(5))
def test_a_slot_that_goes_moves_its_own_sessions_and_spreads_them(gone: int) -> None:
    slots = list(range(5))
    before, after = owners(slots), owners([slot for slot in slots if slot != gone])
    assert all(old == gone for old, new in zip(before, after, strict=True) if old != new)
    moved = Counter(new for old, new in zip(before, after, strict=True) if old == gone)
    assert set(moved) == {slot for slot in slots if slot != gone}
    assert max(moved.values()) < 1.35 * min(moved.values())


def test_a_slot_that_comes_takes_its_share_and_no_more() -> None:
    before, after = owners([0, 1, 2]), owners([0, 1, 2, 3])
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {3}
    assert 0.2 < len(moved) / len(SESSIONS) < 0.3


def test_the_order_of_slots_does_not_matter() -> None:
    assert owners([3, 0, 2, 1]) == owners([0, 1, 2, 3])


def test_nobody_owns_anything_where_no_slot_serves() -> None:
    assert owner_of(SESSIONS[0], [], []) == -1


def test_names_of_different_kinds_do_not_meet() -> None:
    assert len({hash_of(kind, b"same") for kind in (b"q:s", b"q:t", b"h:s", b"c:")}) == 4


def test_weights_stay_within_64_bits_and_use_them_all() -> None:
    found = [weight(session, seed) for session, seed in itertools.product(SESSIONS[:200], map(seed_of, range(20)))]
    assert all(0 <= number < 1 << 64 for number in found)
    for bit in range(64):
        share = sum(number >> bit & 1 for number in found) / len(found)
        assert 0.45 < share < 0.55


def test_both_builds_decide_alike() -> None:
    # Made by the uncompiled one.
    assert [owner_of(session, [0, 1, 2, 3], [seed_of(slot) for slot in range(4)]) for session in SESSIONS[:12]] == KNOWN
    assert weight(0x0123456789ABCDEF, 0xFEDCBA9876543210) == KNOWN_WEIGHT


KNOWN = [2, 0, 3, 1, 0, 0, 0, 0, 0, 0, 1, 0]
KNOWN_WEIGHT = 0x64B5720B4B825F21
