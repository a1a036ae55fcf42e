"""What Tornado's ``detach()`` gives: an ``IOStream`` in its public methods, on the bytes of an upgraded exchange.

Tornado's own WebSocket code runs on it as it is, over HTTP/1.1 and HTTP/2. Reads take what has arrived; while nobody
reads, no more than a bound is taken in. Never here: WebSocket, HTTP.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

from tornado.ioloop import IOLoop
from tornado.iostream import StreamBufferFullError, StreamClosedError, UnsatisfiableReadError
from tornado.websocket import WebSocketHandler

from torana.exchange.carrier import Carrier, Speaker
from torana.gateway.failure import logger
from torana.gateway.tornado.peer import Peer

if TYPE_CHECKING:
    from torana.gateway.tornado.gateway import TornadoGateway

#: Taken in while nobody reads; bytes.
_READ_AHEAD = 64 * 1024
#: The most that a read may wait for; Tornado's own default.
_MOST_BYTES = 100 * 1024 * 1024
#: Smaller pieces are sent with those of others.
_SMALL_BYTES = 8 * 1024

#: What a pending read waits for.
_NOTHING = 0
_BYTES = 1
_DELIMITER = 2
_PATTERN = 3
_CLOSE = 4

#: Going away (RFC 6455 section 7.4.1).
_GOING_AWAY = 1001


class Stream(Speaker):
    """On the loop's thread, like everything of Tornado's."""

    def __init__(self, gateway: TornadoGateway, peer: Peer) -> None:
        self._gateway = gateway
        self._loop = gateway.loop
        #: A future that is.
        self._done = gateway.done
        self._peer = peer
        self._carrier: Any = None
        self._handler: Any = None
        #: Whoever has detached it.
        self._task: Any = None
        self._stops = 0
        self._pieces: deque[bytes] = deque()
        #: How much of the first piece was taken, and how much there is in all.
        self._start = 0
        self._size = 0
        self._is_reading = True
        self._is_closed = False
        self._is_settled = False
        self._reader: Any = None
        self._wants = _NOTHING
        self._count = 0
        self._is_partial = False
        self._pattern: Any = None
        self._most = 0
        self._target: Any = None
        self._writers: deque[Any] = deque()
        self._close_callback: Any = None
        #: Why it was closed, if something was wrong.
        self.error: BaseException | None = None
        self.max_buffer_size = _MOST_BYTES
        self.read_chunk_size = _READ_AHEAD
        self.max_write_buffer_size: int | None = None

    def carried_by(self, carrier: Carrier) -> None:
        """The exchange was upgraded."""
        self._carrier = carrier
        self._gateway.streams.add(self)

    def belongs_to(self, handler: Any, task: Any) -> None:
        """Who has detached it: a handler that can close it in its own way, and the task that this happened in."""
        self._handler = handler
        self._task = task
        if task is not None:
            task.add_done_callback(self._task_ended)

    # Told by the carrier

    def received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        if self._reader is not None:
            self._try()
        if self._is_reading and self._size >= _READ_AHEAD and self._reader is None and not self._is_closed:
            self._is_reading = False
            self._carrier.set_reading(False)

    def drained(self) -> None:
        while self._writers:
            future = self._writers.popleft()
            if not future.done():
                future.set_result(None)

    def lost(self) -> None:
        if not self._is_closed:
            self._end(is_lost=True)

    def stop(self) -> None:
        """First time: have the handler say goodbye. Second time: cut it. Third time: cancel it."""
        self._stops += 1
        if self._stops == 1:
            self._say_goodbye()
        elif not self._is_closed:
            self._carrier.cut()
            self._end(is_lost=True)
        elif self._task is not None:
            self._gateway.tasks.cancel(self._handler)
            self._task.cancel()

    def is_over(self) -> bool:
        return self._is_closed and self._task is None

    # What Tornado's streams offer

    @property
    def io_loop(self) -> Any:
        """The loop that everything runs on."""
        return IOLoop.current()

    @property
    def socket(self) -> Any:
        """What can be said of the other end."""
        return self._peer

    def read_bytes(self, num_bytes: int, partial: bool = False) -> Any:
        """Awaitable of so many bytes; with ``partial`` of at least one of them."""
        size = self._size
        if self._reader is None and (size >= num_bytes or (partial and size)):
            return self._finished(self._take(num_bytes if size >= num_bytes else size))
        return self._read(_BYTES, num_bytes, partial, None, None)

    def read_into(self, buf: Any, partial: bool = False) -> Any:
        """Awaitable of how many bytes were put into ``buf``: all that it holds, or with ``partial`` at least one."""
        return self._read(_BYTES, len(buf), partial, None, None, buf)

    def read_until(self, delimiter: bytes, max_bytes: int | None = None) -> Any:
        """Awaitable of everything up to ``delimiter``, which is part of it."""
        return self._read(_DELIMITER, 0, False, delimiter, max_bytes)

    def read_until_regex(self, regex: bytes, max_bytes: int | None = None) -> Any:
        """Awaitable of everything up to what the pattern matches, which is part of it."""
        return self._read(_PATTERN, 0, False, re.compile(regex), max_bytes)

    def read_until_close(self) -> Any:
        """Awaitable of everything up to the end."""
        if self._is_closed:
            return self._finished(self._take(self._size))
        return self._read(_CLOSE, 0, False, None, None)

    def write(self, data: Any) -> Any:
        """Send; the future is done when the client takes it fast enough for more."""
        if self._is_closed:
            raise StreamClosedError(real_error=self.error)
        # Whoever gives a view may change what lies behind it.
        piece = data if type(data) is bytes else bytes(data)
        carrier = self._carrier
        if piece:
            if len(piece) <= _SMALL_BYTES:
                carrier.post(piece)
            else:
                carrier.write(b"", piece)
            if self._is_closed:
                raise StreamClosedError(real_error=self.error)
        if not carrier.is_full():
            return self._done
        future = self._loop.create_future()
        self._writers.append(future)
        return future

    def close(self, exc_info: Any = False) -> None:
        """End the stream behind what was written; with an error, now."""
        if self._is_closed:
            return
        if exc_info:
            if isinstance(exc_info, BaseException):
                self.error = exc_info
            else:
                self.error = (exc_info if isinstance(exc_info, tuple) else sys.exc_info())[1]
        if self._carrier is not None:
            if self.error is None:
                self._carrier.finish()
            else:
                self._carrier.cut()
        self._end(is_lost=False)

    def set_close_callback(self, callback: Any) -> None:
        """Have it called when the stream is closed, by either end."""
        self._close_callback = callback
        if callback is not None and self._is_closed:
            self._call_back()

    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._is_closed

    def reading(self) -> bool:
        """Whether somebody waits for data."""
        return self._reader is not None

    def writing(self) -> bool:
        """Whether something waits to be sent."""
        return len(self._writers) > 0

    def set_nodelay(self, value: bool) -> None:
        """Nothing is ever delayed here."""

    def get_fd_error(self) -> None:
        """There is no descriptor of its own."""

    def fileno(self) -> int:
        """There is no descriptor of its own."""
        raise OSError("this stream is not a socket: its bytes are carried by the server")

    # Reading

    def _read(
        self, wants: int, count: int, is_partial: bool, pattern: Any, most: int | None, target: Any = None
    ) -> Any:
        if self._reader is not None and not self._reader.done():
            raise AssertionError("Already reading")
        self._wants, self._count, self._is_partial, self._pattern = wants, count, is_partial, pattern
        self._most = most or 0
        self._target = target
        self._reader = future = self._loop.create_future()
        self._try()
        if future.done():
            return future
        if self._is_closed:
            self._reader = None
            raise StreamClosedError(real_error=self.error)
        self._read_on()
        return future

    def _try(self) -> None:
        """Finish the pending read if it can be."""
        future = self._reader
        if future.done():
            # Somebody has lost patience.
            self._reader = None
            return
        try:
            count = self._ready()
        except (UnsatisfiableReadError, StreamBufferFullError) as error:
            logger.info("A detached stream is closed: %s", error)
            self.close(error)
            return
        if count >= 0:
            self._reader = None
            data = self._take(count)
            if self._target is not None:
                self._target[: len(data)] = data
                self._target = None
                future.set_result(len(data))
            else:
                future.set_result(data)

    def _ready(self) -> int:
        """How many bytes the pending read takes; -1 when more have to come first."""
        size = self._size
        if self._wants == _BYTES:
            if size >= self._count:
                return self._count
            if self._is_partial and size:
                return size
        elif self._wants != _CLOSE:
            data = self._joined()
            if self._wants == _DELIMITER:
                found = data.find(self._pattern)
                end = found + len(self._pattern) if found >= 0 else -1
            else:
                match = self._pattern.search(data)
                end = match.end() if match is not None else -1
            if self._most and (end > self._most or (end < 0 and size > self._most)):
                raise UnsatisfiableReadError(f"delimiter not within {self._most} bytes")
            if end >= 0:
                return end
        if size > self.max_buffer_size:
            raise StreamBufferFullError("Reached maximum read buffer size")
        return -1

    def _joined(self) -> bytes:
        """All that is there, as one piece."""
        if len(self._pieces) != 1 or self._start:
            data = b"".join(self._pieces)[self._start :]
            self._pieces.clear()
            self._pieces.append(data)
            self._start = 0
        return self._pieces[0]

    def _take(self, count: int) -> bytes:
        """The first ``count`` bytes, which are there."""
        if count == 0:
            return b""
        first: bytes = self._pieces[0]
        start = self._start
        if len(first) - start < count:
            first = self._joined()
            start = 0
        end = start + count
        self._size -= count
        if end == len(first):
            self._pieces.popleft()
            self._start = 0
        else:
            self._start = end
        if not self._is_reading and self._size < _READ_AHEAD:
            self._read_on()
        return first if count == len(first) else first[start:end]

    def _read_on(self) -> None:
        if not self._is_reading and not self._is_closed:
            self._is_reading = True
            self._carrier.set_reading(True)

    def _finished(self, data: bytes) -> Any:
        future = self._loop.create_future()
        future.set_result(data)
        return future

    # The end

    def _say_goodbye(self) -> None:
        close = getattr(self._handler, "close", None)
        if close is None or self._is_closed:
            return
        try:
            close(_GOING_AWAY)
        except Exception:
            logger.exception("A handler failed to close its WebSocket.")

    def _end(self, is_lost: bool) -> None:
        self._is_closed = True
        reader = self._reader
        if reader is not None:
            if self._wants == _CLOSE and self.error is None and not reader.done():
                reader.set_result(self._take(self._size))
            elif not reader.done():
                reader.set_exception(StreamClosedError(real_error=self.error))
                # Whether anybody looks at it or not.
                reader.exception()
            self._reader = None
        while self._writers:
            future = self._writers.popleft()
            if future.done():
                continue
            if is_lost:
                future.set_exception(StreamClosedError(real_error=self.error))
                future.exception()
            else:
                # What was written is still on its way.
                future.set_result(None)
        self._call_back()
        self._settle()

    def _call_back(self) -> None:
        callback = self._close_callback
        self._close_callback = None
        if callback is not None:
            self._loop.call_soon(callback)

    def _task_ended(self, task: Any) -> None:
        self._task = None
        if not self._is_closed and isinstance(self._handler, WebSocketHandler):
            # Nobody reads messages any more: a handler has failed (up to Tornado 6.5).
            try:
                self._handler.on_connection_close()
            except Exception:
                logger.exception("A WebSocket handler failed at its end.")
            self.close()
        self._settle()

    def _settle(self) -> None:
        if self._is_closed and self._task is None and not self._is_settled:
            self._is_settled = True
            self._handler = None
            self._gateway.streams.discard(self)
            if self._carrier is not None:
                self._carrier.settled()


def running_task() -> Any:
    """The task that this is called in, if it is one."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
