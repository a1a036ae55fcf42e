"""Request bodies: by Content-Length and chunked, with the trailer section (RFC 9112 sections 6 and 7).

Data is handed over as it came; small chunks that arrived together become one piece. Chunk extensions are checked,
bounded and thrown away. Never here: deciding the framing (``framing``), or how large a body may be (``serve``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torana.base.bytescan import HEX, hexadecimal, span
from torana.base.trailers import is_forbidden_trailer
from torana.wire.events import EndOfBody, WireError
from torana.wire.http1.framing import CHUNKED, LENGTH, NO_BODY
from torana.wire.http1.parser import split_field
from torana.wire.http1.received import INCOMPLETE, TOO_LONG

if TYPE_CHECKING:
    from torana.wire.http1.limits import Limits
    from torana.wire.http1.received import Received

# Where in a chunked body the next byte stands.
_SIZE = 0
_DATA = 1
_DATA_CR = 2
_DATA_LF = 3
_TRAILERS = 4
_END = 5

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*"'
#: chunk-ext (RFC 9112 section 7.1.1), but ASCII only; the pieces exclude each other, so it cannot backtrack far.
_EXTENSION = re.compile(rb"(?:[ \t]*;[ \t]*" + _TOKEN + rb"(?:[ \t]*=[ \t]*(?:" + _TOKEN + rb"|" + _QUOTED + rb"))?)+")


class BodyReader:
    """Reads one request body after another."""

    def __init__(self, limits: Limits) -> None:
        self._chunk_line_bytes = limits.chunk_line_bytes
        self._extension_bytes = limits.chunk_extension_bytes
        self._overhead_bytes = limits.chunk_overhead_bytes
        self._field_bytes = limits.field_bytes
        self._trailer_bytes = limits.trailer_bytes
        self._field_count = limits.field_count
        self.begin(0)

    def begin(self, length: int) -> int:
        """Be ready for a body of ``length`` bytes, -1 for a chunked one."""
        self._framing = CHUNKED if length < 0 else LENGTH if length > 0 else NO_BODY
        self._stage = _SIZE
        self._remaining = length if length > 0 else 0
        self._data_read = 0
        self._overhead = 0
        self._extensions = 0
        self._trailer_left = self._trailer_bytes
        self._trailers: list[tuple[bytes, bytes]] = []
        self._fault: WireError | None = None
        return 0

    def read(self, received: Received) -> bytes | EndOfBody | None:
        """Data (never empty), or the end, or None when more bytes are needed. Raises ``WireError``."""
        if self._framing == LENGTH:
            return self._read_length(received)
        return self._read_chunked(received)

    def _read_length(self, received: Received) -> bytes | EndOfBody | None:
        if self._remaining == 0:
            return EndOfBody([])
        data = received.take(self._remaining)
        self._remaining -= len(data)
        return data or None

    def _read_chunked(self, received: Received) -> bytes | EndOfBody | None:
        if self._fault is not None:
            raise self._fault
        parts: list[bytes] = []
        while True:
            try:
                part = self._next_part(received)
            except WireError as fault:
                if not parts:
                    raise
                # What came before the fault is handed over first, however the bytes were cut.
                self._fault = fault
                part = None
            if isinstance(part, bytes):
                parts.append(part)
            elif parts:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            else:
                return None if part is None else EndOfBody(self._trailers)

    def _next_part(self, received: Received) -> bytes | BodyReader | None:
        """The next data of a chunk, None when bytes are missing, ``self`` at the end."""
        while True:
            if self._stage == _DATA:
                data = received.take(self._remaining)
                if not data:
                    return None
                self._remaining -= len(data)
                self._data_read += len(data)
                if self._remaining == 0:
                    self._stage = _DATA_CR
                return data
            if self._stage == _SIZE:
                if not self._read_size(received):
                    return None
            elif self._stage == _TRAILERS:
                if not self._read_trailers(received):
                    return None
            elif self._stage == _END:
                return self
            elif not self._read_data_end(received):
                return None

    def _read_size(self, received: Received) -> bool:
        """Read a chunk-size line; False when it is cut."""
        stop = received.line(self._chunk_line_bytes)
        if stop < 0:
            if stop == INCOMPLETE:
                return False
            if stop == TOO_LONG:
                raise WireError(400, "long-chunk-line", "limit_chunk_line")
            raise WireError(400, "bad-chunk-line")
        start = received.position
        raw = received.data
        digits = span(HEX, raw, start, stop)
        size = hexadecimal(raw, start, digits)
        if size < 0:
            raise WireError(400, "bad-chunk-size")
        if digits < stop:
            self._extensions += stop - digits
            if not is_extension(received.data[digits:stop]):
                raise WireError(400, "bad-chunk-extension")
            if self._extensions > self._extension_bytes:
                raise WireError(400, "chunk-extensions", "limit_chunk_extension")
        # The line, and the two CRLF of this chunk.
        self._overhead += stop - start + 4
        if self._overhead > self._overhead_bytes + self._data_read // 4:
            raise WireError(400, "chunk-overhead", "limit_chunk_overhead")
        received.position = stop + 2
        self._remaining = size
        self._stage = _DATA if size else _TRAILERS
        return True

    def _read_data_end(self, received: Received) -> bool:
        """Read the CRLF behind a chunk's data; False when it is cut."""
        while received.refill():
            raw = received.data
            if raw[received.position] != (0x0D if self._stage == _DATA_CR else 0x0A):
                raise WireError(400, "bad-chunk-end")
            received.position += 1
            if self._stage == _DATA_LF:
                self._stage = _SIZE
                return True
            self._stage = _DATA_LF
        return False

    def _read_trailers(self, received: Received) -> bool:
        """Read the trailer section and the empty line after it; False when it is cut."""
        while True:
            bound = min(self._field_bytes, self._trailer_left)
            stop = received.line(bound)
            if stop < 0:
                if stop == INCOMPLETE:
                    return False
                if stop == TOO_LONG:
                    raise WireError(431, "long-trailers", "limit_trailer")
                raise WireError(400, "bad-line")
            start = received.position
            received.position = stop + 2
            if stop == start:
                self._stage = _END
                return True
            self._trailer_left = max(0, self._trailer_left - (stop + 2 - start))
            name, value = split_field(received.data[start:stop])
            if is_forbidden_trailer(name):
                raise WireError(400, "forbidden-trailer")
            self._trailers.append((name, value))
            if len(self._trailers) > self._field_count:
                raise WireError(431, "many-trailers", "limit_field_count")


def is_extension(text: bytes) -> bool:
    """Whether what follows a chunk size is a list of chunk extensions (RFC 9112 section 7.1.1)."""
    return _EXTENSION.fullmatch(text) is not None
