"""One connected socket: its events, reading, lending and closing. What it writes is the ``outlet``'s.

Level-triggered: interest is changed only when an event arrives that nobody wants, so a request costs no such call.
A connection may be lent to another thread; the loop then leaves it alone until it is given back.
Never here: protocols, timeouts' meaning, TLS (``secure.py`` puts a seal between).
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sys
import termios
from typing import Protocol

from torana.net.outlet import Outlet
from torana.net.poller import ERROR, HANGUP, PEER_CLOSED, READ, WRITE, Poller

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
#: After a read of this size the next ones are expected to be large too. They come after those of others, and go
#: straight into the object that is handed on: a copy of much costs more than an allocation that turns out too large.
_MUCH_BYTES = 16 * 1024
_MUCH_READS = 8


class Owner(Protocol):
    """Whoever the transport belongs to; called on the loop's thread."""

    def agreed(self, protocol: str | None) -> None:
        """The handshake of TLS is done; the protocol it has settled on (ALPN), None when the client named none of ours.

        Told before anything else; whoever wants to may hand the transport to another owner.
        """

    def readable(self) -> None:
        """Bytes (or FIN) can be read: call ``transport.recv()``."""

    def drained(self) -> None:
        """What waited to be written fell below the low-water mark, or is all gone."""

    def peer_closed(self) -> None:
        """The peer sent FIN while nobody was reading."""

    def lost(self) -> None:
        """The connection is dead; close it."""

    def blocked(self) -> None:
        """The peer did not take at once what was posted; it waits now."""

    def expired(self, now: float) -> None:
        """The deadline set on the transport has passed."""

    def woken(self) -> None:
        """``poller.wake(transport)`` or ``poller.later(transport)`` was called."""


class Transport(Outlet):
    """A non-blocking stream socket. Sizes in bytes; ``owner`` must be set before events arrive."""

    def __init__(self, sock: socket.socket, poller: Poller, read_bytes: int, high: int, low: int) -> None:
        Outlet.__init__(self, sock, poller, high, low)
        #: Why the connection ended before it carried anything; "" when there is nothing to say.
        self.failure = ""
        self.is_reading = True
        self._read_bytes = read_bytes
        #: How many more reads are expected to be large.
        self._much = 0

    def open(self) -> None:
        """Begin to watch."""
        self._interest = READ | PEER_CLOSED
        self.poller.watch(self, self._interest)

    # Events

    def ready(self, events: int) -> None:
        if self.is_lent:
            # Given back meanwhile, it is watched again, and what is ready is told again.
            self._mute()
            return
        if events & (ERROR | HANGUP):
            if not events & READ or not self.is_reading:
                self._lose()
                return
        if events & WRITE:
            self.flush()
            if self.is_closed:
                return
        if events & READ:
            if self.is_reading:
                self.owner.readable()
                return
            self._set_interest(self._interest & ~READ)
        if events & PEER_CLOSED:
            self._set_interest(self._interest & ~PEER_CLOSED)
            self.owner.peer_closed()

    def expired(self, now: float) -> None:
        self.deadline = 0.0
        self.owner.expired(now)

    def woken(self) -> None:
        if not self.is_closed:
            self.owner.woken()

    def failed(self) -> None:
        # Nobody knows what state it is in.
        if not self.is_closed and not self.is_lent:
            self.owner.lost()

    # Reading

    def recv(self) -> bytes | None:
        """What has arrived, b"" after FIN, None when nothing is there or the connection is lost."""
        if cython.compiled:
            data: bytes | None = (
                _receive_much(self.fd, self._read_bytes) if self.is_bulky else _receive(self.fd, self._read_bytes)
            )
            if data is None and _would_block():
                return None
        else:
            try:
                data = self.sock.recv(self._read_bytes)
            except _WOULD_BLOCK:
                return None
            except OSError:
                data = None
        if data is None:
            self._lose()
            return None
        if len(data) >= _MUCH_BYTES:
            self._much = _MUCH_READS
            self.is_bulky = True
        elif self.is_bulky:
            self._much -= 1
            self.is_bulky = self._much > 0
        return data

    def recv_rest(self, size: int) -> bytes | None:
        """Up to ``size`` bytes of what has arrived behind a read that was full; None when there is nothing.

        Tells of no loss: the socket stays ready, and the next ``recv`` does.
        """
        if cython.compiled:
            return _receive(self.fd, size) or None
        try:
            return self.sock.recv(size) or None
        except OSError:
            return None

    def is_full_read(self, size: int) -> bool:
        """Whether a read of ``size`` bytes may have left some behind."""
        return size >= self._read_bytes

    def set_reading(self, is_reading: bool) -> None:
        """Pause or resume; pausing costs nothing until bytes arrive that nobody wants."""
        self.is_reading = is_reading
        if is_reading and not self._interest & READ and not self.is_closed and not self.is_lent:
            self._set_interest(self._interest | READ)

    def unread(self) -> int:
        """Bytes that have arrived and were not read yet."""
        count = fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(count, sys.byteorder)

    def has_unread(self) -> bool:
        """Whether something has arrived that was not read yet."""
        return not self.is_closed and self.unread() > 0

    def close_when_drained(self) -> None:
        """Close once all that waits is written."""
        self.leave()
        if self._queue and not self._is_lost:
            self._closes_when_drained = True
        else:
            self.close()

    def shutdown_write(self) -> None:
        """Send FIN; reading goes on (lingering close)."""
        self.leave()
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close now; what waits is dropped. On the loop's thread only."""
        if self.is_closed:
            return
        self.leave()
        self.is_closed = True
        self.deadline = 0.0
        self.poller.forget(self)
        # The number may soon be another connection's.
        self.fd = -1
        self._drop_queue()
        with contextlib.suppress(OSError):
            # Closed whatever it says (an error of what was sent before, an interruption).
            self.sock.close()
        # They know each other: what a flood of connections leaves behind would wait for the garbage collector.
        self.owner = None

    def release(self) -> socket.socket:
        """Let go of the socket, open and unwatched; this transport is finished."""
        self.is_closed = True
        self.deadline = 0.0
        self.poller.forget(self)
        self.fd = -1
        self.owner = None
        return self.sock

    def reset(self) -> None:
        """Close with a TCP reset, so that the peer cannot take a part for the whole."""
        if not self.is_closed:
            self._kept = None
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.close()

    def sever(self) -> None:
        """End both directions under whoever has borrowed it: its next call of the system finds the peer gone."""
        with contextlib.suppress(OSError):
            # Not the method of a TLS socket, which would take its state from under the borrower.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    # Lending

    def lend(self) -> None:
        """The loop leaves this alone until ``give_back``; one other thread may write."""
        if self._kept is not None:
            self.leave()
        self.is_lent = True

    def give_back(self) -> bool:
        """End the loan, from the borrowing thread. True when the loop has nothing to catch up on."""
        self.is_lent = False
        return not self._is_muted and not self._queue and not self._is_lost

    def catch_up(self) -> None:
        """On the loop's thread after a loan: watch again for what was muted or waits, and tell of a loss."""
        if self.is_closed:
            return
        if self._is_lost:
            self.owner.lost()
            return
        interest = PEER_CLOSED | READ
        if self._queue:
            interest |= WRITE
        if self._is_muted:
            self._is_muted = False
            self.poller.forget(self)
            self._interest = interest
            self.poller.watch(self, interest)
        else:
            self._set_interest(interest)

    def _mute(self) -> None:
        # Not only the interest goes: a hang-up is reported whatever the interest, and would spin.
        self._is_muted = True
        self.poller.forget(self)
        if not self.is_lent:
            # Given back in between: the other thread may have seen no mute.
            self.catch_up()

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._drop_queue()
        if self.owner is not None:
            self.owner.lost()
