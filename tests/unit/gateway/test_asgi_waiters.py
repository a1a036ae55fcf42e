"""Waiting for one thing: all are woken, and whoever gives up leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc

from torana.gateway.asgi.waiters import Waiters


def futures() -> int:
    gc.collect()
    return sum(type(each) is asyncio.Future for each in gc.get_objects())


def test_wake_wakes_all_that_wait() -> None:
    async def main() -> None:
        waiters = Waiters()
        waiters.wake()
        first, second, third = (waiters.add() for _ in range(3))
        second.cancel()
        waiters.wake()
        await asyncio.gather(first, third)
        assert not waiters.add().done()

    asyncio.run(main())


def test_giving_up_again_and_again_leaves_nothing_behind() -> None:
    """As Starlette's ``is_disconnected`` does, for as long as a stream lasts."""

    async def main() -> None:
        waiters = Waiters()
        before = futures()
        waiting = waiters.add()
        for _ in range(1000):
            waiters.add().cancel()
        assert futures() - before < 5
        waiters.wake()
        await waiting

    asyncio.run(main())
