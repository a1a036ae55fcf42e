"""Byte classes and the few loops that walk over bytes: every question about single bytes is asked here.

A class is a table of 256 entries, zero meaning "not in the class". Compiled, tables and data are plain C arrays;
uncompiled they are ``bytes``. No function here looks at a byte outside ``[start, end)``.
Never here: what a field, a line or a message means. Grammar: RFC 9110 section 5, RFC 9112, RFC 3986.
"""

from __future__ import annotations

_DIGITS = b"0123456789"
_UPPER = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_SMALL = b"abcdefghijklmnopqrstuvwxyz"
_TCHAR = b"!#$%&'*+-.^_`|~" + _DIGITS + _UPPER + _SMALL


def _table(members: bytes, value: int = 1) -> bytes:
    """A class of ``members``, each marked with ``value``."""
    return bytes(value if byte in members else 0 for byte in range(256))


def _name_table() -> bytes:
    """tchar, with a bit for what a field name may hold but we treat apart: 2 for "_" and ".", 4 for upper case."""
    marks = dict.fromkeys(_TCHAR, 1) | dict.fromkeys(b"_.", 3) | dict.fromkeys(_UPPER, 5)
    return bytes(marks.get(byte, 0) for byte in range(256))


_VISIBLE = bytes(range(0x21, 0x7F))

#: tchar (RFC 9110 section 5.6.2).
TOKEN_BYTES = _table(_TCHAR)
#: tchar with marks: see ``_name_table``.
NAME_BYTES = _name_table()
#: What a field value may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 section 5.5).
TEXT_BYTES = _table(b"\t " + _VISIBLE + bytes(range(0x80, 0x100)))
#: What any line of a head may hold before its CRLF; the same set, named for its other use.
LINE_BYTES = TEXT_BYTES
#: tchar without lower-case letters: no method that any registry knows has one, and "get" is not GET.
METHOD_BYTES = _table(bytes(byte for byte in _TCHAR if byte not in _SMALL))
#: Request target up to its query: visible ASCII but "#" and "?".
PATH_BYTES = _table(bytes(byte for byte in _VISIBLE if byte not in b"#?"))
#: Request target: visible ASCII but "#" (a fragment never travels).
TARGET_BYTES = _table(bytes(byte for byte in _VISIBLE if byte not in b"#"))
#: ASCII lower case; a translation table, all else stays.
LOWER_BYTES = bytes(byte + 32 if byte in _UPPER else byte for byte in range(256))
#: Value of a hexadecimal digit plus one.
HEX_BYTES = bytes(int(chr(byte), 16) + 1 if byte in b"0123456789abcdefABCDEF" else 0 for byte in range(256))

TOKEN = TOKEN_BYTES
NAME = NAME_BYTES
TEXT = TEXT_BYTES
LINE = LINE_BYTES
METHOD = METHOD_BYTES
PATH = PATH_BYTES
TARGET = TARGET_BYTES
LOWER = LOWER_BYTES
HEX = HEX_BYTES
#: Largest number that any length of ours may be.
LARGEST = 0x7FFF_FFFF_FFFF_FFFF
# C variables when compiled: a literal that large would be a Python object.
_TENTH = LARGEST // 10
_SIXTEENTH = LARGEST // 16

# Compiled, the names above are C variables (bytescan.pxd); this keeps them importable from Python.
globals().update(
    TOKEN=TOKEN_BYTES,
    NAME=NAME_BYTES,
    TEXT=TEXT_BYTES,
    LINE=LINE_BYTES,
    METHOD=METHOD_BYTES,
    PATH=PATH_BYTES,
    TARGET=TARGET_BYTES,
    LOWER=LOWER_BYTES,
    LOWER_BYTES=LOWER_BYTES,
    HEX=HEX_BYTES,
    LARGEST=LARGEST,
)


def span(table: bytes, data: bytes | bytearray, start: int, end: int) -> int:
    """Index of the first byte of ``data[start:end]`` that is not in ``table``, or ``end``."""
    # Four at a time: half of the work would be counting.
    while (
        end - start >= 4
        and table[data[start]]
        and table[data[start + 1]]
        and table[data[start + 2]]
        and table[data[start + 3]]
    ):
        start += 4
    while start < end and table[data[start]]:
        start += 1
    return start


def is_word(data: bytes, start: int, end: int, word: bytes) -> bool:
    """Whether ``data[start:end]`` is ``word``, which is given in lower case, without regard to ASCII case."""
    if end - start != len(word):
        return False
    differing = 0
    for i in range(len(word)):
        # All of it is looked at: a word is short, and a branch for each byte costs more.
        differing |= LOWER[data[start + i]] ^ word[i]
    return differing == 0


def decimal(data: bytes, start: int, end: int) -> int:
    """Value of ``1*DIGIT``; -1 when it is anything else, -2 when it is larger than 2^63-1.

    Never ``int()``: that takes signs, underscores, spaces and other scripts' digits.
    """
    if start >= end:
        return -1
    value = 0
    for i in range(start, end):
        digit = data[i] - 48
        if digit < 0 or digit > 9:
            return -1
        if value >= 0:
            # Checked before the step, so that it cannot overflow; the rest is still looked at for its digits.
            if value > _TENTH or (value == _TENTH and digit > 7):
                value = -2
            else:
                value = value * 10 + digit
    return value


def hexadecimal(data: bytes, start: int, end: int) -> int:
    """Value of ``1*16HEXDIG``; -1 when it is anything else, -2 when it is larger than 2^63-1."""
    if start >= end or end - start > 16:
        return -1
    value = 0
    for i in range(start, end):
        digit = HEX[data[i]]
        if digit == 0:
            return -1
        if value >= 0:
            # The digit's value first: one more would not fit behind the largest number.
            value = -2 if value > _SIXTEENTH else value * 16 + (digit - 1)
    return value
