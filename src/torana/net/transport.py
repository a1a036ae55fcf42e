"""One connected socket: reads what is there, writes what it can, keeps the rest within bounds.

Level-triggered: interest is changed only when an event arrives that nobody wants, so a request costs no such call.
A connection may be lent to another thread; the loop then leaves it alone until it is given back.
Never here: protocols, timeouts' meaning, TLS (``secure.py`` overrides ``recv``, ``send_some`` and ``send_file_some``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import sys
import termios
import time
from collections import deque
from typing import Any, Protocol

from torana.net.poller import ERROR, HANGUP, PEER_CLOSED, READ, WRITE, Poller, Watched

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
#: Body pieces below this size are joined into one send rather than handed over one by one.
_JOIN_BYTES = 128 * 1024
_FILE_STEP = 1024 * 1024


class Owner(Protocol):
    """Whoever the transport belongs to; called on the loop's thread."""

    def readable(self) -> None:
        """Bytes (or FIN) can be read: call ``transport.recv()``."""

    def drained(self) -> None:
        """What waited to be written fell below the low-water mark, or is all gone."""

    def peer_closed(self) -> None:
        """The peer sent FIN while nobody was reading."""

    def lost(self) -> None:
        """The connection is dead; close it."""

    def expired(self, now: float) -> None:
        """The deadline set on the transport has passed."""

    def woken(self) -> None:
        """``poller.wake(transport)`` or ``poller.later(transport)`` was called."""


class FilePiece:
    """A part of an open file that waits to be sent; owns its descriptor."""

    def __init__(self, fd: int, offset: int, count: int) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Transport(Watched):
    """A non-blocking stream socket. Sizes in bytes; ``owner`` must be set before events arrive."""

    def __init__(self, sock: socket.socket, poller: Poller, read_bytes: int, high: int, low: int) -> None:
        Watched.__init__(self, sock.fileno())
        self.sock = sock
        self.poller = poller
        self.clock = poller.clock
        self.owner: Any = None
        #: Bytes waiting to be written (a waiting file counts as one high-water mark).
        self.waiting = 0
        #: When the peer last took something of what waits, and since when it has been waiting.
        self.last_progress = 0.0
        self.blocked_since = 0.0
        #: Bytes the peer took since ``blocked_since``.
        self.blocked_sent = 0
        self.is_reading = True
        self.is_closed = False
        self.is_lent = False
        self._is_muted = False
        self._is_lost = False
        self._interest = 0
        self._queue: deque[Any] = deque()
        self._offset = 0
        self._read_bytes = read_bytes
        self._high = high
        self._low = low
        self._closes_when_drained = False
        self._was_full = False

    def open(self) -> None:
        """Begin to watch."""
        self._interest = READ | PEER_CLOSED
        self.poller.watch(self, self._interest)

    # Events

    def ready(self, events: int) -> None:
        if self.is_lent:
            self._mute(events)
            if self.is_lent:
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

    # Reading

    def recv(self) -> bytes | None:
        """What has arrived, b"" after FIN, None when nothing is there or the connection is lost."""
        if cython.compiled:
            data: bytes | None = _receive(self.fd, self._read_bytes)
            if data is not None:
                return data
            if _would_block():
                return None
        else:
            try:
                return self.sock.recv(self._read_bytes)
            except _WOULD_BLOCK:
                return None
            except OSError:
                pass
        self._lose()
        return None

    def set_reading(self, is_reading: bool) -> None:
        """Pause or resume; pausing costs nothing until bytes arrive that nobody wants."""
        self.is_reading = is_reading
        if is_reading and not self._interest & READ and not self.is_closed and not self.is_lent:
            self._set_interest(self._interest | READ)

    # Writing

    def write(self, data: Any) -> None:
        """Send now what the socket takes; keep the rest. ``data``: bytes-like; its content is captured."""
        if self.is_closed or self._is_lost:
            return
        size = len(data)
        sent = 0
        if not self._queue:
            sent = self.send_some(data, 0)
            if sent == size:
                return
            if sent < 0:
                return
            self._begin_blocked()
            if type(data) is bytes:
                self._offset = sent
        if type(data) is not bytes:
            data = bytes(memoryview(data)[sent:])
        self._enqueue(data, size - sent)

    def write_framed(self, head: bytes, data: Any, tail: bytes) -> None:
        """Send three parts in a row, without copying a large middle one more often than needed."""
        if not self._queue and len(data) < _JOIN_BYTES:
            self.write(b"".join((head, data, tail)))
            return
        if head:
            self.write(head)
        self.write(data)
        if tail:
            self.write(tail)

    def write_file(self, fd: int, offset: int, count: int) -> None:
        """Send part of a file; the transport closes ``fd``. A file that ends early cuts the connection."""
        piece = FilePiece(fd, offset, count)
        if self.is_closed or self._is_lost:
            piece.close()
            return
        if not self._queue:
            self._begin_blocked()
        self._enqueue(piece, self._high)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        queue = self._queue
        while queue:
            piece = queue[0]
            if isinstance(piece, FilePiece):
                if not self._flush_file(piece):
                    break
                self.waiting -= self._high
            else:
                size = len(piece) - self._offset
                sent = self.send_some(piece, self._offset)
                if sent < 0:
                    return
                self._note_progress(sent)
                self.waiting -= sent
                if sent < size:
                    self._offset += sent
                    break
                self._offset = 0
            queue.popleft()
        self._after_flush()

    def is_full(self) -> bool:
        """Whether more waits than the high-water mark."""
        if self.waiting >= self._high:
            self._was_full = True
            return True
        return False

    def wait_drained(self, timeout_s: float, rate: int) -> bool:
        """Block the borrowing thread until less than the low-water mark waits.

        False when the peer takes nothing for ``timeout_s`` (0: no limit), or less than ``rate`` bytes/s beyond that.
        """
        poll = select.poll()
        poll.register(self.fd, select.POLLOUT)
        started = time.monotonic()
        taken = self.blocked_sent
        while self.waiting > self._low and not self._is_lost:
            if not poll.poll(timeout_s * 1000 if timeout_s else None):
                return False
            self.flush()
            elapsed = time.monotonic() - started
            if timeout_s and elapsed > timeout_s and self.blocked_sent - taken < rate * elapsed:
                return False
        return True

    def unread(self) -> int:
        """Bytes that have arrived and were not read yet."""
        count = fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0")
        return int.from_bytes(count, sys.byteorder)

    def has_unread(self) -> bool:
        """Whether something has arrived that was not read yet."""
        return not self.is_closed and self.unread() > 0

    def close_when_drained(self) -> None:
        """Close once all that waits is written."""
        if self._queue and not self._is_lost:
            self._closes_when_drained = True
        else:
            self.close()

    def shutdown_write(self) -> None:
        """Send FIN; reading goes on (lingering close)."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close now; what waits is dropped. On the loop's thread only."""
        if self.is_closed:
            return
        self.is_closed = True
        self.deadline = 0.0
        self.poller.forget(self)
        self._drop_queue()
        self.sock.close()

    def release(self) -> socket.socket:
        """Let go of the socket, open and unwatched; this transport is finished."""
        self.is_closed = True
        self.deadline = 0.0
        self.poller.forget(self)
        return self.sock

    def reset(self) -> None:
        """Close with a TCP reset, so that the peer cannot take a part for the whole."""
        if not self.is_closed:
            with contextlib.suppress(OSError):
                self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.close()

    # Lending

    def lend(self) -> None:
        """The loop leaves this alone until ``give_back``; one other thread may write."""
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

    def _mute(self, events: int) -> None:
        # Not only the interest goes: a hang-up is reported whatever the interest, and would spin.
        self._is_muted = True
        self.poller.forget(self)
        if not self.is_lent:
            # Given back in between: the other thread may have seen no mute.
            self.catch_up()

    # The socket itself; overridden for TLS

    def send_some(self, data: Any, offset: int) -> int:
        """Bytes taken by the socket, 0 when it is full, -1 when the connection is lost."""
        if cython.compiled:
            if type(data) is bytes:
                sent: int = _send(self.fd, data, offset)
                if sent >= 0:
                    return sent
                if _would_block():
                    return 0
                self.lose_soon()
                return -1
        try:
            return self.sock.send(memoryview(data)[offset:] if offset else data)
        except _WOULD_BLOCK:
            return 0
        except OSError:
            self.lose_soon()
            return -1

    def send_file_some(self, piece: FilePiece) -> int:
        """Bytes of the file taken, 0 when the socket is full, -1 when the connection is lost or the file ended."""
        try:
            sent = os.sendfile(self.fd, piece.fd, piece.offset, min(piece.count, _FILE_STEP))
        except _WOULD_BLOCK:
            return 0
        except OSError:
            self.lose_soon()
            return -1
        if sent == 0:
            self.lose_soon()
            return -1
        return sent

    # Inside

    def _flush_file(self, piece: FilePiece) -> bool:
        while piece.count:
            sent = self.send_file_some(piece)
            if sent <= 0:
                return False
            self._note_progress(sent)
            piece.offset += sent
            piece.count -= sent
        piece.close()
        return True

    def _begin_blocked(self) -> None:
        self._offset = 0
        self.blocked_since = self.last_progress = self.clock.now
        self.blocked_sent = 0

    def _note_progress(self, sent: int) -> None:
        if sent:
            self.last_progress = self.clock.now
            self.blocked_sent += sent

    def _enqueue(self, piece: Any, size: int) -> None:
        self._queue.append(piece)
        self.waiting += size
        if not self.is_lent:
            self._set_interest(self._interest | WRITE)

    def _after_flush(self) -> None:
        if self.is_lent or self._is_lost or self.is_closed:
            return
        if not self._queue:
            self._set_interest(self._interest & ~WRITE)
            if self._closes_when_drained:
                self.close()
                return
            self._was_full = False
            self.owner.drained()
        elif self._was_full and self.waiting <= self._low:
            self._was_full = False
            self.owner.drained()

    def _set_interest(self, interest: int) -> None:
        if interest != self._interest and not self.is_closed and not self._is_muted:
            self._interest = interest
            self.poller.change(self, interest)

    def _drop_queue(self) -> None:
        for piece in self._queue:
            if isinstance(piece, FilePiece):
                piece.close()
        self._queue.clear()
        self.waiting = 0

    def lose_soon(self) -> None:
        # Found while writing: the writer must first return, so the owner is told from the loop.
        if not self._is_lost:
            self._is_lost = True
            self._drop_queue()
            if not self.is_lent:
                self.poller.later(self)

    def _lose(self) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._drop_queue()
        self.owner.lost()

    def is_lost(self) -> bool:
        """Whether the peer is known to be gone."""
        return self._is_lost
