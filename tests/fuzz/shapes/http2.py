"""HTTP/2 frames (RFC 9113): whole conversations of frames that are right, header blocks with the table they need."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field, replace

from tests.fuzz.shapes.hpack import NAMES, VALUES, BlockReader, BlockWriter, Damage, Fields, change_fields

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION, PRIORITY_UPDATE = 6, 7, 8, 9, 16
END_STREAM, END_HEADERS, PADDED, HAS_PRIORITY = 1, 4, 8, 0x20
_MOST_FRAMES = 60
_NUMBERS = (0, 1, 2, 3, 100, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_METHODS = (b"GET", b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE")
_PATHS = (b"/", b"/a?b=c", b"/%41/..", b"*", b"/long" * 20)


@dataclass
class Frame:
    """One frame; of a header block it is the whole block, ``parts`` frames when it is written."""

    kind: int
    flags: int
    number: int
    payload: bytes = b""
    #: What a header block says; None for other frames and for blocks that cannot be read.
    fields: Fields | None = None
    #: The five bytes of a priority, and of padding.
    priority: bytes = b""
    padding: int = 0
    parts: int = field(default=1)


def frame(kind: int, flags: int, number: int, payload: bytes = b"") -> bytes:
    """A frame as bytes."""
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, number) + payload


def read(data: bytes) -> list[Frame]:
    """The frames in ``data``; what is not a whole frame becomes one."""
    reader = BlockReader()
    found: list[Frame] = []
    open_block: Frame | None = None
    at = 0
    while at + 9 <= len(data) and len(found) < _MOST_FRAMES:
        size = int.from_bytes(data[at : at + 3], "big")
        kind, flags = data[at + 3], data[at + 4]
        number = int.from_bytes(data[at + 5 : at + 9], "big")
        payload = data[at + 9 : at + 9 + size]
        at += 9 + size
        if open_block is not None and kind == CONTINUATION and number == open_block.number:
            open_block.payload += payload
            open_block.parts += 1
        elif kind == HEADERS:
            open_block = _headers(flags, number, payload)
            found.append(open_block)
        else:
            found.append(Frame(kind, flags, number, payload))
            open_block = None
        if open_block is not None and flags & END_HEADERS:
            open_block.flags |= END_HEADERS
            open_block.fields = reader.fields(open_block.payload)
            open_block = None
    return found


def _headers(flags: int, number: int, payload: bytes) -> Frame:
    padding, priority = 0, b""
    if flags & PADDED and payload:
        padding = min(payload[0], len(payload) - 1)
        payload = payload[1 : len(payload) - padding]
    if flags & HAS_PRIORITY:
        priority, payload = payload[:5], payload[5:]
    return Frame(HEADERS, flags & ~(PADDED | HAS_PRIORITY), number, payload, priority=priority, padding=padding)


def write(chance: random.Random, frames: list[Frame]) -> bytes:
    """The frames as bytes, header blocks anew where their fields are known."""
    writer = BlockWriter(chance)
    out = []
    for one in frames[:_MOST_FRAMES]:
        if one.kind != HEADERS:
            out.append(frame(one.kind, one.flags, one.number, one.payload[:20_000]))
            continue
        block = writer.block(one.fields) if one.fields is not None else one.payload
        pieces = _cut(chance, block, one.parts)
        flags = one.flags & ~END_HEADERS | (END_HEADERS if len(pieces) == 1 else 0)
        head = one.priority
        if one.padding:
            flags |= PADDED
            head = bytes([min(one.padding, 255)]) + head
        flags |= HAS_PRIORITY if one.priority else 0
        out.append(frame(HEADERS, flags, one.number, head + pieces[0] + bytes(min(one.padding, 255))))
        for place, piece in enumerate(pieces[1:], 2):
            out.append(frame(CONTINUATION, END_HEADERS if place == len(pieces) else 0, one.number, piece))
    return b"".join(out)


def _cut(chance: random.Random, block: bytes, parts: int) -> list[bytes]:
    places = sorted(chance.randrange(len(block) + 1) for _ in range(min(parts, 8) - 1))
    return [block[start:stop] for start, stop in zip([0, *places], [*places, len(block)], strict=True)]


def request(chance: random.Random, number: int) -> list[Frame]:
    """A whole request: its head, its body of the declared length, trailers now and then."""
    method = chance.choice(_METHODS)
    fields = [(b":method", method), (b":scheme", b"https"), (b":path", chance.choice(_PATHS)), (b":authority", b"t")]
    for _ in range(chance.choice((0, 0, 1, 3))):
        fields.append((chance.choice(NAMES), chance.choice(VALUES)))
    if chance.random() < 0.1:
        fields = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *fields[1:]]
    size = chance.choice((0, 0, 1, 5, 300)) if method in (b"POST", b"PUT") else 0
    if size and chance.random() < 0.7:
        fields.append((b"content-length", b"%d" % size))
    if not size and chance.random() < 0.9:
        return [Frame(HEADERS, END_HEADERS | END_STREAM, number, fields=fields)]
    found = [Frame(HEADERS, END_HEADERS, number, fields=fields, parts=chance.choice((1, 1, 1, 3)))]
    left = size
    while left:
        part = chance.randrange(1, left + 1)
        left -= part
        found.append(Frame(DATA, 0, number, b"d" * part))
    if chance.random() < 0.3:
        found.append(Frame(HEADERS, END_HEADERS | END_STREAM, number, fields=[(b"x-sum", b"1")]))
    else:
        found.append(Frame(DATA, END_STREAM, number))
    return found


def _other(chance: random.Random, number: int) -> Frame:
    """A frame that is no request, on a stream where there is one."""
    word = struct.pack("!I", chance.choice(_NUMBERS))
    match chance.randrange(9):
        case 0:
            pairs = [struct.pack("!HI", chance.randrange(1, 10), chance.choice(_NUMBERS)) for _ in range(chance.choice((0, 1, 2)))]  # fmt: skip  # noqa: E501
            return Frame(SETTINGS, 0, 0, b"".join(pairs))
        case 1:
            return Frame(SETTINGS, 1, 0)
        case 2:
            return Frame(WINDOW_UPDATE, 0, chance.choice((0, number)), word)
        case 3:
            return Frame(RST_STREAM, 0, number, word)
        case 4:
            return Frame(PING, chance.choice((0, 0, 1)), 0, b"12345678")
        case 5:
            return Frame(PRIORITY, 0, number, word + b"\x10")
        case 6:
            return Frame(PRIORITY_UPDATE, 0, 0, struct.pack("!I", number) + b"u=0, i")
        case 7:
            return Frame(GOAWAY, 0, 0, word + bytes(4))
        case _:
            size = chance.choice((0, 1, 10))
            return Frame(DATA, PADDED | chance.choice((0, 1)), number, bytes([size]) + b"data" + bytes(size))


def _number(chance: random.Random, frames: list[Frame]) -> int:
    """A stream that makes sense: the next one, or one that was there; rarely any."""
    numbers = [one.number for one in frames if one.number]
    if not numbers or chance.random() < 0.4:
        return min((max(numbers, default=-1) + 2) | 1, 0x7FFFFFFF)
    return chance.choice(numbers) if chance.random() < 0.9 else chance.choice(_NUMBERS)


def _renumber(frames: list[Frame]) -> None:
    """Streams in the order of their first frame: 1, 3, 5, ..."""
    names: dict[int, int] = {}
    for one in frames:
        if one.number:
            one.number = names.setdefault(one.number, 2 * len(names) + 1)


def _change(chance: random.Random, frames: list[Frame], damage: Damage) -> None:
    at = chance.randrange(len(frames) + 1)
    match chance.randrange(10):
        case 0 | 1:
            frames[at:at] = request(chance, _number(chance, frames))
        case 2:
            frames.insert(at, _other(chance, _number(chance, frames)))
        case 3 if at < len(frames):
            del frames[at]
        case 4 if at < len(frames):
            again = replace(frames[at], fields=None if frames[at].fields is None else list(frames[at].fields or []))
            frames[at:at] = [again] * chance.choice((1, 1, 10))
        case 5 if at < len(frames):
            to = chance.randrange(len(frames))
            frames[at], frames[to] = frames[to], frames[at]
        case 6 if at < len(frames):
            frames[at].flags ^= chance.choice((END_STREAM, END_STREAM, PADDED, 0x80))
        case 7 if at < len(frames):
            frames[at].number = _number(chance, frames)
        case _ if at < len(frames):
            _change_one(chance, frames[at], damage)


def _change_one(chance: random.Random, one: Frame, damage: Damage) -> None:
    fields = one.fields
    if fields is None:
        one.payload = damage(one.payload)
    else:
        match chance.randrange(6):
            case 0:
                one.parts = chance.choice((1, 2, 4))
            case 1:
                one.padding = chance.choice((0, 1, 255))
            case 2:
                one.priority = chance.choice((b"", b"\0\0\0\0\x10", b"\x80\0\0\1\0"))
            case _:
                change_fields(chance, fields, damage)


def grow(chance: random.Random, data: bytes, damage: Damage) -> bytes:
    """One input of the targets of HTTP/2: a byte that chooses settings, maybe the preface, frames."""
    first = data[:1] or b"\x00"
    start = PREFACE if first[0] & 0x80 else b""
    frames = read(data[1:].removeprefix(PREFACE))
    if not frames:
        frames = request(chance, 1)
    for _ in range(chance.choice((1, 1, 2, 4))):
        _change(chance, frames, damage)
    if chance.random() < 0.2:
        _renumber(frames)
    if chance.random() < 0.03:
        first = bytes([first[0] ^ chance.choice((1, 0x80))])
        start = PREFACE if first[0] & 0x80 else b""
    return first + start + write(chance, frames)
