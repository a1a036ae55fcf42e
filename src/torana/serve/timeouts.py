"""What each phase of a connection is given, as arithmetic on the clock. Decides; never closes anything.

All limits are wall-clock or least rates, so that no drip of bytes keeps a connection for ever (threats G-064 to G-066).
"""

from __future__ import annotations

from torana.serve.options import Timeouts

#: Bytes of a head that earn one more second.
_HEAD_BYTES_PER_S = 500


def head_deadline(timeouts: Timeouts, started: float, received: int) -> float:
    """Deadline of a request head whose first byte came at ``started``; 0 when there is none."""
    if not timeouts.head_s:
        return 0.0
    return started + min(max(timeouts.head_max_s, timeouts.head_s), timeouts.head_s + received // _HEAD_BYTES_PER_S)


def body_deadline(timeouts: Timeouts, started: float, last: float) -> float:
    """When a request body has to be looked at next; 0 when never."""
    idle = last + timeouts.body_idle_s if timeouts.body_idle_s else 0.0
    rate = max(started + timeouts.body_grace_s, last + 1.0) if timeouts.body_rate else 0.0
    if idle and rate:
        return min(idle, rate)
    return idle or rate


def is_body_too_slow(timeouts: Timeouts, now: float, started: float, last: float, received: int) -> bool:
    """Whether a body that began at ``started`` and last grew at ``last`` has to be given up."""
    if timeouts.body_idle_s and now - last >= timeouts.body_idle_s:
        return True
    elapsed = now - started
    return bool(timeouts.body_rate and elapsed > timeouts.body_grace_s and received < timeouts.body_rate * elapsed)


def is_write_too_slow(timeouts: Timeouts, now: float, since: float, last: float, sent: int) -> bool:
    """Whether a client that has had bytes waiting ``since`` then, and took some ``last``, has to be given up."""
    if not timeouts.write_idle_s:
        return False
    if now - last >= timeouts.write_idle_s:
        return True
    elapsed = now - since
    return bool(timeouts.write_rate and elapsed > timeouts.write_idle_s and sent < timeouts.write_rate * elapsed)


def tick_s(timeouts: Timeouts) -> float:
    """How often deadlines have to be looked at: a second, or a quarter of the shortest limit."""
    limits = [
        timeouts.first_byte_s, timeouts.head_s, timeouts.body_idle_s, timeouts.write_idle_s, timeouts.keep_alive_s,
        timeouts.linger_s, timeouts.proxy_header_s, timeouts.graceful_s, timeouts.cancel_s,
    ]  # fmt: skip
    shortest = min((limit for limit in limits if limit > 0), default=1.0)
    return min(1.0, max(0.02, shortest / 4))
