"""A gateway whose application is made on the loop, when the server starts; from then on it is that application's.

Never here: how the application is made (``life``), how it is called (its own gateway).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from torana.exchange.roles import Gateway
from torana.gateway.life import Life

_log = logging.getLogger("torana")


class LateGateway(Gateway):
    """``make`` gives the gateway of what ``life`` has made. Raises ``LoadError`` at start-up like any gateway."""

    def __init__(self, life: Life, make: Callable[[Any], Gateway]) -> None:
        self._life = life
        self._make = make
        # Until then there is nobody to answer; the server accepts nobody either.
        self._inner = Gateway()

    def gateway_of(self, request: Any) -> Gateway:
        return self._inner.gateway_of(request)

    def takes_conversations(self) -> bool:
        return self._inner.takes_conversations()

    def takes_tunnels(self) -> bool:
        return self._inner.takes_tunnels()

    def converse(self, duplex: Any) -> None:
        self._inner.converse(duplex)

    def answer(self, request: Any, response: Any) -> None:
        self._inner.answer(request, response)

    def share_turns(self, turn: Callable[[], None]) -> Callable[[], None] | None:
        return self._inner.share_turns(turn)

    def tick(self, now_s: float) -> None:
        self._inner.tick(now_s)

    def running(self) -> int:
        return self._inner.running()

    def waiting(self) -> int:
        return self._inner.waiting()

    async def startup(self) -> None:
        self._inner = self._make(await self._life.startup())
        try:
            await self._inner.startup()
        except BaseException:
            await _carefully(self._life.shutdown)
            raise

    async def ready(self) -> None:
        await self._inner.ready()
        await _carefully(self._life.ready)

    async def begin_drain(self) -> None:
        await _carefully(self._life.begin_drain)
        await self._inner.begin_drain()

    async def drained(self) -> None:
        await self._inner.drained()
        await _carefully(self._life.drained)

    async def shutdown(self) -> None:
        await self._inner.shutdown()
        await _carefully(self._life.shutdown)


async def _carefully(step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()
    except Exception:
        _log.exception("A step in the application's life failed: %s", getattr(step, "__name__", step))
