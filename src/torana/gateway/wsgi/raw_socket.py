"""The connection as a socket, for WSGI applications that speak WebSocket themselves (simple-websocket and its users).

Stands in ``environ`` of a WebSocket handshake and takes nothing until it is used; from then on HTTP is over for this
connection, and it lives until the application returns. A thread is held for so long: how many are is counted here.
Never here: WebSocket; the connection itself (``exchange.roles.RawStream``).
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from typing import TYPE_CHECKING, Any, Self

from torana.base.headers import tokens
from torana.wire.events import HTTP_1_1

if TYPE_CHECKING:
    from collections.abc import Callable

    from torana.base.endpoints import Endpoints
    from torana.exchange.request import Request
    from torana.exchange.roles import RawStream

#: Where simple-websocket looks; the first one found is taken, the other is for those who know only that.
KEYS = ("werkzeug.socket", "gunicorn.socket")


class OpenSockets:
    """How many threads of a gateway are held by sockets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Sockets taken so far, and those of them whose application has not returned.
        self.taken = 0
        self.held = 0

    def add(self) -> None:
        """One was taken."""
        with self._lock:
            self.taken += 1
            self.held += 1

    def remove(self) -> None:
        """Its application has returned."""
        with self._lock:
            self.held -= 1


class RawSocket:
    """Like a ``socket.socket``, as far as a stream needs it; safe to be used by several threads.

    ``take`` gives the connection, or None when it is too late for that.
    """

    def __init__(self, take: Callable[[], RawStream | None], endpoints: Endpoints, sockets: OpenSockets) -> None:
        self._take = take
        self._sockets = sockets
        self._endpoints = endpoints
        self._lock = threading.Lock()
        self._stream: RawStream | None = None
        self._is_closed = False
        self._timeout_s: float | None = None

    # Bytes

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Up to ``size`` bytes, as soon as some are there; b"" at the end."""
        _no_flags(flags)
        return self._open().recv(size, self._timeout_s)

    def recv_into(self, buffer: Any, size: int = 0, flags: int = 0) -> int:
        """As ``recv``, into a buffer."""
        view = memoryview(buffer).cast("B")
        data = self.recv(size or len(view), flags)
        view[: len(data)] = data
        return len(data)

    def send(self, data: Any, flags: int = 0) -> int:
        """Send ``data``, all of it unless a timeout comes between: those who call this seldom look at the result."""
        _no_flags(flags)
        return self._open().send(data, self._timeout_s)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of ``data``, or raise."""
        if self.send(data, flags) < memoryview(data).nbytes:
            raise TimeoutError("timed out")

    # Its end

    def shutdown(self, how: int) -> None:
        """Of the writing half, or of both; that of the reading half alone changes nothing."""
        if how == socket.SHUT_WR:
            self._open().finish()
        elif how == socket.SHUT_RDWR:
            self._open().close()

    def close(self) -> None:
        """The application is done; the client sees the end at once."""
        with self._lock:
            self._is_closed = True
            stream = self._stream
        if stream is not None:
            stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What else is asked of a socket

    def fileno(self) -> int:
        """A descriptor for ``select`` and its kind, to wait until ``recv`` has something; -1 when closed."""
        return -1 if self._is_closed else self._open().fileno()

    def settimeout(self, timeout_s: float | None) -> None:
        """None: wait as long as it takes; 0: never wait."""
        if timeout_s is not None and timeout_s < 0:
            raise ValueError("Timeout value out of range")
        self._timeout_s = timeout_s

    def gettimeout(self) -> float | None:
        """As set."""
        return self._timeout_s

    def setblocking(self, is_blocking: bool) -> None:
        """Another way to say None or 0."""
        self._timeout_s = None if is_blocking else 0.0

    def getblocking(self) -> bool:
        """Whether it waits at all."""
        return self._timeout_s != 0

    def getpeername(self) -> Any:
        """The client, as REMOTE_ADDR tells it; "" on a unix socket."""
        return self._endpoints.client or ""

    def getsockname(self) -> Any:
        """Our end."""
        return self._endpoints.server or ""

    def setsockopt(self, level: int, name: int, value: Any) -> None:
        """Passed on."""
        self._open().option(level, name, value)

    def getsockopt(self, level: int, name: int) -> Any:
        """Passed on."""
        return self._open().option(level, name)

    def _open(self) -> RawStream:
        stream = self._stream
        if stream is None or self._is_closed:
            with self._lock:
                if self._is_closed:
                    raise OSError(errno.EBADF, os.strerror(errno.EBADF))
                stream = self._stream
                if stream is None:
                    stream = self._stream = self._take()
                    if stream is not None:
                        self._sockets.add()
                if stream is None:
                    raise OSError(errno.ENOTCONN, "the answer was begun, or the request is over: there is no socket")
        return stream


def offer(
    environ: dict[str, Any], request: Request, take: Callable[[], RawStream | None], sockets: OpenSockets
) -> None:
    """Put the socket into ``environ`` if the request is a WebSocket handshake, with the two fields that libraries look
    for: of all other requests they are left out.
    """
    head = request.head
    if head.version != HTTP_1_1 or head.method != "GET" or head.content_length != 0 or head.upgrade is None:
        return
    if b"websocket" not in tokens(head.upgrade):
        return
    environ["HTTP_CONNECTION"] = "Upgrade"
    environ["HTTP_UPGRADE"] = "websocket"
    raw = RawSocket(take, request.endpoints, sockets)
    for key in KEYS:
        environ[key] = raw


def _no_flags(flags: int) -> None:
    if flags:
        raise OSError(errno.EOPNOTSUPP, "flags are not supported")
