"""The request body as ``wsgi.input``: kept in memory while it is small, then in a temporary file without a name.

A thread is taken only when the body is complete, so nothing here blocks on a client; a client that is lost before
means that the application is not called at all. Never here: limits of the whole body (``exchange/request.py``).
PEP 3333 "Input and Error Streams".
"""

from __future__ import annotations

import io
import tempfile
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torana.exchange.roles import Channel

#: Pieces written to disk at once, so that the loop is not held up for long.
_STEP_BYTES = 64 * 1024
#: What is kept in memory is told each time it has grown by this much; less of it may wait to go to disk.
_TOLD_BYTES = 16 * 1024
#: Pieces smaller than this are gathered, for each object has a price; larger ones are not copied before the end.
_SMALL_BYTES = 4 * 1024


class NoBody(io.BytesIO):
    """The body of all requests that have none: nothing that one of them does to it is seen by another."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return 0

    def write(self, data: Any, /) -> int:
        raise io.UnsupportedOperation("not writable")

    def writelines(self, lines: Any, /) -> None:
        raise io.UnsupportedOperation("not writable")

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """It stays open for the others."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name!r} cannot be set here")


NO_BODY = NoBody()


class SpoolFull(Exception):
    """All bodies of the worker together have as much on disk as they may."""


class Spool:
    """Takes the body as it arrives; then opened once for the application.

    ``channel`` is told what is kept, and may want it on disk although there is less than ``memory_bytes`` of it.
    """

    def __init__(self, memory_bytes: int, channel: Channel | None = None) -> None:
        self._memory_bytes = memory_bytes
        self._channel = channel
        self._told = 0
        self._on_disk = 0
        self._parts: list[bytes] = []
        #: Small pieces after these, or after what is on disk, together.
        self._small = bytearray()
        self._file: io.FileIO | None = None
        #: Bytes taken so far.
        self.size = 0

    def write(self, data: bytes) -> None:
        """Add body data; ``SpoolFull``, or ``OSError`` when the disk does not take it."""
        self.size += len(data)
        if self._file is not None:
            self._put(data)
        elif self.size > self._memory_bytes or not self._may_keep():
            self._spill(data)
        elif len(data) < _SMALL_BYTES and (self._parts or self._small):
            self._small += data
            if len(self._small) >= _STEP_BYTES:
                self._gather()
        else:
            self._gather()
            self._parts.append(data)

    def complete(self) -> None:
        """All of it has been taken: what belongs on disk goes there. Raises as ``write``; then ``open`` cannot."""
        if self._file is not None:
            self._flush(self._file)

    def open(self) -> IO[bytes]:
        """The body from its beginning: seekable, BufferedReader-like, ending where the body ends."""
        self.complete()
        if self._file is not None:
            self._file.seek(0)
            return io.BufferedReader(self._file, _STEP_BYTES)
        self._gather()
        parts, self._parts = self._parts, []
        # Not copied where there is one piece, nor again by an application that reads all at once.
        return io.BytesIO(parts[0] if len(parts) == 1 else b"".join(parts))

    def discard(self) -> None:
        """Give the disk space back; whatever still reads the file then fails."""
        file, self._file = self._file, None
        self._parts.clear()
        self._small.clear()
        if file is not None:
            file.close()
        channel, self._channel = self._channel, None
        if channel is not None and self._on_disk:
            channel.spool(-self._on_disk)

    def _may_keep(self) -> bool:
        """Whether all of it may stay in memory."""
        if self._channel is None or self.size - self._told < _TOLD_BYTES:
            return True
        self._told = self.size
        return self._channel.keep(self.size)

    def _spill(self, data: bytes) -> None:
        # Unbuffered: what is written is on its way, and reading it later needs no second copy.
        self._file = tempfile.TemporaryFile(buffering=0, prefix="torana-")  # noqa: SIM115 - closed by discard
        self._gather()
        parts, self._parts = self._parts, []
        for part in (*parts, data):
            self._put(part)
        # A disk that takes nothing shows it now, not when the client has sent all.
        self._flush(self._file)
        if self._channel is not None and self._told:
            self._channel.keep(0)

    def _gather(self) -> None:
        """Make one part of the small pieces."""
        if self._small:
            self._parts.append(bytes(self._small))
            self._small.clear()

    def _put(self, data: bytes) -> None:
        """Write to the file."""
        assert self._file is not None
        size = len(data)
        if self._channel is not None:
            if not self._channel.spool(size):
                raise SpoolFull
            self._on_disk += size
        if size < _SMALL_BYTES:
            self._small += data
            if len(self._small) >= _TOLD_BYTES:
                self._flush(self._file)
        else:
            self._flush(self._file)
            _write_all(self._file, data)

    def _flush(self, file: io.FileIO) -> None:
        if self._small:
            _write_all(file, bytes(self._small))
            self._small.clear()


def _write_all(file: io.FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        written = file.write(view[:_STEP_BYTES])
        view = view[written:]
