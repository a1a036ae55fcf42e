"""ASGI messages as a response: ``send()`` (``spec.md`` ASGI-HTTP-37 to 69, EXT-*).

A message is checked and acted on when ``send`` is called, so that a mistake is raised at the application's own line
and nothing has changed. Never here: what a response may be (``exchange``).
"""

from __future__ import annotations

import os
import stat
from typing import Any

from torana.exchange.response import ApplicationError, ClientDisconnected, Response
from torana.exchange.states import CUT
from torana.gateway.asgi.ready import DONE
from torana.gateway.asgi.waiters import Waiters
from torana.gateway.known_heads import KnownHeads

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

#: Read from a source without sendfile (a pipe, a socket) in pieces of this size.
_PIECE_BYTES = 64 * 1024
#: Lists of headers seen and found good.
_HEADS = KnownHeads(bytes)


@cython.freelist(64)
@cython.cclass
class Answer:
    """One response's outbound messages."""

    def __init__(self, response: Response, is_debug: bool) -> None:
        self.begin(response, is_debug)

    def begin(self, response: Response, is_debug: bool) -> None:
        """What ``__init__`` does, for ``new_answer``."""
        self._response = response
        self._waiters: Waiters | None = None
        self._is_debug = is_debug

    def send(self, message: Any) -> Any:
        """Act on one message; awaitable that waits while the client is slow. Raises into the application."""
        return self._act(message if type(message) is dict else as_dict(message))

    def wake(self) -> None:
        """The client took what waited, or is gone."""
        if self._waiters is not None:
            self._waiters.wake()

    def _act(self, message: dict[str, Any]) -> Any:
        kind = message.get("type")
        try:
            if kind == "http.response.start":
                self._start(message)
                return DONE
            if kind == "http.response.body":
                self._write(message)
                return self._wait_drained() if self._response.channel.is_full() else DONE
            return self._other(kind, message)
        except ApplicationError as error:
            raise ApplicationError(f"{kind}: {error}") from None

    def _start(self, message: dict[str, Any]) -> None:
        response = self._response
        status = status_of(message)
        fields = message.get("headers")
        # No look for what there is no room for.
        has_trailers = (len(message) > 3 or fields is None) and bool(message.get("trailers", False))
        head = None if has_trailers else _HEADS.find(fields)
        if head is not None:
            response.start_known(status, None, head)
            return
        try:
            response.start(status, fields if fields is not None else (), None, has_trailers)
        except (TypeError, ValueError) as error:
            raise ApplicationError(f"headers must be pairs of bytes ({error})") from None
        if not has_trailers:
            _HEADS.note(fields, response)

    def _write(self, message: dict[str, Any]) -> None:
        self._response.write(body_of(message), not message.get("more_body", False))

    def _other(self, kind: Any, message: dict[str, Any]) -> Any:
        response = self._response
        if kind == "http.response.trailers":
            response.trailers(_pairs(message.get("headers", ())), not message.get("more_trailers", False))
        elif kind == "http.response.early_hint":
            response.hint(list(message.get("links", ())))
        elif kind == "http.response.pathsend":
            self._send_path(message)
            return self._wait_drained()
        elif kind == "http.response.zerocopysend":
            return self._send_file(message)
        elif kind == "http.response.debug" and self._is_debug:
            return DONE
        else:
            raise ApplicationError("unknown message type")
        return self._wait_drained() if response.channel.is_full() else DONE

    def _send_path(self, message: dict[str, Any]) -> None:
        path = message.get("path")
        if type(path) is not str or not os.path.isabs(path):
            raise ApplicationError("path must be an absolute path (str)")
        # Opened before anything is written: a missing file is still the application's to answer, with another head.
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._response.withdraw()
            raise
        is_taken = False
        try:
            facts = os.fstat(fd)
            if not stat.S_ISREG(facts.st_mode):
                raise ApplicationError("path is not a regular file")
            is_taken = self._response.write_file(fd, 0, facts.st_size, True)
        finally:
            if not is_taken:
                os.close(fd)

    def _send_file(self, message: dict[str, Any]) -> Any:
        try:
            fd = message["file"].fileno()
        except (KeyError, AttributeError, OSError):
            raise ApplicationError("file must be open and have a descriptor") from None
        is_last = not message.get("more_body", False)
        offset, count = message.get("offset"), message.get("count")
        for value in (offset, count):
            if value is not None and (type(value) is not int or value < 0):
                raise ApplicationError("offset and count must be non-negative ints")
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            return self._copy(os.dup(fd), count, is_last)
        start = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
        rest = max(0, facts.st_size - start)
        count = rest if count is None else min(count, rest)
        # The application may close its file as soon as send() returns, so the transfer has a descriptor of its own.
        own = os.dup(fd)
        is_taken = False
        try:
            is_taken = self._response.write_file(own, start, count, is_last)
            if offset is None:
                os.lseek(fd, start + count, os.SEEK_SET)
        finally:
            if not is_taken:
                os.close(own)
        return self._wait_drained() if self._response.channel.is_full() else DONE

    async def _copy(self, fd: int, count: int | None, is_last: bool) -> None:
        """Send from a source that sendfile cannot read; reads block, so they run on the loop's executor."""
        import asyncio

        loop = asyncio.get_running_loop()
        try:
            while count is None or count > 0:
                size = _PIECE_BYTES if count is None else min(_PIECE_BYTES, count)
                data = await loop.run_in_executor(None, os.read, fd, size)
                if not data:
                    break
                self._response.write(data, False)
                await self._wait_drained()
                if count is not None:
                    count -= len(data)
        finally:
            os.close(fd)
        if is_last:
            self._response.write(b"", True)

    async def _wait_drained(self) -> None:
        response = self._response
        while response.channel.is_full() and not response.is_over():
            if self._waiters is None:
                self._waiters = Waiters()
            await self._waiters.add()
        if response.state == CUT:
            raise ClientDisconnected("the client is gone")


def new_answer(response: Response, is_debug: bool) -> Answer:
    """``Answer(...)``, without the cost of a call through the type."""
    made = Answer.__new__(Answer)
    made.begin(response, is_debug)
    return made


def as_dict(message: Any) -> dict[str, Any]:
    """A message of some class of dicts as a plain one; all else raises ``ApplicationError``."""
    if isinstance(message, dict):
        return dict(message)
    raise ApplicationError(f"a message must be a dict, found {type(message).__name__}")


def status_of(message: dict[str, Any]) -> int:
    """The status in the start of a response; raises ``ApplicationError`` when it is not a number."""
    status = message.get("status")
    if type(status) is not int:
        if not isinstance(status, int) or isinstance(status, bool):
            raise ApplicationError(f"status must be an int, found {type(status).__name__}")
        status = int(status)
    return status


def body_of(message: dict[str, Any]) -> Any:
    """The bytes-like body in a message; raises ``ApplicationError`` when it is something else."""
    body = message.get("body", b"")
    kind = type(body)
    if kind is not bytes and kind is not bytearray and kind is not memoryview:
        raise ApplicationError(f"body must be bytes, found {kind.__name__}")
    if kind is memoryview and (body.itemsize != 1 or not body.c_contiguous):
        body = bytes(body)
    return body


def _pairs(fields: Any) -> list[tuple[bytes, bytes]]:
    try:
        return [(name, value) for name, value in fields]
    except (TypeError, ValueError):
        raise ApplicationError("headers must be pairs of bytes") from None
