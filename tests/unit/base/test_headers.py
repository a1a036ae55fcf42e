"""Field lists: asking them, and what may stand in them."""

from __future__ import annotations

import pytest

from torana.base.headers import elements, get, get_all, is_field_value, is_token, joined, lower, tokens, trim

FIELDS = [(b"a", b"1"), (b"b", b""), (b"a", b"2"), (b"c", b"x, y")]


def test_lookup() -> None:
    assert get(FIELDS, b"a") == b"1"
    assert get(FIELDS, b"b") == b""
    assert get(FIELDS, b"A") is None
    assert get_all(FIELDS, b"a") == [b"1", b"2"]
    assert get_all(FIELDS, b"z") == []
    assert joined(FIELDS, b"a") == b"1, 2"
    assert joined(FIELDS, b"c") == b"x, y"
    assert joined(FIELDS, b"b") == b""
    assert joined(FIELDS, b"z") is None
    assert get([], b"a") is None


def test_lower_is_ascii_and_keeps_the_object() -> None:
    assert lower(b"Content-LENGTH") == b"content-length"
    assert lower(b"\xc4\xd6") == b"\xc4\xd6"
    name = b"content-length"
    assert lower(name) is name
    assert lower(b"") == b""


def test_every_byte_as_token_and_as_value() -> None:
    tchar = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for value in range(256):
        byte = bytes([value])
        assert is_token(b"a" + byte) == (byte in tchar)
        assert is_field_value(b"a" + byte) == (value == 9 or (value >= 32 and value != 127))
    assert not is_token(b"")
    assert is_field_value(b"")


@pytest.mark.parametrize("space", [b"\x0b", b"\x0c", b"\x85", b"\xa0", b"\r", b"\n", b"\x00", b"\x1c"])
def test_only_sp_and_htab_are_space(space: bytes) -> None:
    assert trim(b" \t" + space + b"a\t ") == space + b"a"
    assert tokens(space + b"A ,\t" + space) == [space + b"a", space]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"Close", [b"close"]),
        (b"a ,\tB,c", [b"a", b"b", b"c"]),
        (b"", []),
        (b" , ,", []),
        (b",a,", [b"a"]),
        (b"a b", [b"a b"]),
    ],
)
def test_tokens(value: bytes, found: list[bytes]) -> None:
    assert tokens(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b'a, "b,c" ,d', [b"a", b'"b,c"', b"d"]),
        (b'"a\\",b", c', [b'"a\\",b"', b"c"]),
        (b'"open, a', [b'"open, a']),
        (b'"open\\', [b'"open\\']),
        (b"A, B", [b"A", b"B"]),
        (b'for="[::1]:1";by=x, for=y', [b'for="[::1]:1";by=x', b"for=y"]),
        (b'""', [b'""']),
    ],
)
def test_elements_leave_quoted_strings_whole(value: bytes, found: list[bytes]) -> None:
    assert elements(value) == found
