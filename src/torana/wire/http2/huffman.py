"""The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B), strict in both directions.

The code is canonical: codes grow with their length, and among equals with the symbol. So the table below is the whole
of appendix B, and one comparison a length finds a long code. Never here: lengths and flags of string literals.
"""

from __future__ import annotations

#: Bits of each symbol's code. Symbol 256 (EOS) is 30 ones; it never travels.
_BITS = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,  # 00
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,  # 10
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,  # 20
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,  # 30
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,  # 40
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,  # 50
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,  # 60
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,  # 70
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,  # 80
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,  # 90
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,  # a0
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,  # b0
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,  # c0
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,  # d0
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,  # e0
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,  # f0
]  # fmt: skip


def _codes() -> list[int]:
    """Each symbol's code, right-aligned."""
    codes = [0] * 256
    code = last_length = 0
    for symbol in sorted(range(256), key=_BITS.__getitem__):
        code <<= _BITS[symbol] - last_length
        last_length = _BITS[symbol]
        codes[symbol] = code
        code += 1
    return codes


def _short_table(of_lengths: bool) -> list[int]:
    """By the next eight bits: the symbol whose code they begin with, or that code's length; 0 when it is longer."""
    table = [0] * 256
    for symbol, code in enumerate(_codes()):
        spare = 8 - _BITS[symbol]
        if spare >= 0:
            first = code << spare
            table[first : first + (1 << spare)] = [_BITS[symbol] if of_lengths else symbol] * (1 << spare)
    return table


def _limits() -> list[int]:
    """By length: the first 30-bit window that belongs to a longer code; 0 for lengths that no code has."""
    limits = [0] * 31
    for symbol, code in enumerate(_codes()):
        length = _BITS[symbol]
        limits[length] = max(limits[length], (code + 1) << (30 - length))
    return limits


def _offsets() -> list[int]:
    """By length: what to add to a code of that length to have its place in ``_ORDER``."""
    offsets = [0] * 31
    codes = _codes()
    for place in range(255, -1, -1):
        symbol = _ORDER_LIST[place]
        offsets[_BITS[symbol]] = place - codes[symbol]
    return offsets


_ORDER_LIST = sorted(range(256), key=_BITS.__getitem__)

# C arrays when compiled (huffman.pxd).
_CODES = _codes()
_LENGTHS = _BITS
_SHORT_SYMBOLS = _short_table(False)
_SHORT_LENGTHS = _short_table(True)
_LIMITS = _limits()
_OFFSETS = _offsets()
_ORDER = _ORDER_LIST


def huffman_size(text: bytes) -> int:
    """Bytes that ``to_huffman(text)`` would give."""
    bits = 0
    for i in range(len(text)):
        bits += _LENGTHS[text[i]]
    return (bits + 7) >> 3


def to_huffman(text: bytes) -> bytes:
    """``text`` in the code, the last byte filled up with ones."""
    found = bytearray(huffman_size(text))
    out = found
    raw = text
    at = 0
    bits = 0
    waiting = 0
    for i in range(len(text)):
        byte = raw[i]
        # At most 7 + 30 bits wait; what is above them has gone.
        waiting = ((waiting & 0xFF) << _LENGTHS[byte]) | _CODES[byte]
        bits += _LENGTHS[byte]
        while bits >= 8:
            bits -= 8
            out[at] = (waiting >> bits) & 0xFF
            at += 1
    if bits:
        out[at] = ((waiting << (8 - bits)) | (0xFF >> bits)) & 0xFF
    return bytes(found)


def from_huffman(data: bytes, start: int, end: int) -> bytes | None:
    """The text of ``data[start:end]``; None when EOS is in it or the padding is not at most seven ones."""
    found = bytearray((end - start) * 8 // 5)  # No code is shorter than five bits.
    out = found
    at = 0
    bits = 0
    waiting = 0
    while True:
        while bits < 30 and start < end:
            # Masked before it grows: what was used has to go, and a literal above 2^31 would be an object in C.
            waiting = ((waiting & 0x3FFF_FFFF) << 8) | data[start]
            start += 1
            bits += 8
        # The next 30 bits, filled up with ones after the end: what then reaches over the end can only be padding.
        if bits >= 30:
            window = (waiting >> (bits - 30)) & 0x3FFF_FFFF
        else:
            window = ((waiting << (30 - bits)) | (0x3FFF_FFFF >> bits)) & 0x3FFF_FFFF
        length = _SHORT_LENGTHS[window >> 22]
        if length:
            if length > bits:
                break
            out[at] = _SHORT_SYMBOLS[window >> 22]
        else:
            length = _long_length(window)
            if length > bits:
                break
            if length == 31:
                return None
            out[at] = _ORDER[(window >> (30 - length)) + _OFFSETS[length]]
        at += 1
        bits -= length
    if bits > 7 or window != 0x3FFF_FFFF:
        return None
    return bytes(found[:at])


def _long_length(window: int) -> int:
    """Length of the code of more than eight bits that ``window`` begins with; 31 when it is EOS."""
    for length in range(10, 31):
        if window < _LIMITS[length]:
            return length
    return 31
