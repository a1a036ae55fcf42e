"""A transport that speaks TLS: ``ssl.SSLSocket``, non-blocking, on the same poller as all others.

The handshake is driven by readiness and has a deadline; then one SSL read and one SSL write serve a small request.
Never here: contexts and certificates (``tls.py``), HTTP, but for the one line that tells a plain client where it is.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from typing import Any

from torana.base.endpoints import Endpoints
from torana.net.outlet import FilePiece
from torana.net.poller import ERROR, HANGUP, PEER_CLOSED, READ, WRITE, Poller
from torana.net.tls import TlsContexts, tls_facts
from torana.net.transport import Transport

_WANT_READ = ssl.SSLWantReadError
_WANT_WRITE = ssl.SSLWantWriteError
#: Most plain text in one TLS record (RFC 8446 section 5.1): a read of this size leaves none of it inside OpenSSL.
_RECORD_BYTES = 16 * 1024
_FILE_BYTES = 64 * 1024
#: First byte of a handshake record (RFC 8446 section 5.1).
_HANDSHAKE = 0x16
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 32\r\n\r\n"
    b"plain HTTP request to a TLS port"
)


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
        #: The SSLSocket, and the object inside it.
        self._secured: Any = None
        self._tls: Any = None
        self._read: Any = None
        self._send: Any = None
        self._owner_deadline = 0.0
        #: After our close_notify nothing is decrypted any more: what still comes is only thrown away.
        self._is_raw = False
        self._read_wants_write = False
        self._write_wants_read = False
        #: The end of the stream was read behind data, and the poller will not tell of it again.
        self._has_more = False
        self._chunk = b""
        self._chunk_offset = 0

    def open(self) -> None:
        # The owner set its own deadline when it was made; ours comes first.
        self._owner_deadline = self.deadline
        limit_s = self._contexts.handshake_timeout_s
        if limit_s:
            self.deadline = self.clock.now + limit_s
        Transport.open(self)

    # Events

    def ready(self, events: int) -> None:
        if self.is_shaking:
            if events & (ERROR | HANGUP) and not events & READ:
                self._fail("connection lost")
            elif self._contexts.may_shake(self.clock.now):
                self._shake()
            return
        if (self._read_wants_write or self._write_wants_read) and not self.is_lent:
            events = self._crossed(events)
        Transport.ready(self, events)

    def expired(self, now: float) -> None:
        if self.is_shaking:
            self._fail("handshake too slow")
        else:
            Transport.expired(self, now)

    def woken(self) -> None:
        if self._has_more and self.is_reading and not self.is_lent and not self.is_closed:
            self._has_more = False
            self.owner.readable()
        Transport.woken(self)

    def set_reading(self, is_reading: bool) -> None:
        Transport.set_reading(self, is_reading)
        if is_reading and self._has_more:
            self.poller.later(self)

    def _crossed(self, events: int) -> int:
        """A read that waits for writing, or a write that waits for reading: try again what was held up."""
        if self._read_wants_write and events & WRITE:
            self._read_wants_write = False
            if not self._queue:
                self._set_interest(self._interest & ~WRITE)
                events &= ~WRITE
            events |= READ
        if self._write_wants_read:
            if events & READ:
                self._write_wants_read = False
                if self._queue:
                    self._set_interest(self._interest | WRITE)
                    events |= WRITE
            else:
                # Writable all the time, and of no use: do not be told until something can be read.
                self._set_interest(self._interest & ~WRITE)
                events &= ~WRITE
        return events

    # The handshake

    def _shake(self) -> None:
        try:
            if self._tls is None and not self._wrap():
                return
            self._tls.do_handshake()
        except _WANT_READ:
            self._set_interest(READ | PEER_CLOSED)
            return
        except _WANT_WRITE:
            self._set_interest(WRITE)
            return
        except (OSError, ValueError) as error:
            # ssl.SSLError is an OSError; its alert is already on its way.
            self._fail(getattr(error, "reason", None) or type(error).__name__)
            return
        self.is_shaking = False
        self.deadline = self._owner_deadline
        endpoints = self._endpoints
        endpoints.tls = tls_facts(self._secured, self._secured.context)
        endpoints.scheme = "https"
        self._set_interest(READ | PEER_CLOSED)
        self.owner.agreed(self._secured.selected_alpn_protocol())
        if self._queue:
            self.flush()

    def _wrap(self) -> bool:
        """Look at the first byte, and begin TLS if it is a handshake's."""
        try:
            first = self.sock.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return False
        if not first:
            self._fail("closed without a word")
            return False
        if first[0] != _HANDSHAKE:
            self._refuse_plain(first)
            return False
        # The descriptor stays the same, so the poller need not know.
        secured = self._contexts.default.wrap_socket(
            self.sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        self.sock = self._secured = secured
        # The methods of the object inside: each call of SSLSocket's own would cost two more Python frames.
        self._tls = getattr(secured, "_sslobj", None) or secured
        self._read = self._tls.read
        self._send = self._tls.write
        return True

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
        if self.is_shaking:
            return None
        try:
            data: bytes = self._read(_RECORD_BYTES)
        except _WANT_READ:
            return None
        except _WANT_WRITE:
            self._read_wants_write = True
            self._set_interest(self._interest | WRITE)
            return None
        except ssl.SSLEOFError:
            return b""
        except (OSError, ValueError):
            self._is_raw = True
            self._lose()
            return None
        if len(data) < _RECORD_BYTES:
            return data
        return self._read_on(data)

    def _read_on(self, data: bytes) -> bytes:
        """A full record is seldom alone: take the next ones too, up to one read's worth."""
        parts = [data]
        size = len(data)
        while size < self._read_bytes:
            try:
                data = self._read(_RECORD_BYTES)
            except _WANT_READ:
                break
            except (OSError, ValueError):
                data = b""
            if not data:
                # End or failure: the next read says the same again, if somebody asks for it.
                self._has_more = True
                self.poller.later(self)
                break
            parts.append(data)
            size += len(data)
        return b"".join(parts)

    def unread(self) -> int:
        inside: int = 0 if self._tls is None or self._is_raw else self._tls.pending()
        return inside + Transport.unread(self)

    # Writing

    def send_some(self, data: Any, offset: int) -> int:
        if self.is_shaking:
            return 0
        if self._is_raw:
            self.lose_soon()
            return -1
        size = len(data)
        at = offset
        if at == size:
            return 0
        try:
            if offset == 0 and size <= _RECORD_BYTES:
                sent: int = self._send(data)
                return sent
            # OpenSSL takes one record a call. A call held up must be repeated with the same bytes, and is:
            # the caller comes back with this offset.
            view = memoryview(data)
            while at < size:
                at += self._send(view[at:])
        except _WANT_WRITE:
            pass
        except _WANT_READ:
            self._write_wants_read = True
        except (OSError, ValueError):
            self.lose_soon()
            return -1
        return at - offset

    def send_file_some(self, piece: FilePiece) -> int:
        # sendfile(2) knows no TLS. A chunk is kept until all of it is sent: the file may change meanwhile.
        if self._chunk_offset == len(self._chunk):
            try:
                self._chunk = os.pread(piece.fd, min(piece.count, _FILE_BYTES), piece.offset)
            except OSError:
                self._chunk = b""
            self._chunk_offset = 0
            if not self._chunk:
                self.lose_soon()
                return -1
        sent = self.send_some(self._chunk, self._chunk_offset)
        if sent > 0:
            self._chunk_offset += sent
        return sent

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
        """Send close_notify if it can be sent now; the peer's own is not waited for (RFC 8446 section 6.1)."""
        # With data still waiting it would call a part the whole.
        if not self._is_raw and not self.is_shaking and not self._is_lost and not self._queue:
            self._is_raw = True
            with contextlib.suppress(OSError, ValueError):
                self._tls.shutdown()
