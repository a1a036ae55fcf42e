"""Writes the lines of the log to a descriptor whose reader may be slow or asleep: a pipe, a terminal, a socket.

Neither the supervisor nor a worker's event loop may stand still because nobody reads (threat G-097): a line waits for
a moment, then it is lost, and how many were lost is said as soon as somebody reads again. Never here: what is logged.
"""

from __future__ import annotations

import logging
import os
import select

#: A pipe that is writable takes so many bytes at once (POSIX: at least 512; Linux: a page).
_PIECE_BYTES = getattr(select, "PIPE_BUF", 512)
#: How long a line waits for its reader, unless the line before it waited in vain.
_PATIENCE_MS = 200


class LineHandler(logging.Handler):
    """Writes to ``fd``, which stays open and is somebody else's."""

    def __init__(self, fd: int, encoding: str = "utf-8") -> None:
        super().__init__()
        self._fd = fd
        self._encoding = encoding
        self._lost = 0
        self._is_torn = False

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record) + "\n"
            if self._lost:
                text = f"({self._lost} lines of this log are lost: nobody read them in time)\n{text}"
            if self._is_torn:
                text = f"\n{text}"
            if self._write(text.encode(self._encoding, "backslashreplace")):
                self._lost = 0
            else:
                self._lost += 1
        except Exception:
            self.handleError(record)

    def _write(self, data: bytes) -> bool:
        """Whether all of it was written; otherwise it may have been a part."""
        patience_ms = 0 if self._lost else _PATIENCE_MS
        written = 0
        while written < len(data):
            if not self._is_writable(patience_ms):
                return False
            try:
                written += os.write(self._fd, data[written : written + _PIECE_BYTES])
            except OSError:
                # Its reader is gone, or somebody has made it non-blocking and was quicker.
                return False
            self._is_torn = written < len(data)
        return True

    def _is_writable(self, patience_ms: int) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(patience_ms))
