"""Byte classes against their grammar; number readers against what ``int`` would have taken."""

from __future__ import annotations

import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.unit.wire.corpus.framing import BAD_NUMBERS
from torana.base import bytescan
from torana.base.bytescan import decimal, hexadecimal, is_word, span

TCHAR = set(("!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters).encode())
VCHAR = set(range(0x21, 0x7F))


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (bytescan.TOKEN, TCHAR),
        (bytescan.NAME, TCHAR),
        (bytescan.METHOD, TCHAR - set(string.ascii_lowercase.encode())),
        (bytescan.TEXT, VCHAR | {0x20, 0x09} | set(range(0x80, 0x100))),
        (bytescan.LINE, VCHAR | {0x20, 0x09} | set(range(0x80, 0x100))),
        (bytescan.PATH, VCHAR - set(b"#?")),
        (bytescan.TARGET, VCHAR - set(b"#")),
        (bytescan.HEX, set(string.hexdigits.encode())),
    ],
    ids=["token", "name", "method", "text", "line", "path", "target", "hex"],
)
def test_tables(table: bytes, members: set[int]) -> None:
    assert len(table) == 256
    assert {value for value in range(256) if table[value]} == members


def test_name_marks() -> None:
    assert {value for value in range(256) if bytescan.NAME[value] & 2} == set(b"_.")
    assert {value for value in range(256) if bytescan.NAME[value] & 4} == set(string.ascii_uppercase.encode())


def test_lower_touches_ascii_letters_only() -> None:
    assert bytes(range(256)).translate(bytescan.LOWER) == bytes(range(256)).lower()


def test_span_stops_inside_its_bounds() -> None:
    assert span(bytescan.TOKEN, b"abc def", 0, 7) == 3
    assert span(bytescan.TOKEN, b"abcdef", 1, 4) == 4
    assert span(bytescan.TOKEN, b"abc", 3, 3) == 3
    assert span(bytescan.TOKEN, b" abc", 0, 4) == 0


def test_is_word() -> None:
    assert is_word(b"xx ChunKed y", 3, 10, b"chunked")
    assert not is_word(b"chunked1", 0, 8, b"chunked")
    assert not is_word(b"chunke", 0, 6, b"chunked")
    assert not is_word(b"c\x68unke\xe4", 0, 7, b"chunked")
    assert is_word(b"", 0, 0, b"")


@pytest.mark.parametrize("value", BAD_NUMBERS)
def test_what_is_no_number(value: bytes) -> None:
    assert decimal(value, 0, len(value)) == -1


@pytest.mark.parametrize("value", [*BAD_NUMBERS, b"0" * 17, b"1" * 17])
def test_what_is_no_hexadecimal_number(value: bytes) -> None:
    if set(value) <= set(string.hexdigits.encode()) and 0 < len(value) <= 16:
        assert hexadecimal(value, 0, len(value)) == int(value, 16)
    else:
        assert hexadecimal(value, 0, len(value)) == -1


@pytest.mark.parametrize("power", [31, 32, 53, 62, 63, 64, 65, 128])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_numbers_around_powers_of_two(power: int, offset: int) -> None:
    number = 2**power + offset
    is_fine = number < 2**63
    text = b"%d" % number
    assert decimal(text, 0, len(text)) == (number if is_fine else -2)
    assert decimal(b"000" + text, 0, len(text) + 3) == (number if is_fine else -2)
    text = b"%x" % number
    if len(text) <= 16:
        assert hexadecimal(text, 0, len(text)) == (number if is_fine else -2)
        assert hexadecimal(text.upper(), 0, len(text)) == (number if is_fine else -2)
    else:
        assert hexadecimal(text, 0, len(text)) == -1


def test_a_huge_number_with_rubbish_behind_is_no_number() -> None:
    assert decimal(b"9" * 5000, 0, 5000) == -2
    assert decimal(b"9" * 5000 + b"x", 0, 5001) == -1


def test_numbers_inside_other_bytes() -> None:
    assert decimal(b"ab123cd", 2, 5) == 123
    assert hexadecimal(b"xxfFxx", 2, 4) == 255
    assert decimal(b"1", 1, 1) == -1


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=22))
def test_decimal_takes_nothing_that_only_int_takes(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    value = decimal(data, 0, len(data))
    if data and set(data) <= set(string.digits.encode()):
        assert value == (int(data) if int(data) < 2**63 else -2)
    else:
        assert value == -1
        try:
            int(text)
        except ValueError:
            assume(True)
