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
#: How long a connection that was accepted just before the stop has for the first byte of its request: the kernel told
#: its client that it is through, so the request is on its way.
_FRESH_S = 0.2


async def drain(crowd: Crowd, gateway: Gateway, timeouts: Timeouts, abort: asyncio.Event) -> bool:
    """End all connections within ``graceful_s`` + ``cancel_s``. Returns whether every exchange ended by itself.

    The listeners are closed already and the site is draining, so each answer is its connection's last.
    """
    if await _wait(crowd, gateway, timeouts.graceful_s, abort):
        return True
    held = list(crowd.connections)
    _log.warning("%d connections and %d requests outlasted the graceful stop; telling them", len(held), gateway.running())
    for connection in held:
        connection.stop()
    if await _wait(crowd, gateway, timeouts.cancel_s / 2 or 0.01, abort):
        return False
    for connection in list(crowd.connections):
        connection.stop()
    await _wait(crowd, gateway, timeouts.cancel_s / 2 or 0.01, abort)
    for connection in list(crowd.connections):
        connection.kill()
    return False


async def _wait(crowd: Crowd, gateway: Gateway, limit_s: float, abort: asyncio.Event) -> bool:
    """Until nobody is left, or the time is over, or the stop has become urgent."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    fresh_end = loop.time() + min(limit_s, _FRESH_S)
    while True:
        for connection in list(crowd.connections):
            if not connection.is_fresh() or loop.time() >= fresh_end:
                connection.close_if_idle()
        if not crowd.connections and not gateway.running():
            return True
        if abort.is_set() or loop.time() >= end:
            return False
        await asyncio.sleep(_LOOK_S)
