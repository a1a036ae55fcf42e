"""Compression of WebSocket messages: what is offered, what is agreed on, what is inflated. ``wire/websocket``."""

from __future__ import annotations

import re
import zlib

from tests.fuzz.target import Target, Verdict, cuts
from torana.wire.websocket.deflate import InflateError, Inflater
from torana.wire.websocket.extensions import Deflate, agree, offers
from torana.wire.websocket.message import Message

_ANSWER = re.compile(
    rb"permessage-deflate; server_max_window_bits=(9|1[0-2])(; client_max_window_bits=([89]|1[0-2]))?"
    rb"(; server_no_context_takeover)?(; client_no_context_takeover)?"
)


def _run_offers(data: bytes) -> Verdict:
    """One field a line."""
    found = offers(data.split(b"\n")[:40])
    answers = []
    for is_crowded in (False, True):
        agreed = agree(found, is_crowded)
        if agreed is None:
            answers.append(None)
            continue
        value, deflate = agreed
        assert _ANSWER.fullmatch(value), value
        # An answer that says nothing the client did not allow (RFC 7692 section 7.1).
        offer = next(one for one in found if not one.server_bits or one.server_bits > 8)
        assert deflate.our_bits <= (offer.server_bits or 15)
        assert offer.client_bits or b"client_max" not in value
        assert not offer.server_no_takeover or not deflate.has_our_takeover
        assert not is_crowded or not (deflate.has_our_takeover or deflate.has_their_takeover)
        answers.append((value, repr(deflate)))
    return [repr(one) for one in found], answers


OFFERS = Target(
    "websocket-offers",
    _run_offers,
    (
        (b"permessage-deflate",),
        (b"permessage-deflate", b"; client_max_window_bits", b"; server_max_window_bits=10"),
        (b"permessage-deflate", b"; server_max_window_bits=8", b", ", b"permessage-deflate", b"\n", b"x-other; a=b"),
        (b"permessage-deflate", b'; client_max_window_bits="9"', b"; server_no_context_takeover"),
        (b"permessage-deflate", b"; client_no_context_takeover", b"; client_no_context_takeover"),
        (b"permessage-deflate; server_max_window_bits=08,", b'x;y="a,b",' * 20, b"permessage-deflate"),
    ),
    (
        *(b";", b"=", b",", b'"', b" ", b"\t", b"\n", b"8", b"15", b"16", b"01", b"permessage-deflate"),
        *(b"server_max_window_bits", b"client_max_window_bits", b"server_no_context_takeover", b"\\"),
    ),
)

_MOST = 5000


def _inflated(messages: list[list[bytes]], deflate: Deflate) -> Verdict:
    """Each message's data, until one is wrong or too large: of both faults zlib tells the one that the cuts decide."""
    inflater = Inflater(deflate)
    found: list[Verdict] = []
    for pieces in messages:
        message = Message(False, _MOST + 1)
        try:
            is_within = all(inflater.inflate(piece, False, message, _MOST) for piece in pieces if piece)
            is_within = is_within and inflater.inflate(b"", True, message, _MOST)
        except InflateError:
            return [*found, "bad"]
        assert message.size <= _MOST + 1
        if not is_within:
            assert message.size == _MOST + 1
            return [*found, "bad"]
        found.append(message.taken())
    return found


def _plain(payload: bytes) -> bytes | None:
    """What zlib makes of a message that needs nothing of others and ends no stream."""
    reader = zlib.decompressobj(wbits=-15)
    try:
        data = reader.decompress(payload + b"\0\0\xff\xff", _MOST + 1)
    except zlib.error:
        return None
    return None if reader.eof or len(data) > _MOST else data


def _run_inflate(data: bytes) -> Verdict:
    """Messages behind their lengths, two bytes each."""
    payloads, at = [], 0
    while at < len(data) and len(payloads) < 20:
        size = int.from_bytes(data[at : at + 2], "big")
        payloads.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    verdicts = []
    for takeover in (True, False):
        deflate = Deflate(12, 15, True, takeover)
        whole = _inflated([[payload] for payload in payloads], deflate)
        pieces = _inflated([(cuts(payload) or [[payload]])[-1] for payload in payloads], deflate)
        assert pieces == whole, "the cuts of the bytes changed what was inflated"
        verdicts.append(whole)
    if payloads and payloads[0] and (plain := _plain(payloads[0])) is not None:
        assert isinstance(verdicts[0], list) and verdicts[0][0] == plain
    return verdicts


def _mended(part: bytes) -> bytes:
    return len(part[2:]).to_bytes(2, "big") + part[2:]


def _message(text: bytes, flush: int = zlib.Z_SYNC_FLUSH, level: int = 6) -> bytes:
    maker = zlib.compressobj(level, wbits=-15)
    payload = (maker.compress(text) + maker.flush(flush)).removesuffix(b"\0\0\xff\xff")
    return len(payload).to_bytes(2, "big") + payload


INFLATE = Target(
    "inflate",
    _run_inflate,
    (
        (_message(b"hello" * 50), _message(b"hello world")),
        (_message(bytes(4999)), _message(bytes(5001))),
        (_message(b"end", zlib.Z_FINISH), _message(b"stored", level=0)),
        (_mended(b"\0\0" + _message(b"a", zlib.Z_FINISH)[2:] * 20), _message(b"b")),
        (b"\0\1\0", b"\0\0", b"\0\2\xf2\x00", b"\0\3\xff\xff\xff"),
    ),
    (b"\0\0\xff\xff", b"\x01\0\0\xff\xff", b"\xf2\x48", b"\x03\0", b"\0\1"),
    _mended,
)
