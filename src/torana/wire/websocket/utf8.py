"""UTF-8 judged piece by piece, so that a bad text fails where it is bad and not when it ends (RFC 3629, section 4).

The state says what the next byte may be; overlong forms, surrogates and what is beyond U+10FFFF have none.
Never here: decoding.
"""

from __future__ import annotations

import codecs

try:
    import cython
except ImportError:
    from torana.base import uncompiled as cython

#: Between two characters.
WHOLE = 0
#: So many continuation bytes must follow.
_ONE = 1
_TWO = 2
_THREE = 3
#: The next byte has a narrower range than the others: A0-BF, 80-9F, 90-BF, 80-8F.
_AFTER_E0 = 4
_AFTER_ED = 5
_AFTER_F0 = 6
_AFTER_F4 = 7
#: No text begins like this.
BROKEN = 8

# Compiled, the names above are C variables (utf8.pxd); this keeps them importable from Python.
globals().update(WHOLE=WHOLE, BROKEN=BROKEN)


def _table() -> bytes:
    """The next state for each state and byte."""
    rows = [bytearray([BROKEN]) * 256 for _ in range(BROKEN + 1)]

    def may_follow(state: int, low: int, high: int, after: int) -> None:
        for byte in range(low, high + 1):
            rows[state][byte] = after

    for low, high, after in (
        (0x00, 0x7F, WHOLE), (0xC2, 0xDF, _ONE), (0xE1, 0xEC, _TWO), (0xEE, 0xEF, _TWO), (0xF1, 0xF3, _THREE),
        (0xE0, 0xE0, _AFTER_E0), (0xED, 0xED, _AFTER_ED), (0xF0, 0xF0, _AFTER_F0), (0xF4, 0xF4, _AFTER_F4),
    ):  # fmt: skip
        may_follow(WHOLE, low, high, after)
    may_follow(_ONE, 0x80, 0xBF, WHOLE)
    may_follow(_TWO, 0x80, 0xBF, _ONE)
    may_follow(_THREE, 0x80, 0xBF, _TWO)
    may_follow(_AFTER_E0, 0xA0, 0xBF, _ONE)
    may_follow(_AFTER_ED, 0x80, 0x9F, _ONE)
    may_follow(_AFTER_F0, 0x90, 0xBF, _TWO)
    may_follow(_AFTER_F4, 0x80, 0x8F, _TWO)
    return b"".join(rows)


_NEXT_BYTES = _table()
_NEXT = _NEXT_BYTES


def after_text(state: int, data: bytes | bytearray, start: int, end: int) -> int:
    """The state behind ``data[start:end]``; BROKEN when that is no UTF-8."""
    if not cython.compiled:
        return _after_text_uncompiled(state, data, start, end)
    while start < end:
        if state == WHOLE:
            # Most characters, whole; the table judges the others byte by byte, three times slower.
            byte = data[start]
            if byte < 0x80:
                start += 1
                continue
            if byte > 0xE0 and byte < 0xF0 and byte != 0xED:
                if end - start > 2 and data[start + 1] & 0xC0 == 0x80 and data[start + 2] & 0xC0 == 0x80:
                    start += 3
                    continue
            elif byte > 0xC1 and byte < 0xE0:
                if end - start > 1 and data[start + 1] & 0xC0 == 0x80:
                    start += 2
                    continue
        state = _NEXT[state * 256 + data[start]]
        if state == BROKEN:
            return BROKEN
        start += 1
    return state


def _after_text_uncompiled(state: int, data: bytes | bytearray, start: int, end: int) -> int:
    """The same by Python's own decoder; the table serves for characters that are cut."""
    while start < end and state != WHOLE and state != BROKEN:
        state = _NEXT[state * 256 + data[start]]
        start += 1
    if state == WHOLE:
        try:
            start += codecs.utf_8_decode(data[start:end], "strict", False)[1]
        except UnicodeDecodeError:
            return BROKEN
        while start < end:
            state = _NEXT[state * 256 + data[start]]
            start += 1
    return state
