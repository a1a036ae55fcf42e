"""Authorities, IP addresses and numbers, beside what Python's own readers make of them. ``base``."""

from __future__ import annotations

import ipaddress

from tests.fuzz.target import Target, Verdict
from torana.base.authority import is_authority, is_ipv4, is_ipv6
from torana.base.bytescan import LARGEST, decimal, hexadecimal


def _is_address(text: bytes, kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address]) -> bool:
    try:
        kind(text.decode("latin-1"))
    except ValueError:
        return False
    return True


def _number(text: bytes, base: int, digits: bytes) -> int:
    if not text or text.strip(digits) or (base == 16 and len(text) > 16):
        return -1
    value = int(text, base)
    return value if value <= LARGEST else -2


def _judge(text: bytes) -> Verdict:
    v4, v6 = is_ipv4(text), is_ipv6(text)
    assert v4 == _is_address(text, ipaddress.IPv4Address), "not as ipaddress reads IPv4"
    # A zone is no part of RFC 3986's address.
    assert v6 == (b"%" not in text and b"/" not in text and _is_address(text, ipaddress.IPv6Address)), "nor IPv6"
    whole, with_port = is_authority(text), is_authority(text, True)
    assert whole or not with_port
    if v6:
        assert is_authority(b"[" + text + b"]:1", True)
    if whole:
        assert b"@" not in text and b"," not in text and b" " not in text and b"/" not in text
    numbers = decimal(text, 0, len(text)), hexadecimal(text, 0, len(text))
    assert numbers[0] == _number(text, 10, b"0123456789")
    assert numbers[1] == _number(text, 16, b"0123456789abcdefABCDEF")
    return v4, v6, whole, with_port, numbers


def _run(data: bytes) -> Verdict:
    return [_judge(line) for line in data.split(b"\n")[:40]]


AUTHORITY = Target(
    "authority",
    _run,
    (
        (b"a.example:8080", b"\n", b"[2001:db8::1]:443", b"\n", b"192.0.2.1"),
        (b"::", b"\n", b"::1", b"\n", b"1::", b"\n", b"::ffff:192.0.2.1", b"\n", b"1:2:3:4:5:6:7:8"),
        (b"01.2.3.4", b"\n", b"256.1.1.1", b"\n", b"1:2:3:4:5:6:1.2.3.4", b"\n", b":::", b"\n", b"1::2::3"),
        (b"%41%4g.example", b"\n", b"user@host", b"\n", b"a,b", b"\n", b"[::1", b"\n", b"[::1]x", b"\n", b":80"),
        (
            b"9223372036854775807",
            b"\n",
            b"9223372036854775808",
            b"\n",
            b"7fffffffffffffff",
            b"\n",
            b"00000000000000000",
        ),
    ),
    (
        b":",
        b"::",
        b".",
        b"[",
        b"]",
        b"\n",
        b"%",
        b"%25",
        b"65535",
        b"65536",
        b"0",
        b"ffff",
        b"255",
        b"1.2.3.4",
        b"\xff",
    ),
)
