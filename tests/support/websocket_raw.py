"""A WebSocket client of plain sockets, for what real clients do not let one send or see.

Lives here: the handshake's bytes, masked frames out, frames in as they come. Never here: rules.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from tests.support.raw import Answer, Connection

#: RFC 6455 section 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x01\x02\x03\x04"


class Frame(NamedTuple):
    """One frame of the server's."""

    opcode: int
    payload: bytes
    is_final: bool = True

    @property
    def code(self) -> int:
        """The code of a close frame; 1005 when there is none."""
        assert self.opcode == CLOSE, self
        return int(struct.unpack("!H", self.payload[:2])[0]) if self.payload else 1005

    @property
    def reason(self) -> str:
        """The reason of a close frame."""
        return self.payload[2:].decode()


def handshake(target: str, *fields: str) -> bytes:
    """The bytes of an opening handshake."""
    lines = [
        f"GET {target} HTTP/1.1", "Host: test.example", "Upgrade: websocket", "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *fields,
    ]  # fmt: skip
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def frame(opcode: int, payload: bytes = b"", is_final: bool = True, bits: int = 0) -> bytes:
    """A masked frame."""
    first = (0x80 if is_final else 0) | bits | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    masked = bytes(byte ^ MASK[place & 3] for place, byte in enumerate(payload))
    return head + MASK + masked


def close_frame(code: int = 1000, reason: str = "") -> bytes:
    """A masked close frame with a code."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class RawSocket(Connection):
    """One connection, and what is on it once it is open."""

    def open(self, target: str, *fields: str, then: bytes = b"") -> Answer:
        """Send the handshake, with ``then`` in the same piece, and read its answer."""
        self.send(handshake(target, *fields) + then)
        return self.read_answer()

    def read_answer(self) -> Answer:
        """The head of a 101, or the whole of any other answer."""
        head = self.read_head()
        if head.status != 101:
            self._choose_framing(head, "GET")
            if head.framing == "length":
                self._read_length(head)
            elif head.framing == "chunked":
                self._read_chunks(head)
            elif head.framing == "close":
                head.body = self.read_to_end()
        return head

    def read_frame(self) -> Frame:
        """The next frame, which must not be masked."""
        first, second = self.read_exactly(2)
        assert second < 0x80, "servers do not mask"
        assert first & 0x70 == 0, "no extension was agreed on"
        size = second
        if size == 126:
            size = struct.unpack("!H", self.read_exactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.read_exactly(8))[0]
        return Frame(first & 15, self.read_exactly(size), first >= 0x80)
