"""Authorities against the corpus of hosts, and IPv6 against the standard library."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.wire.corpus.requests import BAD_HOSTS, GOOD_HOSTS
from torana.base.authority import is_authority, is_ipv4, is_ipv6


@pytest.mark.parametrize("value", GOOD_HOSTS)
def test_good(value: bytes) -> None:
    assert is_authority(value)


@pytest.mark.parametrize("value", BAD_HOSTS)
def test_bad(value: bytes) -> None:
    assert not is_authority(value)


def test_port_wanted() -> None:
    assert is_authority(b"t:80", True) and is_authority(b"[::1]:80", True)
    assert not any(is_authority(value, True) for value in (b"t", b"t:", b"[::1]", b"[::1]:"))


def test_every_byte_in_a_host() -> None:
    allowed = b"-._~!$&'()*+;=0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for value in range(256):
        byte = bytes([value])
        assert is_authority(b"a" + byte + b"b") == (byte in allowed), byte
        assert is_authority(b"a" + byte) == (byte in allowed or byte == b":"), byte


PIECES = st.lists(
    st.sampled_from(["0", "1", "ffff", "10000", ":", "::", "1.2.3.4", "1.2.3.256", "g", "a:b", "01.2.3.4", ""]),
    max_size=12,
)


@settings(max_examples=500, deadline=None)
@given(PIECES, st.sampled_from(["", ":"]))
def test_ipv6_as_the_standard_library_reads_it(pieces: list[str], glue: str) -> None:
    text = glue.join(pieces)
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        assert not is_ipv6(text.encode())
    else:
        assert is_ipv6(text.encode())


@settings(max_examples=200, deadline=None)
@given(st.ip_addresses(v=6))
def test_every_ipv6_address_is_one(address: ipaddress.IPv6Address) -> None:
    assert is_ipv6(str(address).encode()) and is_ipv6(address.exploded.encode())


@pytest.mark.parametrize("text", [b"1.2.3.4", b"0.0.0.0", b"255.255.255.255"])
def test_ipv4(text: bytes) -> None:
    assert is_ipv4(text)


@pytest.mark.parametrize(
    "text", [b"", b"1.2.3", b"1.2.3.4.5", b"01.2.3.4", b"256.1.1.1", b"1..2.3", b"a.b.c.d", b"1.2.3.\xb2", b"1.2.3.+4"]
)
def test_not_ipv4(text: bytes) -> None:
    assert not is_ipv4(text)
