"""A transport that speaks TLS: a plain socket on the same poller as all others, and a seal between it and its owner.

The handshake is driven by readiness and has a deadline. What waits to be written is sealed already, but for files.
Never here: records (``seal``), contexts and certificates (``tls``), HTTP, but for the one line that tells a plain
client where it is.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

from torana.base.endpoints import Endpoints
from torana.net.outlet import FilePiece
from torana.net.poller import ERROR, HANGUP, PEER_CLOSED, READ, WRITE, Poller
from torana.net.seal import Seal, SealedStream, Wasteful
from torana.net.tls import TlsContexts, tls_facts
from torana.net.transport import Transport

_FILE_BYTES = 64 * 1024
#: Pieces of a file sent in a row: a fast reader of a large file must not keep the loop to itself.
_FILE_STEPS = 16
#: First byte of a handshake record (RFC 8446 section 5.1).
_HANDSHAKE = 0x16
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 32\r\n\r\n"
    b"plain HTTP request to a TLS port"
)


class LatePiece(FilePiece):
    """What was written behind a file: sealed after it, for records have an order."""

    def __init__(self, data: bytes) -> None:
        FilePiece.__init__(self, -1, 0, len(data))
        self.data = data


class TlsTransport(Transport):
    """A transport whose bytes are TLS records outside and plain inside.

    ``endpoints`` gets its TLS facts when the handshake is done; the owner hears nothing before.
    """

    def __init__(
        self, sock: socket.socket, poller: Poller, read_bytes: int, high: int, low: int,
        contexts: TlsContexts, endpoints: Endpoints,
    ) -> None:  # fmt: skip
        Transport.__init__(self, sock, poller, read_bytes, high, low)
        self._contexts = contexts
        self._endpoints = endpoints
        self._gathers = False
        self.is_shaking = True
        self._seal: Seal | None = None
        self._owner_deadline = 0.0
        #: After our close_notify nothing is opened any more: what still comes is only thrown away.
        self._is_raw = False
        #: Of our part of the handshake, what the socket has not taken.
        self._flight = b""
        #: What was written within the handshake.
        self._early: Any = None

    def open(self) -> None:
        # The owner set its own deadline when it was made; ours comes first.
        self._owner_deadline = self.deadline
        limit_s = self._contexts.handshake_timeout_s
        if limit_s:
            self.deadline = self.clock.now + limit_s
        Transport.open(self)

    # Events

    def ready(self, events: int) -> None:
        if not self.is_shaking:
            Transport.ready(self, events)
        elif events & (ERROR | HANGUP) and not events & READ:
            self._fail("connection lost")
        elif self._contexts.may_shake(self.clock.now):
            if events & WRITE and self._flight:
                flight, self._flight = self._flight, b""
                self._fly(flight)
            if events & (READ | PEER_CLOSED) and not self.is_closed:
                self._shake()

    def expired(self, now: float) -> None:
        if self.is_shaking:
            self._fail("handshake too slow")
        else:
            Transport.expired(self, now)

    def woken(self) -> None:
        if self._has_inside() and self.is_reading and not self.is_lent and not self.is_closed:
            self.owner.readable()
        Transport.woken(self)

    def set_reading(self, is_reading: bool) -> None:
        Transport.set_reading(self, is_reading)
        if is_reading and self._has_inside():
            self.poller.later(self)

    def give_back(self) -> bool:
        is_done: bool = Transport.give_back(self)
        return is_done and not self._has_inside()

    def _has_inside(self) -> bool:
        """Whether something has come that the poller will not tell of again."""
        return self._seal is not None and not self.is_shaking and not self._is_raw and self._seal.has_more

    # The handshake

    def _shake(self) -> None:
        if self._seal is None and not self._begin():
            return
        seal = self._seal
        data = Transport.recv(self)
        if data is None or seal is None:
            return
        if not data:
            self._fail("connection lost")
            return
        try:
            is_done = seal.shake(data)
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError; it has left an alert.
            self._fly(seal.word())
            self._fail(getattr(error, "reason", None) or type(error).__name__)
            return
        if seal.has_word():
            self._fly(seal.word())
        if is_done and not self._is_lost:
            self._agree(seal)

    def _agree(self, seal: Seal) -> None:
        """The handshake is done."""
        self.is_shaking = False
        self.deadline = self._owner_deadline
        endpoints = self._endpoints
        endpoints.tls = tls_facts(seal.object, seal.object.context)
        endpoints.scheme = "https"
        self._set_interest(READ | PEER_CLOSED | (WRITE if self._queue else 0))
        flight, self._flight = self._flight, b""
        if flight:
            Transport.write(self, flight)
        self.owner.agreed(seal.object.selected_alpn_protocol())
        if self._early is not None:
            early, self._early = self._early, None
            self.write(bytes(early))
        if seal.has_more:
            self.poller.later(self)

    def _begin(self) -> bool:
        """Look at the first byte, and begin TLS if it is a handshake's."""
        try:
            first = self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self._fail("connection lost")
            return False
        if not first:
            self._fail("closed without a word")
            return False
        if first[0] != _HANDSHAKE:
            self._refuse_plain(first)
            return False
        self._seal = Seal(self._contexts.default)
        return True

    def _fly(self, data: bytes) -> None:
        """Send our part of the handshake; the rest waits until there is room."""
        if self._flight:
            self._flight += data
            return
        sent = self.send_some(data, 0, False) if data else 0
        if 0 <= sent < len(data):
            self._flight = data[sent:]
            self._set_interest(READ | WRITE | PEER_CLOSED)
        else:
            self._set_interest(READ | PEER_CLOSED)

    def _refuse_plain(self, first: bytes) -> None:
        if first.isalpha():
            with contextlib.suppress(OSError):
                # Unread bytes would turn the close into a reset, and the answer would be lost.
                self.sock.recv(_FILE_BYTES)
                self.sock.send(_PLAIN_ANSWER)
                self.sock.shutdown(socket.SHUT_WR)
        self._fail("plain text on a TLS port")

    def _fail(self, reason: str) -> None:
        self.failure = reason
        self._is_raw = True
        self._lose()

    # Reading

    def recv(self) -> bytes | None:
        if self._is_raw:
            return Transport.recv(self)
        seal = self._seal
        if self.is_shaking or seal is None:
            return None
        sealed = b""
        if not seal.has_more:
            data = Transport.recv(self)
            if not data:
                return data
            sealed = data
        try:
            plain = seal.opened(sealed)
        except (OSError, ValueError) as error:
            if seal.has_word():
                self.send_some(seal.word(), 0, False)
            if isinstance(error, Wasteful):
                self.failure = Wasteful.reason
            self._is_raw = True
            self._lose()
            return None
        if seal.has_more:
            self.poller.later(self)
        if seal.has_word():
            # Its answer to new keys.
            self._say(seal.word())
        return plain

    def is_full_read(self, size: int) -> bool:
        # What is left behind is sealed, and opened in its turn.
        return False

    def _say(self, word: bytes) -> None:
        """Send what is sealed already: in front of what is yet to be."""
        if not self._files:
            Transport.write(self, word)
            return
        at = 0
        while not isinstance(self._queue[at], FilePiece):
            at += 1
        self._queue.insert(at, word)
        self.waiting += len(word)
        if at == 0:
            self._offset = 0

    def unread(self) -> int:
        return self._has_inside() + Transport.unread(self)

    # Writing

    def write(self, data: Any) -> None:
        if self._kept is not None:
            self.leave()
        if self.is_closed or self._is_lost or len(data) == 0:
            return
        if self.is_shaking:
            if self._early is None:
                self._early = bytearray()
            self._early += data
            return
        if self._files:
            self._files += 1
            self._enqueue(LatePiece(bytes(data)), self._high)
            return
        sealed = self._sealed(data)
        if sealed:
            Transport.write(self, sealed)

    def _sealed(self, data: Any) -> bytes:
        """As records; b"" when the connection is lost by it."""
        if self._is_raw or self._seal is None:
            self.lose_soon()
            return b""
        try:
            return self._seal.sealed(data)
        except (OSError, ValueError):
            self.lose_soon()
            return b""

    def _flush_file(self, piece: FilePiece) -> bool:
        # sendfile(2) knows no TLS. What the socket does not take of a sealed piece waits in front of the file.
        if self.is_shaking:
            return False
        for _ in range(_FILE_STEPS):
            if piece.count == 0:
                piece.close()
                return True
            chunk = _chunk(piece)
            sealed = self._sealed(chunk) if chunk else b""
            if not sealed:
                self.lose_soon()
                return False
            piece.offset += len(chunk)
            piece.count -= len(chunk)
            sent = self.send_some(sealed, 0, False)
            if sent < 0:
                return False
            self._note_progress(sent)
            if sent < len(sealed):
                self._queue.appendleft(sealed)
                self._offset = sent
                self.waiting += len(sealed) - sent
                return False
        return False

    def stream(self) -> Any:
        return self.sock if self._seal is None else SealedStream(self.sock, self._seal)

    # The end

    def shutdown_write(self) -> None:
        self.leave()
        self._notify_close()
        Transport.shutdown_write(self)

    def close(self) -> None:
        if not self.is_closed:
            self.leave()
            self._notify_close()
            Transport.close(self)

    def reset(self) -> None:
        # No close_notify: the peer must see that this is no proper end.
        self._is_raw = True
        Transport.reset(self)

    def _notify_close(self) -> None:
        """Send close_notify if it can be sent now."""
        seal = self._seal
        # With data still waiting it would call a part the whole.
        if seal is not None and not self._is_raw and not self.is_shaking and not self._is_lost and not self._queue:
            self._is_raw = True
            farewell = seal.farewell()
            if farewell:
                with contextlib.suppress(OSError):
                    self.sock.send(farewell)


def _chunk(piece: FilePiece) -> bytes:
    """The next bytes of a file; b"" where there are none although there should be."""
    size = min(piece.count, _FILE_BYTES)
    if isinstance(piece, LatePiece):
        return piece.data[piece.offset : piece.offset + size]
    try:
        return os.pread(piece.fd, size, piece.offset)
    except OSError:
        return b""
