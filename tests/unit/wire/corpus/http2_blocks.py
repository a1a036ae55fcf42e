"""Header blocks that cannot be decoded (G-044), that unfold (G-042, G-043), and that are right in a rare way.

As hexadecimal digits with the reason the decoder gives; ``CASES`` has them as frames on stream 3.
"""

from __future__ import annotations

from tests.support.http2 import CONTINUATION, END_HEADERS, END_STREAM, GET, HEADERS, block, frame
from tests.unit.wire.corpus.http2_case import CALM, COMPRESSION, Case

UNDECODABLE = [
    ("ff" * 11, "integer"),
    ("ff" * 65536, "integer"),
    ("ff" + "80" * 5 + "00", "integer"),  # A sixth byte, though it adds nothing.
    ("ff80808080" + "7f", "integer"),
    ("ffffffff" + "ff0f", "integer"),
    ("ff81ffffff07", "integer"),  # 2^31
    ("ff80ffffff07", "index"),  # 2^31 - 1
    ("0001610001" + "ff" * 20, "integer"),
    ("00ff81ffffff07" + "61" * 64, "integer"),
    ("00ff80ffffff07" + "61" * 64, "truncated"),
    ("00016100" + "ff" * 8, "integer"),
    ("0001617fff", "truncated"),
    ("007f81ffffff0f", "integer"),
    ("80", "index"),
    ("be", "index"),
    ("ff00", "index"),
    ("7e0161", "index"),
    ("0f2f0161", "index"),
    ("1f2f0161", "index"),
    ("ff", "truncated"),
    ("40", "truncated"),
    ("4001", "truncated"),
    ("400161", "truncated"),
    ("40016102", "truncated"),
    ("00", "truncated"),
    ("0f", "truncated"),
    ("000161", "truncated"),
    ("3f", "truncated"),
    ("3fe21f", "size-update"),  # 4097
    ("3fe0ffffff07", "size-update"),
    ("8220", "size-update"),
    ("8200016101623f00", "size-update"),
    ("202020", "size-update"),
    ("000001" + "76", "empty-name"),
    ("4000" + "0176", "empty-name"),
    ("4080" + "0176", "empty-name"),
    ("000161" + "84ffffffff", "huffman"),  # EOS
    ("000161" + "851fffffffff", "huffman"),  # EOS after a letter
    ("000161" + "81ff", "huffman"),  # Eight bits of padding
    ("000161" + "821fff", "huffman"),  # Eleven
    ("000161" + "8118", "huffman"),  # Padding of zeros
    ("000161" + "811e", "huffman"),
    ("000161" + "82fffe", "huffman"),  # A code that ends too early
    ("00" + "81ff" + "0176", "huffman"),
]

#: A request of indexed fields, as far as there are any: GET http / of host t.
_GET = "82868441" + "0174"
#: Right, and rare: what follows a request's other fields, or stands before them.
DECODABLE = {
    "indexed": "",
    "literal with indexing, new name": "4001610162",
    "literal without indexing, indexed name": "0f040162",
    "literal never indexed": "1001610162",
    "name and value in the Huffman code": "40811f811f",
    "an entry of the dynamic table": "40016101" + "62" + "be",
    "an entry that is larger than the table": "4001617f" + "821f" + "62" * 4097,
}
UPDATES = {
    "a table of no bytes": "20",
    "the smallest and the final size": "203fe11f",
}

#: Sections that grow when they are decoded: threat, the block, and whether the connection ends with it.
BOMBS = {
    "a field of 4,000 bytes, and its index 16,000 times": (
        "G-042", b"\x40\x01a" + b"\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 16_000, True
    ),
    "a field of 4,000 bytes, and its index 20 times": (
        "G-042", block(GET) + b"\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 20, False
    ),
    "an empty cookie, and its index 32,000 times": ("G-043", b"\x60\x00" + b"\xbe" * 32_000, True),
    "an empty cookie, and its index 300 times": ("G-043", block(GET) + b"\x60\x00" + b"\xbe" * 300, False),
}  # fmt: skip


def in_frames(raw: bytes, stream: int = 3) -> bytes:
    """A block, in as many frames as it needs, of a request without a body."""
    parts = [raw[at : at + 16384] for at in range(0, len(raw), 16384)] or [b""]
    last = len(parts) - 1
    return b"".join(
        frame(
            CONTINUATION if at else HEADERS,
            (0 if at else END_STREAM) | (END_HEADERS if at == last else 0),
            stream,
            part,
        )
        for at, part in enumerate(parts)
    )


def _named(digits: str, reason: str) -> str:
    return f"HPACK, {reason}: {digits if len(digits) <= 40 else digits[:32] + '...'}"


CASES = [
    *(
        Case("G-044", _named(digits, reason), in_frames(bytes.fromhex(digits)), goaway=COMPRESSION)
        for digits, reason in UNDECODABLE
    ),
    *(Case("G-044", f"HPACK, {name}", in_frames(bytes.fromhex(_GET + d)), status=200) for name, d in DECODABLE.items()),
    *(Case("G-044", f"HPACK, {name}", in_frames(bytes.fromhex(d + _GET)), status=200) for name, d in UPDATES.items()),
    *(
        Case(threat, name, in_frames(raw), goaway=CALM) if is_fatal else Case(threat, name, in_frames(raw), status=431)
        for name, (threat, raw, is_fatal) in BOMBS.items()
    ),
]
