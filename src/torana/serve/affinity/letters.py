"""What one worker sends to another: a connection, with the facts that its socket does not tell and the bytes that were
read of it already.

A letter is one message of the mailbox: the length of the facts, the facts, the bytes; beside it travel the connection's
descriptor and, when the bytes are many, a file that holds them. Letters come from our own workers alone, and are judged
all the same: what is no letter is thrown away with its descriptors. Never here: sending, receiving, whom to.
"""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from typing import Any

import msgspec

from torana.base.endpoints import Endpoints

#: More bytes than this travel as a file: messages are bounded by what a socket's buffer may hold.
_INLINE_BYTES = 16 * 1024
#: Largest message: facts hold no more than a TLS client's certificates.
MOST_BYTES = 128 * 1024
#: Descriptors beside one.
MOST_FDS = 2


class _Facts(msgspec.Struct, array_like=True):
    client: tuple[str, int] | None
    server: tuple[str, int | None] | None
    scheme: str
    #: Of the socket, which would have to be asked for it.
    family: int
    tls: dict[str, Any] | None
    served: int
    hops: int
    is_relay: bool
    #: Bytes in the file, 0 without one.
    enclosed: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Facts).decode


class NoLetter(ValueError):
    """It is none, or too much of it is missing."""


class Letter:
    """A connection on its way; owns ``sock`` until somebody takes it."""

    def __init__(
        self, sock: socket.socket, endpoints: Endpoints, data: bytes, *, served: int, hops: int, is_relay: bool
    ) -> None:
        self.sock: socket.socket | None = sock
        self.endpoints = endpoints
        #: What was read of it: the head of a request and whatever came behind.
        self.data = data
        #: Requests it has carried.
        self.served = served
        #: How often the present request was passed on.
        self.hops = hops
        #: It carries one request that another worker answers to its client: see ``relay``.
        self.is_relay = is_relay
        self._packed: bytes | None = None
        self._file = -1

    def pack(self) -> tuple[bytes, list[int]]:
        """The message and its descriptors, which stay the letter's. Raises ``OSError``."""
        assert self.sock is not None
        if self._packed is None:
            ends, data = self.endpoints, self.data
            enclosed = len(data) if len(data) > _INLINE_BYTES else 0
            if enclosed:
                self._file = _file_of(data)
                data = b""
            family = int(self.sock.family)
            facts = _Facts(
                ends.client, ends.server, ends.scheme, family, ends.tls, self.served, self.hops, self.is_relay, enclosed
            )
            packed = _encode(facts)
            self._packed = len(packed).to_bytes(4, "little") + packed + data
        fd = self.sock.fileno()
        return self._packed, [fd] if self._file < 0 else [fd, self._file]

    def take(self) -> socket.socket:
        """The socket, which is the caller's from here on."""
        sock, self.sock = self.sock, None
        assert sock is not None
        self.close()
        return sock

    def close(self) -> None:
        """Close our copies of its descriptors."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self.sock is not None:
            self.sock.close()
            self.sock = None


def unpack(message: bytes | memoryview, fds: list[int]) -> Letter:
    """A letter of a message; the descriptors are the letter's from here on, or closed. Raises ``NoLetter``."""
    sock: socket.socket | None = None
    try:
        size = int.from_bytes(message[:4], "little")
        if not fds or not 0 < size <= len(message) - 4:
            raise NoLetter("no facts or no connection")
        facts = _decode(message[4 : 4 + size])
        data = bytes(message[4 + size :])
        sock = socket.socket(facts.family, socket.SOCK_STREAM, 0, fileno=fds[0])
        fds[0] = -1
        sock.setblocking(False)
        if facts.enclosed:
            if len(fds) < 2:
                raise NoLetter("the enclosure is missing")
            # Never room for what was only announced.
            data = os.pread(fds[1], min(facts.enclosed, os.fstat(fds[1]).st_size), 0)
            if len(data) != facts.enclosed:
                raise NoLetter("the enclosure is too short")
    except (OSError, ValueError, OverflowError, msgspec.DecodeError) as error:
        if sock is not None:
            sock.close()
        raise NoLetter(str(error)) from None
    finally:
        for fd in fds:
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
    endpoints = Endpoints(facts.client, facts.server, facts.scheme, facts.tls)
    return Letter(sock, endpoints, data, served=facts.served, hops=facts.hops, is_relay=facts.is_relay)


def _file_of(data: bytes) -> int:
    """A descriptor of a file without a name that holds the data."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("letter", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    except BaseException:
        os.close(fd)
        raise
    return fd
