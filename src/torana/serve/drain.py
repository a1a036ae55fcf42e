"""How a server empties: finish what runs, tell what streams, cancel what does not end, close (``spec.md`` LIFESPAN-12).

Decides by the clock it is given the time from; never exits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from torana.serve.holders import holders

if TYPE_CHECKING:
    from torana.exchange.roles import Gateway
    from torana.serve.admission import Crowd
    from torana.serve.options import Timeouts

_log = logging.getLogger("torana")

#: From one look at the connections to the next; longer and longer, since who has stayed long stays on.
_FIRST_LOOK_S = 0.02
_LAST_LOOK_S = 0.2
_LOOK_GROWS = 1.1
#: A stop that takes longer than this says who keeps it.
_PATIENCE_S = 5.0


async def delay(delay_s: float, abort: asyncio.Event) -> None:
    """The time that load balancers need to see that no more requests are wanted; an urgent stop has none."""
    if delay_s > 0:
        _log.info("Connections are still accepted for %g s (setting: drain_delay)", delay_s)
        await _pause(delay_s, abort)


async def retire(crowd: Crowd, gateway: Gateway, retire_s: float, linger_s: float, stop: asyncio.Event) -> None:
    """Until everybody has left by himself, ``retire_s`` are over, or a stop was asked for.

    Nobody is accepted any more and the site is draining, so each answer is its connection's last.
    """
    if not await _emptied(crowd, gateway, retire_s, linger_s, stop) and not stop.is_set():
        _log.info("retired for %g s, and still kept by: %s", retire_s, _who(crowd, gateway))


async def drain(crowd: Crowd, gateway: Gateway, timeouts: Timeouts, abort: asyncio.Event) -> bool:
    """End all connections within ``graceful_s`` + ``cancel_s``. Returns whether every exchange ended by itself.

    The listeners are closed already and the site is draining, so each answer is its connection's last.
    """
    patience_s = min(_PATIENCE_S, timeouts.graceful_s)
    linger_s = timeouts.idle_linger_s
    if await _emptied(crowd, gateway, patience_s, linger_s, abort):
        return True
    if timeouts.graceful_s > patience_s and not abort.is_set():
        _log.info("waiting up to %g s for: %s", timeouts.graceful_s - patience_s, _who(crowd, gateway))
        if await _emptied(crowd, gateway, timeouts.graceful_s - patience_s, linger_s, abort):
            return True
    if not abort.is_set():
        _log.warning("the graceful stop is over and these are told to end: %s", _who(crowd, gateway))
    # Told first, then cancelled.
    for _ in range(2):
        for connection in list(crowd.connections):
            connection.stop()
        if await _emptied(crowd, gateway, timeouts.cancel_s / 2, 0.0, abort):
            return False
    if gateway.running() and not abort.is_set():
        _log.warning("told and cancelled, and still not over: %s", _who(crowd, gateway))
    for connection in list(crowd.connections):
        connection.kill()
    return False


async def _emptied(crowd: Crowd, gateway: Gateway, limit_s: float, linger_s: float, urgent: asyncio.Event) -> bool:
    """Until nobody is left, or the time is over, or something more urgent was asked for.

    Whoever has waited ``linger_s`` for his next request is sent away meanwhile.
    """
    end = time.monotonic() + limit_s
    look_s = _FIRST_LOOK_S
    while True:
        now = time.monotonic()
        for connection in list(crowd.connections):
            connection.close_if_idle(now - linger_s)
        if not crowd.connections and not gateway.running():
            return True
        if urgent.is_set():
            # Even then a cancelled application gets its turn, so that its answer is cut and not left hanging.
            await asyncio.sleep(0)
            return False
        if now >= end:
            return False
        await _pause(min(look_s, max(0.0, end - now)), urgent)
        look_s = min(look_s * _LOOK_GROWS, _LAST_LOOK_S)


async def _pause(limit_s: float, event: asyncio.Event) -> None:
    """Sleep, unless the event is set or happens."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await event.wait()


def _who(crowd: Crowd, gateway: Gateway) -> str:
    return holders(crowd.connections, gateway.running())
