"""Frames as bytes: finding them in what is received, in place, and making those we send (RFC 9113 sections 4 and 6).

A frame is looked at where it lies; only DATA may be taken piece by piece, all others wait until they are whole. What
is cut by the end of a read is kept until the rest is there, never joined more than once.
Never here: what a frame means, or whether it may come now.
"""

from __future__ import annotations

from torana.wire.http2.windows import LARGEST_WINDOW

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

# Types (section 6; 16 is RFC 9218's).
DATA = 0
HEADERS = 1
PRIORITY = 2
RST_STREAM = 3
SETTINGS_FRAME = 4
PUSH_PROMISE = 5
PING = 6
GOAWAY = 7
WINDOW_UPDATE = 8
CONTINUATION = 9
PRIORITY_UPDATE = 16

# Flags.
END_STREAM = 0x01
ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
HAS_PRIORITY = 0x20

# Settings (section 6.5.2; RFC 8441 section 3, RFC 9218 section 2.1).
HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6
ENABLE_CONNECT_PROTOCOL = 8
NO_RFC7540_PRIORITIES = 9

#: Longest frame that we take, and that we send: what holds when nothing was said (section 4.2).
MOST_PAYLOAD = 16384
HEAD_SIZE = 9
CLIENT_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

#: What ``FrameReader.read`` found.
CUT = 0
FRAME = 1
TOO_LONG = 2
GARBLED = 3

# Compiled, the names above are C variables (frames.pxd); this keeps them importable from Python.
globals().update(
    DATA=DATA, HEADERS=HEADERS, PRIORITY=PRIORITY, RST_STREAM=RST_STREAM, SETTINGS_FRAME=SETTINGS_FRAME,
    PUSH_PROMISE=PUSH_PROMISE, PING=PING, GOAWAY=GOAWAY, WINDOW_UPDATE=WINDOW_UPDATE, CONTINUATION=CONTINUATION,
    PRIORITY_UPDATE=PRIORITY_UPDATE, END_STREAM=END_STREAM, ACK=ACK, END_HEADERS=END_HEADERS, PADDED=PADDED,
    HAS_PRIORITY=HAS_PRIORITY, HEADER_TABLE_SIZE=HEADER_TABLE_SIZE, ENABLE_PUSH=ENABLE_PUSH,
    MAX_CONCURRENT_STREAMS=MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE=INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE=MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE=MAX_HEADER_LIST_SIZE,
    ENABLE_CONNECT_PROTOCOL=ENABLE_CONNECT_PROTOCOL, NO_RFC7540_PRIORITIES=NO_RFC7540_PRIORITIES,
    MOST_PAYLOAD=MOST_PAYLOAD, HEAD_SIZE=HEAD_SIZE, CUT=CUT, FRAME=FRAME, TOO_LONG=TOO_LONG, GARBLED=GARBLED,
)  # fmt: skip


class FrameReader:
    """What was received and not yet read, and the frame at its beginning."""

    def __init__(self) -> None:
        #: The bytes, and where reading goes on in them.
        self.data = b""
        self.at = 0
        #: The present frame, as of the last ``read`` that found one.
        self.length = 0
        self.kind = 0
        self.flags = 0
        self.stream = 0
        #: Where its payload begins and ends in ``data``; DATA without padding is taken by ``take`` instead.
        self.start = 0
        self.stop = 0
        #: Bytes of the payload that ``take`` has not given yet.
        self.left = 0
        self._later: bytearray | None = None
        #: Reading makes no sense below this many bytes from ``at``.
        self._wanted = 0

    def add(self, data: bytes) -> int:
        """Add received bytes."""
        size = len(self.data) - self.at
        if size == 0 and self._later is None:
            self.data = data
            self.at = 0
            return 0
        later = self._later
        if size + (0 if later is None else len(later)) + len(data) < self._wanted:
            if later is None:
                later = self._later = bytearray()
            later += data
            return 0
        rest = self.data[self.at :]
        self.data = b"".join((rest, data)) if later is None else b"".join((rest, later, data))
        self.at = 0
        self._later = None
        return 0

    def size(self) -> int:
        """Bytes that are there and not read."""
        return len(self.data) - self.at + (0 if self._later is None else len(self._later))

    def clear(self) -> int:
        """Drop everything."""
        self.data = b""
        self.at = 0
        self.left = 0
        self._later = None
        return 0

    def read_preface(self) -> int:
        """Read the client's preface (section 3.4): FRAME when it is there, GARBLED at the first wrong byte, or CUT."""
        data = self.data
        size = len(data) - self.at
        if size >= len(CLIENT_PREFACE):
            size = len(CLIENT_PREFACE)
        if data[self.at : self.at + size] != CLIENT_PREFACE[:size]:
            return GARBLED
        if size < len(CLIENT_PREFACE):
            return CUT
        self.at += size
        return FRAME

    def read(self) -> int:
        """Find the next frame: FRAME, CUT while it is not there yet, or TOO_LONG (its head can be looked at then)."""
        data = self.data
        raw = data
        at = self.at
        size = len(data) - at
        if size < HEAD_SIZE:
            self._wanted = HEAD_SIZE
            if size == 0:
                # Nothing of what is used up is kept: a connection may be idle for long.
                self.data = b""
                self.at = 0
            return CUT
        length = raw[at] << 16 | raw[at + 1] << 8 | raw[at + 2]
        self.length = length
        self.kind = raw[at + 3]
        self.flags = raw[at + 4]
        self.stream = (raw[at + 5] & 0x7F) << 24 | raw[at + 6] << 16 | raw[at + 7] << 8 | raw[at + 8]
        if length > MOST_PAYLOAD:
            return TOO_LONG
        self.start = at + HEAD_SIZE
        self._wanted = 0
        if self.kind == DATA and not self.flags & PADDED:
            self.at = self.start
            self.left = length
            return FRAME
        if size < HEAD_SIZE + length:
            self._wanted = HEAD_SIZE + length
            return CUT
        self.stop = self.start + length
        self.at = self.stop
        return FRAME

    def take(self) -> bytes:
        """What is there of the present DATA frame's payload; b"" when nothing is."""
        data = self.data
        at = self.at
        stop = len(data)
        if stop - at > self.left:
            stop = at + self.left
        if stop == at:
            return b""
        self.at = stop
        self.left -= stop - at
        return data[at:stop]

    def number(self, at: int) -> int:
        """The 32-bit number at ``at`` in ``data``."""
        raw = self.data
        first = raw[at]  # unsigned when compiled: a C int has no room for its top bit
        return first << 24 | raw[at + 1] << 16 | raw[at + 2] << 8 | raw[at + 3]


def frame_head(length: int, kind: int, flags: int, stream: int) -> bytes:
    """The nine bytes before a payload."""
    if cython.compiled:
        head: bytes = packed(length, kind, flags, stream)
        return head
    return (length << 48 | kind << 40 | flags << 32 | stream).to_bytes(HEAD_SIZE, "big")


def settings_frame(values: list[tuple[int, int]]) -> bytes:
    """A SETTINGS frame."""
    payload = b"".join([name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in values])
    return frame_head(len(payload), SETTINGS_FRAME, 0, 0) + payload


def settings_ack() -> bytes:
    """The frame that acknowledges the peer's SETTINGS."""
    return frame_head(0, SETTINGS_FRAME, ACK, 0)


def ping_frame(payload: bytes, is_reply: bool) -> bytes:
    """A PING frame with eight bytes of ``payload``."""
    return frame_head(8, PING, ACK if is_reply else 0, 0) + payload


def goaway_frame(last: int, code: int) -> bytes:
    """A GOAWAY frame."""
    return frame_head(8, GOAWAY, 0, 0) + last.to_bytes(4, "big") + code.to_bytes(4, "big")


def reset_frame(stream: int, code: int) -> bytes:
    """An RST_STREAM frame."""
    return frame_head(4, RST_STREAM, 0, stream) + code.to_bytes(4, "big")


def update_frame(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    if increment <= 0 or increment > LARGEST_WINDOW:
        raise ValueError("not a window increment")
    return frame_head(4, WINDOW_UPDATE, 0, stream) + increment.to_bytes(4, "big")


def add_head_frames(parts: list[bytes], stream: int, block: bytes, is_end: bool) -> int:
    """Append a header block as HEADERS and, where it is long, CONTINUATION frames; how many bytes they have."""
    flags = END_STREAM if is_end else 0
    size = len(block)
    if size <= MOST_PAYLOAD:
        parts.append(frame_head(size, HEADERS, flags | END_HEADERS, stream))
        parts.append(block)
        return HEAD_SIZE + size
    kind = HEADERS
    total = 0
    start = 0
    while start < size:
        stop = start + MOST_PAYLOAD
        if stop >= size:
            stop = size
            flags |= END_HEADERS
        parts.append(frame_head(stop - start, kind, flags, stream))
        parts.append(block[start:stop])
        total += HEAD_SIZE + stop - start
        kind = CONTINUATION
        flags = 0
        start = stop
    return total
