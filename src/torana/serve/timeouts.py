"""What each phase of a connection is given, as arithmetic on the clock. Decides; never closes anything.

All limits are wall-clock or least rates, so that no drip of bytes keeps a connection for ever (threats G-064 to G-066).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.serve.options import Timeouts

if TYPE_CHECKING:
    from torana.net.transport import Transport

#: Bytes of a head that earn one more second.
_HEAD_BYTES_PER_S = 500


def head_deadline(timeouts: Timeouts, started: float, received: int) -> float:
    """Deadline of a request head whose first byte came at ``started``; 0 when there is none."""
    if not timeouts.head_s:
        return 0.0
    return started + min(max(timeouts.head_max_s, timeouts.head_s), timeouts.head_s + received // _HEAD_BYTES_PER_S)


def body_deadline(timeouts: Timeouts, started: float, last: float, received: int) -> float:
    """When a request body will be too slow unless more of it comes; 0 when never.

    It began at ``started``, last grew at ``last`` and has ``received`` bytes.
    """
    idle = last + timeouts.body_idle_s if timeouts.body_idle_s else 0.0
    rate = started + max(timeouts.body_grace_s, received / timeouts.body_rate) if timeouts.body_rate else 0.0
    if idle and rate:
        return min(idle, rate)
    return idle or rate


def write_deadline(timeouts: Timeouts, looked_at: float) -> float:
    """When a client that has bytes waiting for it, last looked at then, has to be looked at again; 0 when never."""
    return looked_at + timeouts.write_idle_s / 4 if timeouts.write_idle_s else 0.0


def with_write(timeouts: Timeouts, deadline: float, looked_at: float) -> float:
    """``deadline`` (0: none), or that of a client that has bytes waiting for it, whichever is earlier."""
    look = write_deadline(timeouts, looked_at)
    return look if look and (deadline == 0.0 or look < deadline) else deadline


def takes_too_slowly(timeouts: Timeouts, transport: Transport, now: float) -> bool:
    """Whether a client has bytes waiting for it, is due to be looked at, and has not taken them as it should."""
    return bool(
        transport.waiting
        and timeouts.write_idle_s
        and now >= write_deadline(timeouts, transport.looked_at)
        and transport.is_too_slow(now, timeouts.write_idle_s, timeouts.write_rate)
    )


def tick_s(timeouts: Timeouts) -> float:
    """How often deadlines have to be looked at: a second, or a quarter of the shortest limit."""
    limits = [
        timeouts.first_byte_s, timeouts.head_s, timeouts.body_idle_s, timeouts.write_idle_s, timeouts.keep_alive_s,
        timeouts.linger_s, timeouts.proxy_header_s, timeouts.graceful_s, timeouts.cancel_s,
        timeouts.request_s, timeouts.http2_idle_s, timeouts.http2_ping_s, timeouts.http2_settings_s,
        timeouts.http2_stalled_s,
    ]  # fmt: skip
    shortest = min((limit for limit in limits if limit > 0), default=1.0)
    return min(1.0, max(0.02, shortest / 4))
