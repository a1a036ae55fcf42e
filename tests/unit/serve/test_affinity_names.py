"""What names a session in a request: the first of a name, within bounds, or nothing."""

from __future__ import annotations

import pytest

from torana.serve.affinity.names import (
    MOST_BYTES,
    client_name,
    cookie_of,
    field_of,
    query_of,
    slot_in,
    wants_page,
)

TOKEN = b"abcdefghijABCDEFGHIJ-_"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([b"w=1"], b"1"),
        ([b"a=b; w=1; c=d"], b"1"),
        ([b"a=b;w=1"], b"1"),
        ([b"w=1; w=2"], b"1"),
        ([b"a=b", b"w=1", b"w=2"], b"1"),
        ([b"xw=1"], None),
        ([b"xw=0; w=1"], b"1"),
        ([b"a=w=3; w=1"], b"1"),
        ([b"a=b w=1"], None),
        ([b"w="], b""),
        ([b"w"], None),
        ([b""], None),
        ([b" w=1"], b"1"),
        ([b"a=" + b"x" * 20_000 + b"; w=1"], None),
        ([b"xw=" * 5000], None),
    ],
)
def test_cookies(lines: list[bytes], found: bytes | None) -> None:
    assert cookie_of([(b"host", b"w=9"), *((b"cookie", line) for line in lines)], b"w=") == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"s=1", b"1"),
        (b"a=b&s=1&c", b"1"),
        (b"s=1&s=2", b"1"),
        (b"xs=1&s=2", b"2"),
        (b"a;s=1", None),
        (b"s=", None),
        (b"s=&s=2", None),
        (b"", None),
        (b"&&s=%20+&", b"%20+"),
        (b"s=" + b"x" * MOST_BYTES, b"x" * MOST_BYTES),
        (b"s=" + b"x" * (MOST_BYTES + 1), None),
    ],
)
def test_parts_of_a_query(query: bytes, found: bytes | None) -> None:
    assert query_of(query, b"s=") == found


def test_fields() -> None:
    fields = [(b"a", b"1"), (b"s", b"2"), (b"s", b"3"), (b"e", b""), (b"l", b"x" * (MOST_BYTES + 1))]
    assert [field_of(fields, name) for name in (b"s", b"t", b"e", b"l")] == [b"2", None, None, None]


@pytest.mark.parametrize(("value", "slot"), [(b"0." + TOKEN, 0), (b"7." + TOKEN, 7), (b"4095." + TOKEN, 4095)])
def test_a_slot_in_a_cookie(value: bytes, slot: int) -> None:
    assert slot_in(value) == slot


@pytest.mark.parametrize(
    "value",
    [
        b"", b".", TOKEN, b"." + TOKEN, b"x." + TOKEN, b"-1." + TOKEN, b"+1." + TOKEN, b"01." + TOKEN, b"1 ." + TOKEN,
        b"12345." + TOKEN, b"1," + TOKEN, b"1." + TOKEN + b"x", b"1." + TOKEN[:-1], b"1." + TOKEN[:-1] + b"\xe9",
        b"1." + TOKEN[:-1] + b" ", b"1." + TOKEN[:-1] + b"=", b"\xb2." + TOKEN, b"1" * 10_000,
    ],
)  # fmt: skip
def test_what_is_no_cookie_of_ours(value: bytes) -> None:
    assert slot_in(value) == -1


def test_clients() -> None:
    assert client_name("192.0.2.1") == b"192.0.2.1"
    assert client_name("2001:db8:1:2::1") == client_name("2001:db8:1:2:ffff::9") != client_name("2001:db8:1:3::1")
    assert client_name("fe80::1%eth0") == client_name("fe80::2")
    assert client_name("no:address") == b"no:address"


def test_pages() -> None:
    assert wants_page([(b"accept", b"text/html,application/xhtml+xml")])
    assert not wants_page([(b"accept", b"*/*")])
    assert not wants_page([])
