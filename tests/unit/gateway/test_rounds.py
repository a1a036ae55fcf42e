"""A loop that was held up charges the lost time to nobody; the next look comes when the next deadline does."""

from __future__ import annotations

import asyncio
import time

import pytest

from torana.gateway.rounds import Rounds


@pytest.mark.parametrize(("limit_s", "step_s"), [(30.0, 1.0), (2.0, 0.5), (0.01, 0.02)])
def test_ordinary_gaps_are_not_late(limit_s: float, step_s: float) -> None:
    now = time.monotonic()
    rounds = Rounds(limit_s)
    for _ in range(5):
        now += step_s * 1.5
        assert rounds.late(now) == 0.0


def test_a_gap_beyond_what_is_ordinary_is_lost_time() -> None:
    rounds = Rounds(2.0)
    now = time.monotonic()
    rounds.late(now)
    assert rounds.late(now + 10.0) == pytest.approx(9.5)
    assert rounds.late(now + 10.5) == 0.0


def test_a_deadline_before_the_next_tick_is_looked_at_when_it_comes() -> None:
    async def main() -> None:
        rounds = Rounds(30.0)
        looks: asyncio.Queue[float] = asyncio.Queue()
        now = time.monotonic()
        rounds.plan(now + 5.0, now, looks.put_nowait)
        rounds.plan(now + 0.05, now, looks.put_nowait)
        rounds.plan(now + 0.03, now, looks.put_nowait)
        assert await asyncio.wait_for(looks.get(), 20) >= now + 0.05
        assert looks.empty()

    asyncio.run(main())


def test_without_a_loop_the_tick_alone_must_do() -> None:
    Rounds(30.0).plan(1.0, 1.0, lambda now: None)
