"""The account of memory: who counts, who may read on, and who has to go when it is too much."""

from __future__ import annotations

import threading

import pytest

from torana.serve.memory import FLOOR, USUAL_BYTES, Memory

MIB = 1024 * 1024


class Holder:
    """One client's buffers, as large as a test says."""

    def __init__(self, memory: Memory, can_be_shed: bool = True) -> None:
        self.memory = memory
        self.share = None
        self.size = 0
        self.gone = 0
        self.fed = 0
        self.is_starved = False
        self.can_be_shed = can_be_shed
        self.was_shed = False

    def hold(self, size: int) -> None:
        self.size = size
        self.share = self.memory.weigh(self.share, self, size)

    def leave(self) -> None:
        self.size = 0
        share, self.share = self.share, None
        if share is not None:
            self.memory.drop(share)

    def ask(self) -> bool:
        self.is_starved = not self.memory.may_grow(self)
        return not self.is_starved

    def holding(self) -> int:
        return self.size

    def moved(self) -> int:
        return self.gone

    def feed(self) -> bool:
        was, self.is_starved = self.is_starved, False
        self.fed += was
        return was

    def shed(self) -> bool:
        if self.can_be_shed:
            self.was_shed = True
            self.size = 0
        return self.can_be_shed


def crowd(memory: Memory, count: int, size: int) -> list[Holder]:
    holders = [Holder(memory) for _ in range(count)]
    for holder in holders:
        holder.hold(size)
    return holders


def test_without_a_number_there_is_a_bound_all_the_same() -> None:
    memory = Memory()
    assert memory.limit == USUAL_BYTES and memory.most == USUAL_BYTES // 4 * 3
    assert memory.spool(1 << 50)


def test_little_is_not_counted() -> None:
    memory = Memory(MIB)
    holder = Holder(memory)
    holder.hold(FLOOR - 1)
    assert (memory.held, holder.share) == (0, None)
    holder.hold(FLOOR)
    assert memory.held == FLOOR and holder.share is not None
    holder.hold(FLOOR - 1)
    assert (memory.held, holder.share) == (0, None)


def test_the_account_is_never_off_by_more_than_a_step() -> None:
    memory = Memory(1000 * MIB)
    holder = Holder(memory)
    sizes = [FLOOR + step * 977 for step in range(400)]
    for size in sizes + sizes[::-1]:
        holder.hold(size)
        assert abs(memory.held - size) <= 16 * 1024
    holder.leave()
    assert memory.held == 0


def test_beyond_three_quarters_one_may_read_on_and_the_others_wait() -> None:
    memory = Memory(16 * MIB)
    first, second, third = crowd(memory, 3, 4 * MIB)
    assert not memory.is_tight and first.ask() and memory.favoured is None
    first.hold(4 * MIB + FLOOR)
    assert memory.is_tight
    assert first.ask() and memory.favoured is first and first.ask()
    assert not second.ask() and not third.ask() and memory.has_starved()
    # The favoured one is through with it: the next may.
    memory.done(first)
    assert (second.fed, third.fed) == (1, 0)
    assert second.ask() and memory.favoured is second
    second.leave()
    assert third.fed == 1 and memory.favoured is None and not memory.is_tight
    for holder in (first, third):
        holder.leave()
    assert memory.held == 0 and not memory.has_starved()


def test_at_the_bound_somebody_goes_and_it_is_kept() -> None:
    memory = Memory(8 * MIB)
    holders: list[Holder] = []
    for _ in range(100):
        holder = Holder(memory)
        holders.append(holder)
        holder.hold(MIB // 2)
        assert memory.held <= memory.limit
    assert memory.shed == sum(holder.was_shed for holder in holders) >= 84
    for holder in holders:
        holder.leave()
    assert memory.held == 0 and not memory.is_tight


def test_who_goes_on_holding_for_longest_goes_first() -> None:
    """Not the largest: a fast reader of much is through before a slow one of little is."""
    memory = Memory(16 * MIB)
    fast = Holder(memory)
    fast.hold(6 * MIB)
    slow = crowd(memory, 12, MIB // 2)
    for second in range(1, 4):
        fast.gone += 2 * MIB
        for holder in slow:
            holder.gone += 1000
        memory.look(float(second))
    late = Holder(memory)
    late.hold(4 * MIB)
    assert not fast.was_shed and not late.was_shed
    assert any(holder.was_shed for holder in slow)
    assert memory.held <= memory.limit


def test_among_equals_the_largest_goes() -> None:
    memory = Memory(16 * MIB)
    small = crowd(memory, 10, MIB)
    large = Holder(memory)
    large.hold(6 * MIB)
    assert large.was_shed and not any(holder.was_shed for holder in small)


def test_one_alone_that_is_too_large_goes() -> None:
    memory = Memory(4 * MIB)
    holder = Holder(memory)
    holder.hold(5 * MIB)
    assert holder.was_shed and memory.held == 0
    # What it still holds until it is gone counts no more.
    holder.hold(6 * MIB)
    assert memory.held == 0
    holder.leave()
    assert memory.held == 0


def test_who_cannot_be_closed_is_passed_over() -> None:
    memory = Memory(8 * MIB)
    stubborn = Holder(memory, can_be_shed=False)
    stubborn.hold(5 * MIB)
    others = crowd(memory, 4, MIB)
    assert not stubborn.was_shed and any(holder.was_shed for holder in others)
    assert memory.held <= memory.limit


def test_what_was_told_long_ago_costs_nobody_his_place() -> None:
    """An application has taken what was told: nothing is held, and nobody goes."""
    memory = Memory(8 * MIB)
    holders = crowd(memory, 7, MIB)
    for holder in holders:
        holder.size = 0
    more = crowd(memory, 4, MIB)
    assert not any(holder.was_shed for holder in holders + more)
    assert memory.held == 4 * MIB


def test_a_look_costs_nothing_while_there_is_much_room() -> None:
    memory = Memory(100 * MIB)
    [holder] = crowd(memory, 1, MIB)
    holder.moved = None  # type: ignore[assignment,method-assign]
    memory.look(1.0)


def test_patience_with_those_who_hold_ends_when_somebody_waits() -> None:
    memory = Memory(16 * MIB)
    holders = crowd(memory, 13, MIB)
    assert memory.is_tight
    for second in range(20):
        memory.look(float(second + 1))
    assert not any(holder.was_shed for holder in holders)
    waiting = Holder(memory)
    waiting.hold(2 * FLOOR)
    assert holders[0].ask() and not waiting.ask()
    for second in range(20, 40):
        holders[0].gone += MIB
        waiting.gone += MIB
        memory.look(float(second + 1))
        if waiting.fed:
            break
    assert waiting.fed == 1 and not waiting.was_shed and not holders[0].was_shed
    assert sum(holder.was_shed for holder in holders) == 1


def test_the_turn_of_the_favoured_one_ends() -> None:
    """Somebody whose body never ends may not keep all others waiting."""
    memory = Memory(16 * MIB)
    holders = crowd(memory, 13, MIB)
    for holder in holders:
        holder.can_be_shed = False
    assert holders[0].ask() and not any(holder.ask() for holder in holders[1:])
    for second in range(1, 80):
        memory.look(float(second))
        for holder in holders:
            if holder.fed and not holder.is_starved:
                holder.ask()
    assert all(holder.fed for holder in holders[1:])


def test_one_that_waits_no_more_is_forgotten() -> None:
    memory = Memory(16 * MIB)
    holders = crowd(memory, 13, MIB)
    assert holders[0].ask() and not holders[1].ask()
    holders[1].is_starved = False
    memory.look(1.0)
    assert not memory.has_starved()


def test_the_disk_has_a_bound_of_its_own() -> None:
    memory = Memory(MIB, spool_limit=1000)
    assert memory.spool(600) and memory.spool(400) and not memory.spool(1)
    assert memory.spool(-400) and memory.spool(400)
    assert memory.spool(-1000) and memory.spooled == 0


def test_the_disk_is_counted_on_every_thread() -> None:
    memory = Memory(MIB)

    def work() -> None:
        for _ in range(5000):
            memory.spool(7)
            memory.spool(-7)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.spooled == 0


@pytest.mark.parametrize("limit", [MIB, 3 * MIB, 64 * MIB])
def test_no_order_of_events_breaks_the_bound_or_the_sum(limit: int) -> None:
    import random

    dice = random.Random(limit)
    memory = Memory(limit)
    holders = [Holder(memory) for _ in range(40)]
    for step in range(4000):
        holder = dice.choice(holders)
        act = dice.random()
        if holder.was_shed or act < 0.2:
            holder.leave()
            holder.was_shed = False
        elif act < 0.8:
            holder.hold(dice.randrange(limit // 4))
        elif act < 0.9:
            holder.size = dice.randrange(holder.size + 1)
        elif holder.share is not None:
            holder.ask()
        if step % 50 == 0:
            memory.look(float(step))
        assert 0 <= memory.held <= memory.limit
    for holder in holders:
        holder.leave()
    assert memory.held == 0 and memory.favoured is None
