"""A connection for threads that may wait: what they receive and send blocks them, and them alone.

The socket, plain or TLS, stays as it is, non-blocking; whoever has to wait does so in ``poll``, and is woken at once
when the connection is taken back. Several threads may receive and send at once, under one lock that nobody holds while
waiting: an OpenSSL object must not be used by two. Never here: the loop, who may have a connection, protocols.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import ssl
import threading
import time
from typing import Any

from torana.net.outlet import Outlet

_WANTS_READ = (BlockingIOError, InterruptedError, ssl.SSLWantReadError)
#: A peer that has vanished is noticed after about two minutes: seconds until the first probe, between probes, probes.
_KEEP_ALIVE = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))


class BlockingSocket:
    """The connection of a lent transport, until ``end``.

    ``rest``: bytes that were received already, given first. ``idle_s``: a peer that takes nothing for so long is given
    up (0: never).
    """

    def __init__(self, transport: Outlet, rest: bytes, idle_s: float) -> None:
        self._transport: Outlet | None = transport
        self._sock: Any = transport.sock
        self._stream: Any = transport.stream()
        self._fd = transport.fd
        self._rest = memoryview(rest)
        self._idle_s = idle_s
        # What OpenSSL has decrypted and nobody has received.
        self._pending = getattr(self._stream, "pending", None)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._over = Flag()
        self._readiness: Readiness | None = None
        self._is_finished = False
        #: Nothing goes either way any more.
        self.is_over = False
        #: It was given up because the peer took nothing.
        self.is_slow = False
        #: Bytes that the socket has taken.
        self.sent = 0
        _keep_alive(transport.sock)

    def recv(self, size: int, timeout_s: float | None) -> bytes:
        """Up to ``size`` bytes as soon as there are any; b"" at the end.

        ``timeout_s`` None waits as long as it takes, 0 raises ``BlockingIOError`` where it would have to wait, others
        ``TimeoutError`` after that time. Raises ``OSError`` when the connection broke.
        """
        if size <= 0:
            return b""
        until = _until(timeout_s)
        while True:
            event = select.POLLIN
            with self._lock:
                if self.is_over:
                    return b""
                try:
                    data = self._receive(size)
                    self._note_inside()
                    return data
                except _WANTS_READ:
                    pass
                except ssl.SSLWantWriteError:
                    event = select.POLLOUT
            if not self._wait(event, _left(until, timeout_s)):
                raise TimeoutError("timed out")

    def send(self, data: Any, timeout_s: float | None) -> int:
        """Send all of ``data`` (bytes-like) and return its size; less only when ``timeout_s`` passes after a part.

        Times and errors as for ``recv``; ``BrokenPipeError`` once the connection is over.
        """
        view = memoryview(data).cast("B")
        until = _until(timeout_s)
        at = 0
        with self._sending:
            while at < len(view):
                event = select.POLLOUT
                with self._lock:
                    if self.is_over or self._is_finished:
                        raise BrokenPipeError("the connection is over")
                    try:
                        taken: int = self._stream.send(view[at:] if at else view)
                        at += taken
                        self.sent += taken
                        continue
                    except _WANTS_READ as error:
                        if isinstance(error, ssl.SSLWantReadError):
                            event = select.POLLIN
                    except ssl.SSLWantWriteError:
                        pass
                try:
                    self._wait_for_room(event, until, timeout_s)
                except (TimeoutError, BlockingIOError):
                    if at and not self.is_over:
                        return at
                    raise
        return at

    def fileno(self) -> int:
        """A descriptor to wait at: readable when ``recv`` would not wait, or the connection is over; -1 after that."""
        with self._lock:
            if self._readiness is None:
                if self.is_over:
                    return -1
                self._readiness = Readiness(self._fd, self._over.fd)
                self._note_inside()
            return self._readiness.fileno()

    def option(self, level: int, name: int, *value: Any) -> Any:
        """``setsockopt`` with a value, ``getsockopt`` with none or the size of a buffer."""
        with self._lock:
            if self.is_over:
                raise BrokenPipeError("the connection is over")
            if len(value) == 1:
                return self._sock.setsockopt(level, name, value[0])
            return self._sock.getsockopt(level, name)

    def finish(self) -> None:
        """Send FIN; receiving goes on."""
        with self._lock:
            if not self.is_over and not self._is_finished:
                self._is_finished = True
                if self._pending is not None:
                    # close_notify goes if it can go now, as ever; the peer's is not waited for.
                    with contextlib.suppress(OSError, ValueError):
                        self._stream.unwrap()
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._sock, socket.SHUT_WR)

    def close(self) -> None:
        """Send FIN, and receive nothing more."""
        self.finish()
        self.is_over = True
        self._over.up()

    def stop(self) -> None:
        """End both ways at once and wake all that wait; waits for nobody."""
        self.is_over = True
        self._over.up()
        # Of the socket object: it knows whether its descriptor is still its own.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)

    def end(self) -> None:
        """Take the connection back: when this returns, no thread is or will be at the socket."""
        with self._lock:
            self.is_over = True
            self._transport = None
            self._rest = memoryview(b"")
        self._over.up()

    # Inside

    def _receive(self, size: int) -> bytes:
        if self._rest:
            data = bytes(self._rest[:size])
            self._rest = self._rest[len(data) :]
            return data
        received: bytes = self._stream.recv(size)
        return received

    def _note_inside(self) -> None:
        """Bytes that the kernel knows nothing of are waited for too."""
        if self._readiness is not None:
            self._readiness.note(bool(self._rest) or (self._pending is not None and self._pending() > 0))

    def _wait(self, event: int, limit_s: float | None) -> bool:
        """Until the socket is ready or the connection over; False when ``limit_s`` has passed before."""
        poll = select.poll()
        poll.register(self._fd, event)
        poll.register(self._over.fd, select.POLLIN)
        return bool(poll.poll(None if limit_s is None else math.ceil(limit_s * 1000)))

    def _wait_for_room(self, event: int, until: float, timeout_s: float | None) -> None:
        # The kernel tells of room late; what left its buffer shows whether the peer is alive (see ``Outlet``).
        level = self._outgoing()
        moved = time.monotonic()
        while True:
            left = _left(until, timeout_s)
            if left is None or (self._idle_s and left > self._idle_s / 4):
                left = self._idle_s / 4 or None
            if self._wait(event, left):
                return
            now = time.monotonic()
            if timeout_s is not None and now >= until:
                raise TimeoutError("timed out")
            outgoing = self._outgoing()
            if outgoing < level:
                level, moved = outgoing, now
            elif self._idle_s and now - moved >= self._idle_s:
                self.is_slow = True
                self.stop()
                raise TimeoutError("the client takes nothing")

    def _outgoing(self) -> int:
        with self._lock:
            return 0 if self._transport is None else self._transport.outgoing()


class Flag:
    """A descriptor that is readable while the flag is up."""

    fd = _other = -1

    def __init__(self) -> None:
        self.fd, self._other = os.pipe()
        self.is_up = False

    def up(self) -> None:
        """Raise it."""
        if not self.is_up:
            self.is_up = True
            os.write(self._other, b"\0")

    def down(self) -> None:
        """Lower it; by whoever alone raises it."""
        if self.is_up:
            self.is_up = False
            os.read(self.fd, 1)

    def __del__(self) -> None:
        # Only when no thread can be waiting for it.
        if self.fd >= 0:
            os.close(self.fd)
            os.close(self._other)


class Readiness:
    """One descriptor for several: readable while one of ``fds`` is, or something is inside."""

    def __init__(self, *fds: int) -> None:
        self._inside = Flag()
        self._poll: Any
        if hasattr(select, "epoll"):
            self._poll = select.epoll()
            for fd in (*fds, self._inside.fd):
                self._poll.register(fd, select.EPOLLIN | select.EPOLLRDHUP)
        else:
            self._poll = select.kqueue()  # type: ignore[attr-defined,unused-ignore]
            changes = [select.kevent(fd) for fd in (*fds, self._inside.fd)]  # type: ignore[attr-defined,unused-ignore]
            self._poll.control(changes, 0)

    def fileno(self) -> int:
        """The one descriptor."""
        number: int = self._poll.fileno()
        return number

    def note(self, is_inside: bool) -> None:
        """Say whether something is inside."""
        if is_inside:
            self._inside.up()
        else:
            self._inside.down()


def _until(timeout_s: float | None) -> float:
    return time.monotonic() + timeout_s if timeout_s else 0.0


def _left(until: float, timeout_s: float | None) -> float | None:
    if timeout_s is None:
        return None
    if not timeout_s:
        raise BlockingIOError("nothing can be done without waiting")
    return max(0.0, until - time.monotonic())


def _keep_alive(sock: socket.socket) -> None:
    """Nobody but the application speaks on it, and it may only listen: let the kernel find out who has vanished."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEP_ALIVE:
            number = getattr(socket, name, None)
            if number is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, number, value)
