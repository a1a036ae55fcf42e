"""One end of TLS without a socket: sealed bytes come and go as bytes, plain text on the other side.

Records are opened from memory, never by OpenSSL from the socket itself: it would go on reading for as long as records
come that carry nothing, and a client that changes its keys without end would have the loop to itself (threat G-068).
Such records have a budget here, and whoever exceeds it is cut. Never here: sockets, contexts (``tls``).
RFC 8446, RFC 5246.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import Any

_WANT_READ = ssl.SSLWantReadError
#: Most plain text in one record (RFC 8446 section 5.1): a read of this size leaves none of it inside OpenSSL.
_RECORD_BYTES = 16 * 1024
#: Sealed bytes handed over at once: the memory that OpenSSL keeps for the next ones is no larger.
_FED_BYTES = 16 * 1024
#: The same on the way out: a piece of 16 KiB with its framing needs two records.
_TAKEN_BYTES = 32 * 1024
#: How many bytes of records may come that carry no plain text, and how many more each byte of plain text allows. A
#: record of one byte pays for itself.
_WASTE_BYTES = 32 * 1024
_EARNED = 32


class Wasteful(OSError):
    """Too many records without content."""

    reason = "records without content"


class Seal:
    """Made when a client has begun to speak TLS; ``context`` is the one to begin with."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        #: For the facts of the connection, once the handshake is done.
        self.object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        # The methods of the object inside: each call of SSLObject's own would cost one more Python frame.
        self._tls: Any = getattr(self.object, "_sslobj", None) or self.object
        self._read: Any = self._tls.read
        self._write: Any = self._tls.write
        #: There is something to open that has come already: plain text, an end or a failure behind some.
        self.has_more = False
        self._credit = _WASTE_BYTES

    def shake(self, data: bytes) -> bool:
        """Go on with the handshake; whether it is done. ``OSError`` or ``ValueError`` when it has failed."""
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except _WANT_READ:
            return False
        # The client may have sent its first request along.
        self.has_more = self._incoming.pending > 0
        return True

    def opened(self, data: bytes) -> bytes | None:
        """The plain text in what has come, b"" after the peer's close_notify, None when there is none yet.

        ``OSError`` or ``ValueError`` when it is not what the peer has sealed, ``Wasteful`` when it is nothing but form.
        ``data`` b"": what has come already, if ``has_more``.
        """
        size = len(data)
        at = 0
        plain = b""
        parts: list[bytes] | None = None
        self.has_more = False
        while True:
            if at < size:
                piece = data if size <= _FED_BYTES else data[at : at + _FED_BYTES]
                at += len(piece)
                self._credit -= len(piece)
                self._incoming.write(piece)
            while True:
                try:
                    got: bytes = self._read(_RECORD_BYTES)
                except _WANT_READ:
                    break
                except (OSError, ValueError):
                    if not plain:
                        raise
                    # The next call says it again.
                    got = b""
                if not got:
                    self.has_more = len(plain) > 0
                    return plain if parts is None else b"".join(parts)
                self._credit += _EARNED * len(got)
                if not plain:
                    plain = got
                elif parts is None:
                    parts = [plain, got]
                else:
                    parts.append(got)
                if not self._incoming.pending:
                    break
            if self._credit > _WASTE_BYTES:
                self._credit = _WASTE_BYTES
            elif self._credit < 0:
                raise Wasteful(Wasteful.reason)
            if at >= size:
                break
        if parts is not None:
            return b"".join(parts)
        return plain if plain else None

    def sealed(self, data: Any) -> bytes:
        """``data`` (bytes-like, not empty) as records; ``OSError`` or ``ValueError`` when nothing may be sent."""
        size = len(data)
        if size <= _RECORD_BYTES:
            self._write(data)
            return self._outgoing.read()
        view = memoryview(data)
        if size <= _TAKEN_BYTES:
            self._write_records(view, size)
            return self._outgoing.read()
        parts = []
        at = 0
        while at < size:
            end = min(size, at + _TAKEN_BYTES)
            self._write_records(view[at:end], end - at)
            parts.append(self._outgoing.read())
            at = end
        return b"".join(parts)

    def _write_records(self, view: memoryview, size: int) -> None:
        at = 0
        while at < size:
            at += self._write(view[at : at + _RECORD_BYTES])

    def has_word(self) -> bool:
        """Whether TLS itself has something to say: its part of the handshake, an alert, new keys."""
        return self._outgoing.pending > 0

    def word(self) -> bytes:
        """What that is."""
        return self._outgoing.read()

    def farewell(self) -> bytes:
        """close_notify; the peer's own is not waited for (RFC 8446 section 6.1). b"" when it cannot be said."""
        with contextlib.suppress(OSError, ValueError):
            self._tls.shutdown()
        return self._outgoing.read()


class SealedStream:
    """A non-blocking socket and its seal as whoever knows ``ssl.SSLSocket`` wants to see them: for ``blocking``.

    A ``send`` that raises ``BlockingIOError`` is to be repeated with the same data.
    """

    def __init__(self, sock: socket.socket, seal: Seal) -> None:
        self._sock = sock
        self._seal = seal
        self._plain = b""
        self._unsent = b""
        #: How much plain text of the present ``send`` is in ``_unsent``.
        self._taken = 0

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes; b"" at the end."""
        while not self._plain:
            data = b""
            if not self._seal.has_more:
                data = self._sock.recv(_FED_BYTES)
                if not data:
                    return b""
            plain = self._seal.opened(data)
            self._unsent += self._seal.word()
            with contextlib.suppress(BlockingIOError, InterruptedError):
                self._push()
            if plain is not None:
                if not plain:
                    return b""
                self._plain = plain
        given, self._plain = self._plain[:size], self._plain[size:]
        return given

    def send(self, data: memoryview) -> int:
        """Send one record's worth; how much that was."""
        self._push()
        if not self._taken:
            piece = data[:_RECORD_BYTES]
            self._unsent = self._seal.sealed(piece)
            self._taken = len(piece)
            self._push()
        taken, self._taken = self._taken, 0
        return taken

    def pending(self) -> int:
        """How much can be received without the socket."""
        return len(self._plain) or int(self._seal.has_more)

    def unwrap(self) -> None:
        """Say goodbye if that can be sent now."""
        self._unsent += self._seal.farewell()
        self._push()

    def _push(self) -> None:
        while self._unsent:
            self._unsent = self._unsent[self._sock.send(self._unsent) :]
