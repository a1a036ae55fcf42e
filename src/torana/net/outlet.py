"""The writing half of a transport: sends what it can, keeps the rest within bounds, sees how fast the peer takes it.

The lower storey of ``transport``. Never here: reading, lending, protocols; what is done about a slow peer.
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
from typing import Any

from torana.net.clock import now_s
from torana.net.poller import WRITE, Poller, Watched

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

_WOULD_BLOCK = (BlockingIOError, InterruptedError)
#: Tells the kernel that more follows at once (Linux).
_MORE: int = getattr(socket, "MSG_MORE", 0)
#: From this size on data is not copied next to its head: one system call gathers both.
_GATHER_BYTES = 8 * 1024
#: Larger than any segment: of such a piece something always leaves, and with the acknowledgement all of it.
_MANY_BYTES = 64 * 1024
#: A large piece that comes this soon after another will not be the last.
_PACE_S = 0.0005
#: Most that one connection keeps back for a burst; copied when a second piece joins the first.
_KEPT_BYTES = 16 * 1024
#: Where it cannot gather (TLS), pieces below this size are joined rather than handed over one by one.
_JOIN_BYTES = 128 * 1024
_FILE_STEP = 1024 * 1024
#: Steps of a file sent in a row: a fast reader of a large file must not keep the loop to itself.
_FILE_STEPS = 4


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


class Outlet(Watched):
    """What a stream socket is given to send. Sizes in bytes."""

    def __init__(self, sock: socket.socket, poller: Poller, high: int, low: int) -> None:
        Watched.__init__(self, sock.fileno())
        self.sock = sock
        self.poller = poller
        self.clock = poller.clock
        self.owner: Any = None
        #: Bytes waiting to be written (a waiting file counts as one high-water mark).
        self.waiting = 0
        #: When the peer was last looked at, by ``is_too_slow`` or when something began to wait.
        self.looked_at = 0.0
        self.is_closed = False
        self.is_lent = False
        self._is_muted = False
        self._is_lost = False
        self._interest = 0
        self._queue: deque[Any] = deque()
        self._offset = 0
        self._kept: bytes | None = None
        self._high = high
        self._low = low
        self._closes_when_drained = False
        self._was_full = False
        #: Whether one call can send several pieces.
        self._gathers = True
        #: Files among what waits.
        self._files = 0
        #: When a large piece was sent last that was not the end.
        self._last_large = 0.0
        #: The kernel may keep the rest of it.
        self._has_rest = False
        # Pace: bytes the kernel took since something waits, when the peer last took some, and how the kernel's
        # buffer stood at the first look and at the last one.
        self._accepted = 0
        self._last_progress = 0.0
        self._is_watched = False
        self._watched_since = 0.0
        self._first_level = 0
        self._last_level = 0

    # Writing

    def post(self, data: bytes) -> None:
        """Send a small piece, under load together with those of other connections (``base/burst``).

        While the transport is lent, what is kept leaves by ``leave``, which the borrower calls.
        """
        kept = self._kept
        if kept is not None:
            if len(kept) + len(data) <= _KEPT_BYTES:
                self._kept = kept + data
            else:
                self.write(data)
        elif self._queue or self.is_closed or self._is_lost:
            self.write(data)
        elif self.is_lent or self.poller.keeps(self):
            self._kept = data
        else:
            self.write(data)

    def has_kept(self) -> bool:
        return self._kept is not None

    def leave(self) -> None:
        data = self._kept
        if data is not None:
            self._kept = None
            self.write(data)
            if self.waiting and not self.is_lent:
                self.owner.blocked()

    def write(self, data: Any) -> None:
        """Send now what the socket takes; keep the rest. ``data``: bytes-like; its content is captured."""
        if self._kept is not None:
            self.leave()
        if self.is_closed or self._is_lost:
            return
        size = len(data)
        sent = 0
        if not self._queue:
            sent = self.send_some(data, 0, False)
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

    def write_framed(self, head: bytes, data: Any, tail: bytes, is_more: bool) -> None:
        """Send three parts in a row, without copying a large middle one more often than needed.

        ``is_more``: this is not the end of the message. Of a large piece in quick succession the kernel may then keep
        what does not fill a segment, for the next piece to complete it, until the peer acknowledges the rest of it.
        """
        if self._kept is not None:
            self.leave()
        if self.is_closed or self._is_lost:
            return
        size = len(data)
        if self._queue or (not self._gathers and size >= _JOIN_BYTES):
            for part in (head, data, tail):
                if part:
                    self.write(part)
        elif size < _GATHER_BYTES or not self._gathers:
            self.write(b"".join((head, data, tail)))
        else:
            self._write_gathered(head, data, tail, is_more and size >= _MANY_BYTES and self._is_quick())

    def push(self) -> None:
        """After all there is no next piece: the kernel shall keep nothing back."""
        if self._has_rest:
            self._has_rest = False
            with contextlib.suppress(OSError):
                # To set it again sends what waits (tcp(7)); a connection without it keeps nothing of ours either.
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _is_quick(self) -> bool:
        """Whether the large piece before this one left a moment ago."""
        now = now_s()
        is_quick = now - self._last_large < _PACE_S
        self._last_large = now
        return is_quick

    def _write_gathered(self, head: bytes, data: Any, tail: bytes, is_more: bool) -> None:
        sent = self._gather(head, data, tail, is_more)
        self._has_rest = is_more
        if sent < 0:
            return
        for part in (head, data, tail):
            size = len(part)
            if sent >= size:
                sent -= size
                continue
            if type(part) is not bytes:
                part = bytes(memoryview(part)[sent:])
                size -= sent
                sent = 0
            if not self._queue:
                self._begin_blocked()
                self._offset = sent
            self._enqueue(part, size - sent)
            sent = 0

    def write_file(self, fd: int, offset: int, count: int) -> None:
        """Send part of a file; the transport closes ``fd``. A file that ends early cuts the connection."""
        piece = FilePiece(fd, offset, count)
        if self._kept is not None:
            self.leave()
        if self.is_closed or self._is_lost:
            piece.close()
            return
        if not self._queue:
            self._begin_blocked()
        self._files += 1
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
                self._files -= 1
            else:
                size = len(piece) - self._offset
                sent = self.send_some(piece, self._offset, len(queue) > 1)
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

    def held(self) -> int:
        """Bytes of memory in what waits."""
        return self.waiting - self._files * self._high

    # The pace of the peer

    def moved(self) -> int:
        """How much the peer has acknowledged since something waits; grows as long as that is so."""
        return self._accepted - self.outgoing()

    def is_too_slow(self, now: float, idle_s: float, rate: int) -> bool:
        """Whether the peer has taken nothing for ``idle_s``, or less than ``rate`` bytes/s for longer than that.

        The kernel tells of room only when a good part of its buffer is free, which a slow but healthy peer may take
        minutes to reach: so what left that buffer is looked at, not what went into it. Ask several times in ``idle_s``.
        """
        level = self.outgoing() - self._accepted
        self.looked_at = now
        if not self._is_watched:
            self._is_watched = True
            self._watched_since = now
            self._first_level = self._last_level = level
        elif level < self._last_level:
            self._last_level = level
            self._last_progress = now
        if now - self._last_progress >= idle_s:
            return True
        elapsed = now - self._watched_since
        return rate > 0 and elapsed > idle_s and self._first_level - level < rate * elapsed

    def wait_drained(self, idle_s: float, rate: int) -> bool:
        """Block the borrowing thread until less than the low-water mark waits.

        False when the peer ``is_too_slow`` (``idle_s`` 0: it never is).
        """
        poll: Any = None
        while self.waiting > self._low and not self._is_lost:
            if poll is None:
                poll = select.poll()
                poll.register(self.fd, select.POLLOUT)
            poll.poll(idle_s * 250 if idle_s else None)
            self.flush()
            now = time.monotonic()
            if idle_s and now - self.looked_at >= idle_s / 4 and self.is_too_slow(now, idle_s, rate):
                return False
        return True

    def outgoing(self) -> int:
        """Bytes in the kernel's buffer that the peer has not acknowledged; 0 where that cannot be known."""
        try:
            return int.from_bytes(fcntl.ioctl(self.fd, termios.TIOCOUTQ, b"\0\0\0\0"), sys.byteorder)
        except OSError:
            return 0

    def _begin_blocked(self) -> None:
        self._offset = 0
        self.looked_at = self._last_progress = self.clock.now
        self._accepted = 0
        self._is_watched = False

    def _note_progress(self, sent: int) -> None:
        if sent:
            self._last_progress = self.clock.now
            self._accepted += sent

    # The socket itself

    def stream(self) -> Any:
        """What a borrower who reads and writes by himself calls ``recv`` and ``send`` of; for TLS not the socket."""
        return self.sock

    def send_some(self, data: Any, offset: int, is_more: bool) -> int:
        """Bytes taken by the socket, 0 when it is full, -1 when the connection is lost.

        ``is_more``: the caller sends more at once, unless the socket is full.
        """
        if cython.compiled:
            if type(data) is bytes:
                sent: int = _send(self.fd, data, offset, is_more)
                if sent >= 0:
                    return sent
                if _would_block():
                    return 0
                self.lose_soon()
                return -1
        try:
            return self.sock.send(memoryview(data)[offset:] if offset else data, _MORE if is_more else 0)
        except _WOULD_BLOCK:
            return 0
        except OSError:
            self.lose_soon()
            return -1

    def _gather(self, head: bytes, data: Any, tail: bytes, is_more: bool) -> int:
        """Like ``send_some`` for three pieces at once; only on a plain socket."""
        if cython.compiled and type(data) is bytes:
            sent: int = _send3(self.fd, head, data, tail, is_more)
            if sent >= 0:
                return sent
            if _would_block():
                return 0
            self.lose_soon()
            return -1
        try:
            return self.sock.sendmsg((head, data, tail), (), _MORE if is_more else 0)
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
        for _ in range(_FILE_STEPS):
            sent = self.send_file_some(piece)
            if sent <= 0:
                return False
            self._note_progress(sent)
            piece.offset += sent
            piece.count -= sent
            if piece.count == 0:
                piece.close()
                return True
        return False

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
            try:
                self.poller.change(self, interest)
            except OSError:
                # It would wait for ever; and whoever writes just now is not to blame.
                self.lose_soon()

    def _drop_queue(self) -> None:
        self._kept = None
        for piece in self._queue:
            if isinstance(piece, FilePiece):
                piece.close()
        self._queue.clear()
        self.waiting = self._files = 0

    def lose_soon(self) -> None:
        """The connection is dead, found while writing: the writer must return first, so the owner is told later."""
        if not self._is_lost:
            self._is_lost = True
            self._drop_queue()
            if not self.is_lent:
                self.poller.later(self)

    def is_lost(self) -> bool:
        """Whether the peer is known to be gone."""
        return self._is_lost

    def close(self) -> None:
        """Close now; what waits is dropped. On the loop's thread only."""
        raise NotImplementedError
