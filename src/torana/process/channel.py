"""Messages between the supervisor and a worker: JSON lines over a pair of unix sockets, descriptors beside them.

Both ends are non-blocking: what the other side does not take at once waits here, within a bound. Whatever arrives is
bounded before it is kept, and what is no message is passed over. Never here: what the messages mean.
"""

from __future__ import annotations

import array
import contextlib
import os
import select
import socket
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

Message = dict[str, Any]

#: Longest line, in bytes.
LINE_BYTES = 64 * 1024
#: Characters of a long text that are kept: its beginning (the sentence) and its end (where it went wrong). A
#: character takes at most six bytes in JSON, so that such a text fits into a line.
_HEAD, _TAIL = 2000, 8000
#: Descriptors with one message, below the 253 of Linux.
MOST_FDS = 128
#: Messages that may wait for a side that does not read.
MOST_WAITING = 1024
_READ_BYTES = 32 * 1024
#: Reads before others get their turn.
_READS = 16


class ChannelClosed(Exception):
    """The other side is gone."""


class ChannelFull(Exception):
    """The other side has not read for so long that nothing more can wait for it."""


class Channel:
    """One end. ``send`` never blocks and never fails for what the other side does: its end shows in ``receive``."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._received = bytearray()
        self._is_skipping = False
        self._fds: deque[int] = deque()
        self._waiting: deque[tuple[memoryview, tuple[int, ...]]] = deque()
        #: Whether something could not be sent for good.
        self.is_broken = False

    @classmethod
    def pair(cls) -> tuple[Channel, Channel]:
        """Two ends that speak to each other; raises ``OSError`` if there are no descriptors left."""
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        """Readable when something was said or the other side is gone."""
        return self._sock.fileno()

    @property
    def has_waiting(self) -> bool:
        """Whether something waits to be sent: call ``flush`` when the channel is writable."""
        return bool(self._waiting)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send a message, with descriptors that stay open until they are sent. Raises ``ChannelFull``."""
        if len(fds) > MOST_FDS:
            raise ValueError(f"{len(fds)} descriptors with one message; at most {MOST_FDS}")
        if len(self._waiting) >= MOST_WAITING:
            raise ChannelFull
        line = _line({**message, "fds": len(fds)} if fds else message)
        self._waiting.append((memoryview(line), tuple(fds)))
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as it goes."""
        while self._waiting:
            data, fds = self._waiting[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            try:
                sent = self._sock.sendmsg([data], rights)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                # Gone, or descriptors that cannot be sent: ``receive`` tells the one, nobody can mend the other.
                self._waiting.popleft()
                self.is_broken = True
                continue
            if sent == len(data):
                self._waiting.popleft()
            else:
                # Descriptors travel with the first bytes.
                self._waiting[0] = (data[sent:], ())

    def receive(self) -> list[tuple[Message, list[int]]]:
        """What was said since the last call; descriptors are the caller's to close. Raises ``ChannelClosed``."""
        heard: list[tuple[Message, list[int]]] = []
        for _ in range(_READS):
            try:
                data, rights, _, _ = self._sock.recvmsg(
                    _READ_BYTES, socket.CMSG_SPACE(MOST_FDS * 4), getattr(socket, "MSG_CMSG_CLOEXEC", 0)
                )
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                data, rights = b"", []
            if not data:
                if heard:
                    break  # the end is still there at the next call
                raise ChannelClosed
            for level, kind, content in rights:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self._fds.extend(_descriptors(content))
            heard += self._messages(data)
            if len(self._fds) > MOST_FDS:
                self._drop_descriptors()  # nobody who means well sends more than belong to the line that is to come
        return heard

    def is_alone(self) -> bool:
        """Whether the other side is gone, whatever it has left to be read; takes nothing out."""
        if self._sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._sock, 0)
        return any(events & (select.POLLHUP | select.POLLERR) for _, events in poll.poll(0))

    def _messages(self, data: bytes) -> list[tuple[Message, list[int]]]:
        found = []
        *lines, rest = data.split(b"\n")
        for line in lines:
            line = bytes(self._received) + line
            self._received.clear()
            is_whole, self._is_skipping = not self._is_skipping, False
            message = _message(line) if is_whole and len(line) <= LINE_BYTES else None
            if message is not None:
                found.append((message, self._descriptors_of(message)))
        self._received += rest
        if len(self._received) > LINE_BYTES:
            self._received.clear()
            self._is_skipping = True
        return found

    def _descriptors_of(self, message: Message) -> list[int]:
        count = message.pop("fds", 0)
        if not isinstance(count, int) or not 0 <= count <= len(self._fds):
            return []
        return [self._fds.popleft() for _ in range(count)]

    def close(self) -> None:
        """Close this end, and descriptors that nobody fetched."""
        self._drop_descriptors()
        self._waiting.clear()
        self._sock.close()

    def _drop_descriptors(self) -> None:
        while self._fds:
            with contextlib.suppress(OSError):
                os.close(self._fds.popleft())


def _line(message: Message) -> bytes:
    """A message as a line that is not longer than a line may be."""
    try:
        line = msgspec.json.encode(message)
    except UnicodeEncodeError:
        # A path that is no text: shown, not sent as it is.
        message = {key: _encodable(value) for key, value in message.items()}
        line = msgspec.json.encode(message)
    if len(line) >= LINE_BYTES:
        line = msgspec.json.encode({key: _cut(value) for key, value in message.items()})
    return line + b"\n"


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _HEAD + _TAIL:
        return f"{value[:_HEAD]}\n[...]\n{value[-_TAIL:]}"
    return value


def _message(line: bytes) -> Message | None:
    try:
        return msgspec.json.decode(line, type=Message)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _descriptors(content: bytes) -> list[int]:
    fds = array.array("i")
    fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    return fds.tolist()
