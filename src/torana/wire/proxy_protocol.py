"""The header with which a proxy names its client ahead of the first byte: PROXY protocol, versions 1 and 2.

Follows "The PROXY protocol, versions 1 & 2" (haproxy.org, 2020-03-05), sections 2.1 and 2.2, read strictly: what a
correct sender would never write is refused, since nothing after it could be believed (G-074).
Never here: sockets, deadlines, and the question whether this peer may send one (``serve``).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from typing import Any

from msgspec import Struct

from torana.wire.events import NEED_DATA, Mark, WireError

#: Longest header of version 1, with its CRLF (section 2.1).
V1_BYTES = 107
#: Longest header of version 2 that we take, with its 16 fixed bytes.
V2_BYTES = 4096

_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")
_V1 = b"PROXY "
_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
_FIXED = 16

# Version 2: commands, families and the only transport that HTTP/1 and HTTP/2 know.
_LOCAL, _PROXY = 0, 1
_UNSPEC, _INET, _INET6, _UNIX = 0, 1, 2, 3
_STREAM = 1
_ADDRESS_BYTES = {_UNSPEC: 0, _INET: 12, _INET6: 36, _UNIX: 216}

# Types of the values that may follow the addresses (section 2.2.1 and on).
_CRC32C, _UNIQUE_ID, _SSL = 0x03, 0x05, 0x20
_SSL_VERSION, _SSL_CN, _SSL_CIPHER = 0x21, 0x22, 0x23
_CLIENT_SSL, _CLIENT_CERT_CONN, _CLIENT_CERT_SESS = 1, 2, 4

_TLS_VERSIONS = {b"TLSv1": 0x0301, b"TLSv1.1": 0x0302, b"TLSv1.2": 0x0303, b"TLSv1.3": 0x0304}
#: IANA numbers of the suites in use, by OpenSSL's names.
_CIPHERS = {
    b"TLS_AES_128_GCM_SHA256": 0x1301,
    b"TLS_AES_256_GCM_SHA384": 0x1302,
    b"TLS_CHACHA20_POLY1305_SHA256": 0x1303,
    b"ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B,
    b"ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C,
    b"ECDHE-RSA-AES128-GCM-SHA256": 0xC02F,
    b"ECDHE-RSA-AES256-GCM-SHA384": 0xC030,
    b"ECDHE-RSA-CHACHA20-POLY1305": 0xCCA8,
    b"ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9,
}


class Header(Struct, frozen=True):
    """What the proxy said. ``client`` and ``server`` are None where it said nothing: the socket's own then count."""

    client: tuple[str, int] | None
    server: tuple[str, int] | None
    #: How many bytes of the data last fed belong to the header; what follows is the connection's first data.
    consumed: int
    #: Facts of the client's TLS connection to the proxy, as ASGI's tls extension wants them; None if it was plain.
    tls: dict[str, Any] | None = None


class ProxyHeader:
    """Reads one header. Feed bytes, peeked or taken, until a ``Header`` comes; it is refused by ``WireError``."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Header | Mark:
        """``NEED_DATA`` while the header is incomplete: then all of ``data`` belonged to it."""
        before = len(self._data)
        # One byte more than may ever be needed shows that a header is too long.
        self._data += data[: V2_BYTES + 1 - before]
        found = _parse(bytes(self._data))
        if found is None:
            return NEED_DATA
        size, client, server, tls = found
        return Header(client, server, size - before, tls)


_Found = tuple[int, "tuple[str, int] | None", "tuple[str, int] | None", "dict[str, Any] | None"]


def _refuse(reason: str) -> WireError:
    return WireError(400, "proxy-header-" + reason, "proxy_protocol")


def _parse(data: bytes) -> _Found | None:
    if data[:1] == b"\r":
        if not _V2.startswith(data[:12]):
            raise _refuse("missing")
        return _parse_v2(data) if len(data) >= _FIXED else None
    if not _V1.startswith(data[:6]):
        raise _refuse("missing")
    return _parse_v1(data)


# --- version 1: one line of text


def _parse_v1(data: bytes) -> _Found | None:
    end = data.find(b"\r\n", 0, V1_BYTES)
    line = data[:end] if end >= 0 else data[:V1_BYTES]
    if b"\n" in line or b"\r" in line[:-1] or (end >= 0 and b"\r" in line) or b"\x00" in line:
        raise _refuse("malformed")
    if end < 0:
        if len(data) >= V1_BYTES:
            raise _refuse("too-long")
        return None
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        return end + 2, None, None, None
    if words[1] not in (b"TCP4", b"TCP6") or len(words) != 6:
        raise _refuse("malformed")
    source, target = (_address_v1(word, words[1] == b"TCP6") for word in words[2:4])
    return end + 2, (source, _port_v1(words[4])), (target, _port_v1(words[5])), None


def _address_v1(word: bytes, is_v6: bool) -> str:
    try:
        text = word.decode("ascii")
        if "%" in text:
            raise _refuse("malformed")
        return _plain(ipaddress.IPv6Address(text)) if is_v6 else str(ipaddress.IPv4Address(text))
    except ValueError:
        raise _refuse("malformed") from None


def _plain(address: ipaddress.IPv6Address) -> str:
    mapped = address.ipv4_mapped
    return str(address if mapped is None else mapped)


def _port_v1(word: bytes) -> int:
    if not _PORT.fullmatch(word):
        raise _refuse("malformed")
    port = int(word)  # ASCII digits
    if port > 65535:
        raise _refuse("malformed")
    return port


# --- version 2: sixteen fixed bytes, addresses, then type-length-value triples


def _parse_v2(data: bytes) -> _Found | None:
    version_command, family_transport, length = struct.unpack_from("!BBH", data, 12)
    command = version_command & 15
    if version_command >> 4 != 2 or command > _PROXY:
        raise _refuse("malformed")
    size = _FIXED + length
    if size > V2_BYTES:
        raise _refuse("too-long")
    family, transport = family_transport >> 4, family_transport & 15
    address_bytes = 0
    if command == _PROXY:
        if family not in _ADDRESS_BYTES or transport != (_STREAM if family else 0):
            raise _refuse("family")
        address_bytes = _ADDRESS_BYTES[family]
        if length < address_bytes:
            raise _refuse("truncated")
    if len(data) < size:
        return None
    if command == _LOCAL:
        # The proxy speaks for itself (a health check): the rest is to be skipped unread (section 2.2).
        return size, None, None, None
    tls = _read_values(data[:size], _FIXED + address_bytes)
    client, server = _addresses(data, family)
    return size, client, server, tls


def _addresses(data: bytes, family: int) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    if family == _INET:
        source, target, source_port, target_port = struct.unpack_from("!4s4sHH", data, _FIXED)
        return (
            (str(ipaddress.IPv4Address(source)), source_port),
            (str(ipaddress.IPv4Address(target)), target_port),
        )
    if family == _INET6:
        source, target, source_port, target_port = struct.unpack_from("!16s16sHH", data, _FIXED)
        return (
            (_plain(ipaddress.IPv6Address(source)), source_port),
            (_plain(ipaddress.IPv6Address(target)), target_port),
        )
    # Unspecified, or a unix socket at the proxy: nobody that could be named.
    return None, None


def _triples(data: bytes, at: int) -> list[tuple[int, bytes, int]]:
    """(type, value, offset of the value) from ``at`` to the end, which they must fill exactly."""
    found = []
    while at < len(data):
        if at + 3 > len(data):
            raise _refuse("truncated")
        kind, length = struct.unpack_from("!BH", data, at)
        at += 3
        if at + length > len(data):
            raise _refuse("truncated")
        found.append((kind, data[at : at + length], at))
        at += length
    return found


def _read_values(data: bytes, at: int) -> dict[str, Any] | None:
    tls = None
    seen = set()
    for kind, value, offset in _triples(data, at):
        if kind in seen and kind in (_CRC32C, _UNIQUE_ID, _SSL):
            raise _refuse("malformed")
        seen.add(kind)
        if kind == _CRC32C:
            if len(value) != 4:
                raise _refuse("malformed")
            if crc32c(data[:offset] + b"\0\0\0\0" + data[offset + 4 :]) != int.from_bytes(value, "big"):
                raise _refuse("checksum")
        elif kind == _UNIQUE_ID and len(value) > 128:
            raise _refuse("malformed")
        elif kind == _SSL:
            tls = _tls_facts(value)
    return tls


def _tls_facts(value: bytes) -> dict[str, Any] | None:
    """PP2_TYPE_SSL (section 2.2.6) in the words of ASGI's tls extension; None if the client did not speak TLS."""
    if len(value) < 5:
        raise _refuse("truncated")
    flags, verify = struct.unpack_from("!BI", value)
    parts = {kind: part for kind, part, _ in _triples(value, 5)}
    if not flags & _CLIENT_SSL:
        return None
    has_certificate = bool(flags & (_CLIENT_CERT_CONN | _CLIENT_CERT_SESS))
    name = parts.get(_SSL_CN) if has_certificate else None
    return {
        "server_cert": None,
        "client_cert_chain": [],
        "client_cert_name": None if name is None else "CN=" + _escape_name(name),
        "client_cert_error": f"verification failed with code {verify}" if has_certificate and verify else None,
        "tls_version": _TLS_VERSIONS.get(parts.get(_SSL_VERSION, b"")),
        "cipher_suite": _CIPHERS.get(parts.get(_SSL_CIPHER, b"")),
    }


def _escape_name(value: bytes) -> str:
    """A common name as RFC 4514 section 2.4 writes it."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise _refuse("malformed") from None
    shown = "".join("\\" + char if char in '",+;<>\\' else "\\00" if char == "\0" else char for char in text)
    if shown[:1] in ("#", " "):
        shown = "\\" + shown
    # A single blank is both first and last, and is already escaped.
    if text.endswith(" ") and len(text) > 1:
        shown = shown[:-1] + "\\ "
    return shown


def _crc32c_table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return table


_CRC32C_TABLE = _crc32c_table()


def crc32c(data: bytes) -> int:
    """The Castagnoli checksum (RFC 4960 appendix B)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC32C_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
