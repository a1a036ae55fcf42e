"""``wsgi.errors``: a text stream into the error log, one record a line, never half a line of one thread in another's.

Never here: where the log goes (the deployer's logging configuration). PEP 3333 "Input and Error Streams".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

#: A line that never ends is written in parts of this many characters.
_LINE_CHARACTERS = 64 * 1024


class ErrorStream:
    """One for all requests. A line is kept with its thread until it is complete or flushed."""

    def __init__(self, logger: logging.Logger) -> None:
        self.encoding = "utf-8"
        self.errors = "backslashreplace"
        self.closed = False
        self._logger = logger
        self._local = threading.local()
        #: Some thread may hold a part of a line.
        self.has_parts = False

    def write(self, text: str) -> int:
        """Take any text; what is complete by its line's end is logged now."""
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {type(text).__name__}")
        held = getattr(self._local, "part", "")
        *lines, part = (held + text).split("\n")
        for line in lines:
            self._emit(line)
        while len(part) > _LINE_CHARACTERS:
            self._emit(part[:_LINE_CHARACTERS])
            part = part[_LINE_CHARACTERS:]
        if part:
            self.has_parts = True
        if part or held:
            self._local.part = part
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each of them."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Log what this thread holds of an unfinished line."""
        part = getattr(self._local, "part", "")
        if part:
            self._local.part = ""
            self._emit(part)

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def _emit(self, line: str) -> None:
        if not line.isascii():
            # Lone surrogates would fail in a handler that encodes.
            line = line.encode("utf-8", "backslashreplace").decode("utf-8")
        self._logger.error("%s", line)
