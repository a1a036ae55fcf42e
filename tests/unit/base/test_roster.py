"""The roster: which slots serve, and what was learned of sessions, in memory that several share."""

from __future__ import annotations

import random

import pytest

from torana.base.roster import ROSTER_BYTES, SETS, SLOTS, WAYS, Roster


@pytest.fixture
def memory() -> memoryview:
    return memoryview(bytearray(ROSTER_BYTES))


def test_nobody_serves_before_the_supervisor_has_said_so(memory: memoryview) -> None:
    assert Roster(memory).in_service() == ()


def test_changes_are_seen_by_all_and_have_a_version(memory: memoryview) -> None:
    writer, reader = Roster(memory), Roster(memory)
    seen = [reader.version]
    for slots in ({0, 2}, {0, 1, 2, SLOTS - 1}, set(), {3}):
        assert writer.set_in_service(slots)
        assert not writer.set_in_service(slots)
        assert reader.in_service() == tuple(sorted(slots))
        seen.append(reader.version)
    assert len(set(seen)) == 5
    # There is no room for more.
    writer.set_in_service({1, SLOTS, -1})
    assert reader.in_service() == (1,)


def test_what_was_learned_is_found(memory: memoryview) -> None:
    roster, draw = Roster(memory), random.Random(1)
    known = {draw.getrandbits(64): draw.randrange(SLOTS) for _ in range(5000)}
    for hash_, slot in known.items():
        roster.learn(hash_, slot, 7)
    assert all(Roster(memory).find(hash_, 9) == slot for hash_, slot in known.items())
    assert all(roster.find(draw.getrandbits(64), 9) == -1 for _ in range(5000))
    some = next(iter(known))
    roster.learn(some, 5, 9)
    assert roster.find(some, 9) == 5
    roster.learn(some, SLOTS, 9)
    assert roster.find(some, 9) == 5


def test_what_was_used_longest_ago_makes_room(memory: memoryview) -> None:
    roster = Roster(memory)
    # All of one set.
    hashes = [(i + 1) << 24 | (5 & (SETS - 1)) for i in range(WAYS + 1)]
    for minute, hash_ in enumerate(hashes[:WAYS]):
        roster.learn(hash_, 1, minute)
    assert roster.find(hashes[0], 20) == 1
    roster.learn(hashes[WAYS], 2, 21)
    assert [roster.find(hash_, 22) for hash_ in hashes] == [1, -1, *[1] * (WAYS - 2), 2]


def test_other_memory_is_refused() -> None:
    for memory in (memoryview(bytearray(8)), memoryview(bytes(ROSTER_BYTES)), memoryview(bytearray(2 * ROSTER_BYTES))):
        with pytest.raises(ValueError, match="a roster is"):
            Roster(memory)
