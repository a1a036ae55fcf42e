"""Bytes received and not yet parsed, and where the lines in them end.

What arrives is parsed in place; bytes are copied only when a line or a head is cut by the end of a read.
An incomplete line waits in a bytearray together with the index up to which it was looked at, so that a peer
that sends one byte at a time costs no more than its bytes.

The verdict on a line is the same however it was cut, because it is defined on the bytes alone:
  1. a control byte, or a CR or LF that is not half of a CRLF, within the first ``bound`` + 2 bytes: ILLEGAL;
  2. no CRLF within them: TOO_LONG;
  3. else its content counts, and only then.
Never here: what a line says. RFC 9112 section 2.2; we take CRLF only, not the bare LF it allows.
"""

from __future__ import annotations

from torana.base.bytescan import LINE, span

#: What ``line`` gives instead of an index.
INCOMPLETE = -1
TOO_LONG = -2
ILLEGAL = -3

# Compiled, the names above are C variables (received.pxd); this keeps them importable from Python.
globals().update(INCOMPLETE=INCOMPLETE, TOO_LONG=TOO_LONG, ILLEGAL=ILLEGAL)


class Received:
    """The receive buffer of one connection; the parser walks ``position`` through ``data`` itself."""

    def __init__(self) -> None:
        #: The piece being parsed, from ``position`` on.
        self.data = b""
        self.position = 0
        self._later = bytearray()  # what came after ``data``
        self._seen = 0  # how much of ``_later`` is known to hold no line end; only while ``data`` is used up

    def add(self, data: bytes) -> int:
        """Append what was received."""
        if self.position == len(self.data) and not self._later:
            self.data = data
            self.position = 0
        else:
            self._later += data
        return 0

    def size(self) -> int:
        """Bytes held."""
        return len(self.data) - self.position + len(self._later)

    def let_go(self) -> int:
        """Keep nothing of what is used up: a connection may be idle for long, and its memory is warm for the next."""
        self.data = b""
        self.position = 0
        return 0

    def line(self, bound: int) -> int:
        """Index in ``data`` of the CRLF that ends the line at ``position``, at most ``bound`` bytes behind it.

        INCOMPLETE, TOO_LONG or ILLEGAL otherwise. Moves no byte out: the caller advances ``position``.
        """
        if self.position < len(self.data):
            end = _find(self.data, self.position, self.position, len(self.data), bound)
            if end > -10:
                return end
            # Cut: the line waits in front of what came later, known up to where the search stopped.
            self._later[0:0] = self.data[self.position :]
            self._seen = -end - 10 - self.position
            self.data = b""
            self.position = 0
        return self._later_line(bound)

    def _later_line(self, bound: int) -> int:
        """``line`` for a line of which no part is left in ``data``."""
        later = self._later
        if self._seen >= len(later):
            return INCOMPLETE
        end = _find(later, 0, self._seen, len(later), bound)
        if end <= -10:
            self._seen = -end - 10
            return INCOMPLETE
        if end >= 0:
            self.refill()
        return end

    def refill(self) -> bool:
        """Make ``data`` hold bytes if there are any; whether it does."""
        if self.position < len(self.data):
            return True
        if not self._later:
            return False
        self.data = bytes(self._later)
        self.position = 0
        self._later = bytearray()
        self._seen = 0
        return True

    def take(self, most: int) -> bytes:
        """Remove up to ``most`` bytes (at least one): a piece that is whole uncopied, what is copied together."""
        if not self.refill():
            return b""
        available = len(self.data) - self.position
        if available > most:
            available = most
        elif self.position == 0:
            piece = self.data
            self.data = b""
            return piece
        elif available < most and self._later:
            return self._take_both(most - available)
        raw = self.data
        piece = raw[self.position : self.position + available]
        self.position += available
        return piece

    def _take_both(self, most: int) -> bytes:
        """What is left of ``data``, and up to ``most`` bytes of what came later, in one piece."""
        later = self._later
        piece = b"".join((memoryview(self.data)[self.position :], memoryview(later)[:most]))
        self.data = bytes(memoryview(later)[most:])
        self.position = 0
        self._later = bytearray()
        self._seen = 0
        return piece

    def unparsed(self) -> bytes:
        """All that is held, as it came; it stays."""
        return self.data[self.position :] + self._later

    def rest(self) -> bytes:
        """Remove and return all that is held."""
        everything = self.data[self.position :] + self._later
        self.data = b""
        self.position = 0
        self._later = bytearray()
        self._seen = 0
        return everything


def _find(data: bytes | bytearray, start: int, scan: int, size: int, bound: int) -> int:
    """The line end of the line at ``start``, searched from ``scan``; when cut, -10 minus where to go on."""
    zone = start + bound + 2
    if zone > size:
        zone = size
    stop = span(LINE, data, scan, zone)
    if stop == zone:
        return TOO_LONG if zone - start == bound + 2 else -10 - stop
    if data[stop] != 0x0D:
        return ILLEGAL
    if stop + 1 == zone:
        return TOO_LONG if zone - start == bound + 2 else -10 - stop
    return stop if data[stop + 1] == 0x0A else ILLEGAL
