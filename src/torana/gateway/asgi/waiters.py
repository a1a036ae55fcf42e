"""Futures of whoever waits for one thing; safe against cancelled waiters, and nothing is lost by a cancellation."""

from __future__ import annotations

import asyncio


class Waiters:
    """Wakes all that wait; each then looks again whether what it waits for has come."""

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] | None = None

    def add(self) -> asyncio.Future[None]:
        """A future that is done at the next ``wake``."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        futures = self._futures
        if futures is None:
            self._futures = [future]
        else:
            # Whoever asks again and again, and gives up each time, leaves one behind and not thousands.
            while futures and futures[len(futures) - 1].done():
                futures.pop()
            futures.append(future)
        return future

    def wake(self) -> None:
        """Wake all that wait now."""
        futures = self._futures
        if futures is not None:
            self._futures = None
            for future in futures:
                if not future.done():
                    future.set_result(None)
