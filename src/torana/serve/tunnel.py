"""What an HTTP/1.1 connection becomes after 101: its transport, with nothing of HTTP left, carrying somebody's bytes.

A tunnel owns the transport and has the connection's place in the crowd; it stays there until both its stream is closed
and whoever answers has ended, so that a stop can still reach him. Never here: what the bytes mean (the speaker), how
the upgrade was asked for. RFC 9110 section 7.8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torana.exchange.carrier import Carrier, Speaker
from torana.exchange.roles import Channel
from torana.serve import timeouts
from torana.serve.memory import FLOOR, TOO_MUCH

if TYPE_CHECKING:
    from torana.exchange.request import Request
    from torana.exchange.response import Response
    from torana.net.transport import Transport
    from torana.serve.account import Account
    from torana.serve.memory import Share
    from torana.serve.site import Site

#: Reads in a row while each one is full, before other connections get their turn.
_READS = 4
#: More time for what has arrived and was not read.
_SPARED_S = 0.1
#: How many are told a second that the server stops, and a time too short to be spread over.
_TOLD_PER_S = 1000
_AT_ONCE_S = 0.1
#: How much of a request the log of a stop quotes.
_PATH_BYTES = 96


class Nowhere(Channel):
    """The channel of an exchange that has become something else; nothing is said on it any more."""

    def abort(self) -> None:
        """There is nothing left to cut."""

    def ended(self) -> None:
        """The stream is told so."""


NOWHERE = Nowhere()


class Tunnel(Carrier):
    """The owner of a transport from its upgrade on."""

    def __init__(
        self, transport: Transport, site: Site, crowd: Any, account: Account, request: Request, response: Response,
        speaker: Speaker, rest: bytes,
    ) -> None:  # fmt: skip
        self.transport = transport
        self.site = site
        self.crowd = crowd
        self.clock = transport.clock
        self.request = request
        self.response = response
        self.speaker = speaker
        self._account = account
        #: What came behind the request and was not handed on yet.
        self._rest: bytes | None = rest or None
        #: When the speaker, or the end, wants to be looked at.
        self._look_at = 0.0
        self._is_spared = False
        #: The speaker wants to go on in the loop's next turn.
        self._is_called_back = False
        #: The speaker is finished: what waits is written, then FIN, then the peer's own.
        self._is_finishing = False
        self._is_lingering = False
        self._has_left = False
        #: The speaker was told that the server is going to stop, or does not hear any more.
        self._is_told = False
        self._tell_at = 0.0
        self._discarded = 0
        self._left_to_take = 0
        self._read_bytes = transport._read_bytes
        #: What the worker's memory counts of what the peer has yet to take.
        self._share: Share | None = None
        self.is_starved = False
        crowd.joined(self)
        transport.owner = self
        transport.deadline = 0.0
        transport.set_reading(True)
        if self._rest is not None:
            # Whoever upgrades has to return first.
            transport.poller.later(transport)

    # Told by the transport

    def readable(self) -> None:
        transport = self.transport
        if self._rest is not None:
            self._hand_on_rest()
            if transport.is_closed or not transport.is_reading:
                return
        for _ in range(_READS):
            data = transport.recv()
            if data is None:
                return
            size = len(data)
            if size == 0:
                self._end_of_stream()
                return
            if self._is_finishing:
                self._throw_away(size)
            else:
                self.speaker.received(data)
            if size < self._read_bytes or not transport.is_reading or transport.is_closed:
                return

    def drained(self) -> None:
        if self._is_finishing:
            if self.transport.waiting == 0 and not self._is_lingering:
                self._linger()
        else:
            self.speaker.drained()
            self._arm()

    def blocked(self) -> None:
        self._arm()

    def peer_closed(self) -> None:
        """FIN while nobody reads: what came before it may still be wanted, and reading on will meet it."""
        if self._is_finishing:
            # What waits is still on its way; then nothing more is to be expected.
            self._discarded = -1

    def woken(self) -> None:
        if self._rest is not None:
            self._hand_on_rest()
        if self._is_called_back:
            self._is_called_back = False
            if not self._is_finishing:
                self.speaker.go_on()
        transport = self.transport
        if transport.is_lost():
            self.lost()

    def lost(self) -> None:
        """The stream is dead: the speaker is told, nothing is sent."""
        if self.transport.is_closed:
            return
        self._is_told = True
        self.transport.close()
        if not self._is_finishing:
            self._is_finishing = True
            self.speaker.lost()
        self._gone()

    def expired(self, now: float) -> None:
        transport = self.transport
        if timeouts.takes_too_slowly(self.site.timeouts, transport, now):
            client = self.request.endpoints.client
            self.site.refusals.note("client takes its messages too slowly", "timeout_write", client, now)
            self.lost()
            return
        if self._look_at and self._look_at <= now:
            if not self._is_spared and not self._is_finishing and transport.is_reading and transport.has_unread():
                # It was the loop that was held up, not the peer.
                self._is_spared = True
                self._look_at = now + _SPARED_S
            else:
                self._look_at = 0.0
                if self._is_finishing:
                    self._linger_on()
                    return
                self.speaker.expired(now)
        self._arm()

    # Told by the speaker

    def post(self, data: bytes) -> None:
        transport = self.transport
        transport.post(data)
        if transport.waiting:
            self._arm()

    def write(self, head: bytes, data: Any) -> None:
        transport = self.transport
        transport.write_framed(head, data, b"", False)
        if transport.waiting:
            self._arm()

    def is_full(self) -> bool:
        return self.transport.is_full()

    def set_reading(self, is_reading: bool) -> None:
        self.transport.set_reading(is_reading)

    def come_back(self) -> None:
        if not self._is_called_back:
            self._is_called_back = True
            self.transport.poller.last(self.transport)

    def set_deadline(self, at: float) -> None:
        if not self._is_finishing:
            self._look_at = at
            self._is_spared = False
            self._arm()

    def finish(self) -> None:
        if self._is_finishing:
            return
        self._is_finishing = self._is_told = True
        self._rest = None
        transport = self.transport
        transport.leave()
        if transport.waiting:
            # As long as the peer takes it, that is; see ``expired``.
            self._look_at = 0.0
            self._arm()
        else:
            self._linger()

    def cut(self) -> None:
        if not self.transport.is_closed:
            self._is_finishing = self._is_told = True
            self.transport.reset()
            self._gone()

    def settled(self) -> None:
        if self.transport.is_closed:
            self._gone()

    # What the crowd asks of its members

    def waiting_since(self, has_heads: bool) -> float:
        return 0.0

    def evict(self) -> None:
        """Never asked: nobody waits for a request here."""

    def close_if_idle(self, before: float) -> bool:
        """The server stops or retires: whoever speaks is told so, once; he ends in his own way.

        A great crowd is told one after the other, for each of them will come back at once.
        """
        if not self._is_told:
            if self._tell_at == 0.0:
                spread_s = min(len(self.crowd) / _TOLD_PER_S, self.site.timeouts.graceful_s / 4)
                # Imported only here: it takes milliseconds, and is needed when a crowd is told of a stop.
                from random import random

                self._tell_at = self.clock.now + (spread_s * random() if spread_s > _AT_ONCE_S else 0.0)
            if self.clock.now >= self._tell_at:
                self._tell()
        return False

    def doing(self) -> list[tuple[bool, str]]:
        if self.speaker.is_over():
            return [(False, "connections about to close")]
        head = self.request.head
        return [(True, f"{head.method} {head.raw_path[:_PATH_BYTES].decode('ascii', 'backslashreplace')}")]

    def stop(self) -> None:
        if not self._is_told:
            self._tell()
        if not self.speaker.is_over():
            self.speaker.stop()
        elif not self.transport.is_closed:
            self._close()

    def kill(self) -> None:
        self.lost()
        self._leave()

    def forsake(self) -> None:
        self.transport.sock.close()

    # Told by the worker's memory: see ``memory.Holder``. Messages that arrive are their speaker's.

    def holding(self) -> int:
        return self.transport.held()

    def moved(self) -> int:
        return self.transport.moved()

    def feed(self) -> bool:
        return False

    def shed(self) -> bool:
        if self.transport.is_closed:
            return False
        self.site.refusals.note(TOO_MUCH, "limit_memory", self.request.endpoints.client, self.clock.now)
        self.transport.lose_soon()
        return True

    # The end

    def _tell(self) -> None:
        self._is_told = True
        self.speaker.stop()

    def _hand_on_rest(self) -> None:
        rest = self._rest
        self._rest = None
        if rest is not None and not self._is_finishing:
            self.speaker.received(rest)

    def _end_of_stream(self) -> None:
        if self._is_finishing and self.transport.waiting:
            self._discarded = -1
            self.transport.set_reading(False)
        else:
            self.lost()

    def _throw_away(self, size: int) -> None:
        self._discarded += size
        if self._discarded > self.site.linger_bytes:
            # Enough; but closing with more unread would reset the connection before the peer has read our last words.
            self.transport.set_reading(False)

    def _linger(self) -> None:
        """All is written: end our half, and give the peer a moment to end its own (RFC 6455 section 7.1.1)."""
        linger_s = self.site.timeouts.linger_s
        if self._discarded < 0 or not linger_s:
            self._close()
            return
        self._is_lingering = True
        self.transport.shutdown_write()
        self.transport.set_reading(True)
        self._left_to_take = self.transport.outgoing()
        self._look_at = self.clock.now + linger_s
        self._arm()

    def _linger_on(self) -> None:
        """The moment is over: close, unless the peer still takes our last words, which a reset would destroy."""
        times = self.site.timeouts
        left = self.transport.outgoing()
        if left == 0 or self._left_to_take - left <= times.write_rate * times.linger_s:
            self._close()
            return
        self._left_to_take = left
        self._look_at = self.clock.now + times.linger_s
        self._arm()

    def _close(self) -> None:
        self.transport.close()
        self._gone()

    def _gone(self) -> None:
        """The stream is closed: the place is given up as soon as nobody answers any more."""
        share, self._share = self._share, None
        if share is not None:
            self.site.memory.drop(share)
        if self.speaker.is_over():
            self._leave()

    def _leave(self) -> None:
        if not self._has_left:
            self._has_left = True
            self._account.end(self.response.status, self.request, self.response, self.response.sent)
            self.crowd.left(self)

    def _arm(self) -> None:
        """Set the transport's one deadline."""
        deadline = self._look_at
        transport = self.transport
        if transport.waiting:
            deadline = timeouts.with_write(self.site.timeouts, deadline, transport.looked_at)
        transport.deadline = deadline
        share = self._share
        if (share is not None or transport.waiting >= FLOOR) and not transport.is_closed:
            self._share = self.site.memory.weigh(share, self, transport.held())
