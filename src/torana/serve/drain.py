"""The graceful stop: finish what runs, tell what streams, cancel what does not end, close (``spec.md`` LIFESPAN-12).

Decides by the clock it is given the time from; never exits.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.exchange.roles import Gateway
    from torana.serve.admission import Crowd
    from torana.serve.options import Timeouts

_log = logging.getLogger("torana")

_LOOK_S = 0.02


async def drain(crowd: Crowd, gateway: Gateway, timeouts: Timeouts, abort: asyncio.Event) -> bool:
    """End all connections within ``graceful_s`` + ``cancel_s``. Returns whether every exchange ended by itself.

    The listeners are closed already and the site is draining, so each answer is its connection's last.
    """
    if await _wait(crowd, gateway, timeouts.graceful_s, abort):
        return True
    if not abort.is_set():
        _log.warning(
            "%d connections and %d requests outlasted the graceful stop; telling them",
            len(crowd.connections), gateway.running(),
        )  # fmt: skip
    # Told first, then cancelled.
    for _ in range(2):
        for connection in list(crowd.connections):
            connection.stop()
        if await _wait(crowd, gateway, timeouts.cancel_s / 2, abort):
            return False
    for connection in list(crowd.connections):
        connection.kill()
    return False


async def _wait(crowd: Crowd, gateway: Gateway, limit_s: float, abort: asyncio.Event) -> bool:
    """Until nobody is left, or the time is over, or the stop has become urgent."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while True:
        for connection in list(crowd.connections):
            connection.close_if_idle()
        if not crowd.connections and not gateway.running():
            return True
        is_urgent = abort.is_set()
        if loop.time() >= end and not is_urgent:
            return False
        # Even the urgent stop gives a cancelled application its turn, so that its answer is cut and not left hanging.
        await asyncio.sleep(0 if is_urgent else _LOOK_S)
        if is_urgent:
            return False
