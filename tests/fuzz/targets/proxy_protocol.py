"""The PROXY protocol's header, versions 1 and 2. ``wire/proxy_protocol``."""

from __future__ import annotations

import struct

from tests.fuzz.target import Target, Verdict, cuts
from torana.wire.events import WireError
from torana.wire.proxy_protocol import Header, ProxyHeader, crc32c

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_INET = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack("!HH", 4321, 443)
_INET6 = bytes(range(32)) + struct.pack("!HH", 4321, 443)


def _read(pieces: list[bytes]) -> Verdict:
    reader = ProxyHeader()
    at = 0
    for piece in pieces:
        try:
            found = reader.feed(piece)
        except WireError as error:
            return error.status, error.reason, error.setting
        if isinstance(found, Header):
            assert 0 < found.consumed <= len(piece)
            return found.client, found.server, at + found.consumed, found.tls
        at += len(piece)
    return "unfinished"


def _run(data: bytes) -> Verdict:
    whole = _read([data] if data else [])
    for pieces in cuts(data):
        assert _read(pieces) == whole, "the cuts of the bytes changed what was read"
    return whole, crc32c(data)


def _v2(body: bytes, start: int = 0x21, family: int = 0x11) -> bytes:
    return _SIGNATURE + struct.pack("!BBH", start, family, len(body)) + body


def _value(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def _mended(part: bytes) -> bytes:
    """The length, and the checksum where there is one at the end, made right."""
    if len(part) < 16 or not part.startswith(_SIGNATURE):
        return part
    part = part[:14] + struct.pack("!H", min(len(part) - 16, 0xFFFF)) + part[16:]
    if part[-7:-4] == b"\x03\x00\x04":
        part = part[:-4] + struct.pack("!I", crc32c(part[:-4] + bytes(4)))
    return part


_TLS = _value(0x20, struct.pack("!BI", 7, 0) + _value(0x21, b"TLSv1.3") + _value(0x22, b"caf\xc3\xa9, #1 "))
_AFTER = b"GET / HTTP/1.1\r\n\r\n"

HEADER = Target(
    "proxy-protocol",
    _run,
    (
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n", _AFTER),
        (b"PROXY TCP6 2001:db8::7 ::ffff:198.51.100.1 65535 0\r\n", _AFTER),
        (b"PROXY UNKNOWN\r\n", _AFTER),
        (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", _AFTER),
        (b"PROXY TCP4 192.0.2.07 1.1.1.1 65536 01\r\n",),
        (_v2(_INET), _AFTER),
        (_v2(_INET6, family=0x21), _AFTER),
        (_v2(bytes(216), family=0x31), _AFTER),
        (_v2(b"", start=0x20, family=0x00), _AFTER),
        (_mended(_v2(_INET + _TLS + _value(0x05, b"id") + _value(0x03, bytes(4)))), _AFTER),
        (_v2(_INET + _value(0x04, bytes(3000))), _AFTER),
        (_v2(_INET + b"\x04\x00"), _AFTER),
    ),
    (
        b"PROXY ",
        b"TCP4",
        b"TCP6",
        b"UNKNOWN",
        b" ",
        b"\r\n",
        _SIGNATURE,
        b"::",
        b"%lo",
        b"65536",
        _TLS,
        b"\x20\x00\x05",
    ),
    _mended,
)
