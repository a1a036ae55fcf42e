"""Header blocks, one after another, with the state that they leave. ``wire/http2/hpack``."""

from __future__ import annotations

from tests.fuzz.shapes.hpack import grow
from tests.fuzz.target import Target, Verdict
from torana.base.headers import is_field_value, is_token, lower
from torana.wire.http2.hpack import Decoder, Encoder, HpackError, HpackTooLarge
from torana.wire.http2.huffman import from_huffman, to_huffman

_LIMITS = ((65536, 128), (200, 4))


def blocks(data: bytes) -> list[bytes]:
    """Blocks of up to 255 bytes, each behind its length; the last may be as long as it likes."""
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < 40:
        size = data[at] if data[at] != 0xFF else len(data)
        found.append(data[at + 1 : at + 1 + size])
        at += 1 + size
    return found


def _decode(blocks: list[bytes], most_bytes: int, most_fields: int) -> list[Verdict]:
    decoder, encoder, again = Decoder(), Encoder(), Decoder()
    verdicts: list[Verdict] = []
    for block in blocks:
        try:
            fields = decoder.decode(block, most_bytes, most_fields)
        except HpackError as error:
            return [*verdicts, error.reason]
        except HpackTooLarge as error:
            verdicts.append((error.is_count, error.is_fatal))
            if error.is_fatal:
                return verdicts
            continue
        assert decoder.table.size <= 4096
        assert sum(len(name) + len(value) + 32 for name, value in fields) <= most_bytes
        verdicts.append((fields, decoder.table.count, decoder.table.size))
        sent = [(lower(name), value) for name, value in fields if is_token(name) and is_field_value(value)]
        assert again.decode(encoder.encode(sent), 1 << 20, 1000) == sent, "our own block was read otherwise"
    return verdicts


def _run(data: bytes) -> Verdict:
    some = data[:300]
    text = from_huffman(some, 0, len(some))
    if text is not None:
        assert to_huffman(text) == some, "two codes for one text"
    coded = to_huffman(some)
    assert from_huffman(coded, 0, len(coded)) == some
    return text, [_decode(blocks(data), *limits) for limits in _LIMITS]


def _mended(part: bytes) -> bytes:
    return bytes([min(len(part) - 1, 254)]) + part[1:] if part else part


def _block(text: str) -> bytes:
    block = bytes.fromhex(text)
    return bytes([len(block)]) + block


BLOCKS = Target(
    "hpack",
    _run,
    (
        (
            _block("828684410f7777772e6578616d706c652e636f6d"),
            _block("828684be58086e6f2d6361636865"),
            _block("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565"),
        ),
        (
            _block("828684418cf1e3c2e5f23a6ba0ab90f4ff"),
            _block("828684be5886a8eb10649cbf"),
            _block("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"),
        ),
        (_block("3fe11f82"), _block("20400161016282"), _block("203fe11f40016101" + "62"), _block("be")),
        (_block("6000" + "be" * 100), _block("1008" + "61" * 8 + "0176"), _block("00016184ffffffff")),
        (_block("40016178" + "76" * 120) * 40, _block("be" * 60), _block("ff00"), _block("ff80ffffff07")),
        (b"\xff", b"\x40\x01a\x7f\xa0\x1e" + b"v" * 3999, b"\xbe" * 4000),
    ),
    (
        *(b"\x40", b"\x00", b"\x10", b"\x20", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f", b"\x80", b"\xbe", b"\xbf", b"\x7f\x00"),
        *(b"\xff\x80\x80\x80\x80\x00", b"\x85\xff\xff\xff\xff\xff", b"\x0f\x2f", b"\xff\xff\xff\xff\xff\xff\x0f"),
    ),
    _mended,
    grow,
)
