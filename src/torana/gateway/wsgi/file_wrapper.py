"""``wsgi.file_wrapper``: a file-like object as an iterable, and what the system can send of it by itself.

Here: which objects are truly the bytes of their descriptor. Never here: sending (``answer.py``).
PEP 3333 "Optional Platform-Specific File Handling".
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from typing import Any

_BLOCK_BYTES = 64 * 1024
_BUFFERED = (io.BufferedReader, io.BufferedRandom)


class FileWrapper:
    """Blocks of a file-like object. Only an object of exactly this type may be sent by the system."""

    def __init__(self, filelike: Any, blksize: int = _BLOCK_BYTES) -> None:
        self.filelike = filelike
        self.blksize = blksize
        # There is a close() if and only if the file has one.
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        block: bytes = self.filelike.read(self.blksize)
        if block:
            return block
        raise StopIteration


def span_of(wrapper: FileWrapper) -> tuple[int, int, int] | None:
    """(descriptor, position, bytes from there to the end) of a plain file; None where only ``read`` tells the truth.

    A descriptor alone proves nothing: a decompressing file has one too, and what lies behind it is not its content.
    """
    file = _inner(wrapper.filelike)
    kind = type(file)
    if kind in _BUFFERED:
        if type(file.raw) is not io.FileIO:
            return None
    elif kind is not io.FileIO:
        return None
    try:
        if kind is io.BufferedRandom:
            file.flush()
        fd = file.fileno()
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or not file.readable():
            return None
        position = file.tell()
    except (OSError, ValueError):
        return None
    # Files of /proc and the like say 0 and have content; reading them is right and costs nothing.
    if facts.st_size == 0:
        return None
    return fd, position, max(0, facts.st_size - position)


def _inner(file: Any) -> Any:
    """The file in the wrapper that tempfile gives a named temporary file."""
    if type(file).__module__ == "tempfile" and type(file).__name__ == "_TemporaryFileWrapper":
        return file.file
    return file
