"""WebSocket frames (RFC 6455) as a client writes them: masked, lengths that fit, compressed where that was agreed."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

Damage = Callable[[bytes], bytes]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FINAL, COMPRESSED = 0x80, 0x40
_MOST_FRAMES = 60
_TEXTS = ("", "hello", "Grüße, 世界 🌍", "a" * 300, "é" * 700, "\0")
_CODES = (1000, 1001, 1005, 1006, 1011, 1015, 2999, 3000, 4999, 5000, 0)


@dataclass
class Frame:
    """One frame; ``payload`` is not masked."""

    first: int
    payload: bytes
    key: bytes = b"\x37\xfa\x21\x3d"
    #: Bytes of the length that are written though fewer would do: 0, 2 or 8.
    width: int = 0

    def write(self) -> bytes:
        size = len(self.payload)
        if size > 0xFFFF or self.width == 8:
            head = struct.pack("!BBQ", self.first, 0xFF, size)
        elif size > 125 or self.width == 2:
            head = struct.pack("!BBH", self.first, 0xFE, size)
        else:
            head = bytes((self.first, 0x80 | size))
        return head + self.key + masked(self.payload, self.key)


def masked(payload: bytes, key: bytes) -> bytes:
    """``payload`` under ``key`` (section 5.3)."""
    long = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(long, "big")).to_bytes(len(payload), "big")


def deflated(data: bytes) -> bytes:
    """``data`` as the payload of a compressed message that needs nothing of those before it (RFC 7692 7.2.1)."""
    maker = zlib.compressobj(wbits=-9)
    return (maker.compress(data) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4]


def _inflated(payload: bytes) -> bytes | None:
    try:
        return zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff", 1 << 16)
    except zlib.error:
        return None


def read(data: bytes) -> list[Frame]:
    """The frames in ``data``, the last maybe cut."""
    found: list[Frame] = []
    at = 0
    while at + 6 <= len(data) and len(found) < _MOST_FRAMES:
        first, size = data[at], data[at + 1] & 0x7F
        width = {126: 2, 127: 8}.get(size, 0)
        if width:
            size = int.from_bytes(data[at + 2 : at + 2 + width], "big")
        start = at + 2 + width
        key = data[start : start + 4].ljust(4, b"k")
        payload = data[start + 4 : start + 4 + size]
        fits = {0: 0, 2: 126, 8: 0x10000}[width] <= size
        found.append(Frame(first, masked(payload, key), key, 0 if fits else width))
        at = start + 4 + size
    return found


def message(chance: random.Random, has_deflate: bool) -> list[Frame]:
    """A message in one frame or several, with control frames between them."""
    is_text = chance.random() < 0.6
    data = chance.choice(_TEXTS).encode() if is_text else bytes(chance.choice((0, 1, 125, 126, 999, 1000, 1001)))
    first = TEXT if is_text else BINARY
    if has_deflate and chance.random() < 0.6:
        data = deflated(data)
        first |= COMPRESSED
    frames = _fragments(chance, Frame(FINAL | first, data), chance.choice((1, 1, 2, 4)))
    for _ in range(chance.choice((0, 0, 1))):
        frames.insert(chance.randrange(len(frames) + 1), _control(chance))
    return frames


def _fragments(chance: random.Random, frame: Frame, count: int) -> list[Frame]:
    places = sorted(chance.randrange(len(frame.payload) + 1) for _ in range(count - 1))
    pieces = [
        frame.payload[start:stop] for start, stop in zip([0, *places], [*places, len(frame.payload)], strict=True)
    ]
    frames = [
        Frame(frame.first & ~FINAL if place == 0 else CONTINUATION, piece, frame.key)
        for place, piece in enumerate(pieces)
    ]
    frames[-1].first |= frame.first & FINAL
    return frames


def _control(chance: random.Random) -> Frame:
    match chance.randrange(4):
        case 0:
            return Frame(FINAL | PING, b"p" * chance.choice((0, 4, 125)))
        case 1:
            return Frame(FINAL | PONG, b"")
        case 2:
            return Frame(
                FINAL | CLOSE, struct.pack("!H", chance.choice(_CODES)) + chance.choice((b"", b"bye", b"\xff"))
            )
        case _:
            return Frame(FINAL | CLOSE, b"")


def _change(chance: random.Random, frames: list[Frame], has_deflate: bool, damage: Damage) -> None:
    at = chance.randrange(len(frames) + 1)
    match chance.randrange(11):
        case 0 | 1:
            frames[at:at] = message(chance, has_deflate)
        case 2:
            frames.insert(at, _control(chance))
        case 3 if at < len(frames):
            del frames[at]
        case 4 if at < len(frames):
            frames[at:at] = [frames[at]] * chance.choice((1, 1, 20))
        case 5 if at < len(frames):
            to = chance.randrange(len(frames))
            frames[at], frames[to] = frames[to], frames[at]
        case 6 if at < len(frames) and frames[at].first & 8 == 0:
            frames[at : at + 1] = _fragments(chance, frames[at], chance.choice((2, 3)))
        case 7 if at < len(frames):
            frames[at] = Frame(
                frames[at].first, frames[at].payload, chance.randbytes(4), chance.choice((0, 0, 0, 2, 8))
            )
        case 8 if at < len(frames):
            bit = chance.choice((FINAL, COMPRESSED, 0x20, 1, 2, 8))
            frames[at] = Frame(frames[at].first ^ bit, frames[at].payload, frames[at].key)
        case _ if at < len(frames):
            frames[at] = _changed(frames[at], damage)


def _changed(frame: Frame, damage: Damage) -> Frame:
    """With another payload; compressed text is changed before it is compressed."""
    plain = _inflated(frame.payload) if frame.first & COMPRESSED and frame.first & FINAL else None
    payload = damage(frame.payload) if plain is None else deflated(damage(plain))
    return Frame(frame.first, payload[:70_000], frame.key)


#: By the first byte of an input: whether compression was agreed on (see ``targets/websocket``).
_DEFLATES = (False, True, False, True, True)


def grow(chance: random.Random, data: bytes, damage: Damage) -> bytes:
    """One input of the targets of WebSocket: a byte that chooses settings, frames."""
    first = data[:1] or b"\x00"
    if chance.random() < 0.05:
        first = bytes([chance.randrange(len(_DEFLATES))])
    has_deflate = _DEFLATES[first[0] % len(_DEFLATES)]
    frames = read(data[1:]) or message(chance, has_deflate)
    for _ in range(chance.choice((1, 1, 2, 4))):
        _change(chance, frames, has_deflate, damage)
    return first + b"".join(frame.write() for frame in frames[:_MOST_FRAMES])
