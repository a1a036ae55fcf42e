"""The authority of a request: what Host, an absolute-form target or ``:authority`` may say (RFC 3986 section 3.2).

Narrower than the RFC where a second reader could see another host: no user information, no comma, no empty host,
no IPvFuture, no zone. Never here: routing, or which host a connection is good for.
"""

from __future__ import annotations

from torana.base.bytescan import HEX, decimal, span

_DIGITS = b"0123456789"
_HEX_DIGITS = b"0123456789abcdefABCDEF"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: reg-name without the comma, which would read as two hosts elsewhere; "%" is checked for its two digits.
REG_NAME_BYTES = bytes(byte in _LETTERS + _DIGITS + b"-._~!$&'()*+;=%" for byte in range(256))
REG_NAME = REG_NAME_BYTES


def is_authority(value: bytes, needs_port: bool = False) -> bool:
    """Whether ``value`` is ``host [":" port]``, the port at most 65535; with ``needs_port`` the port must be there."""
    data = value
    size = len(value)
    if size == 0:
        return False
    if data[0] == 0x5B:  # "["
        stop = value.find(b"]")
        if stop < 0 or not is_ipv6(value[1:stop]):
            return False
        stop += 1
    else:
        stop = span(REG_NAME, data, 0, size)
        if stop == 0 or not _is_escaped(data, 0, stop):
            return False
    if stop == size:
        return not needs_port
    if data[stop] != 0x3A or size - stop > 6:  # ":" and at most five digits
        return False
    if stop + 1 == size:
        return not needs_port
    return 0 <= decimal(data, stop + 1, size) <= 65535


def _is_escaped(data: bytes, start: int, end: int) -> bool:
    """Whether every "%" is followed by two hexadecimal digits."""
    for i in range(start, end):
        if data[i] == 0x25 and (end - i < 3 or HEX[data[i + 1]] == 0 or HEX[data[i + 2]] == 0):
            return False
    return True


def is_ipv4(text: bytes) -> bool:
    """Whether ``text`` is four decimal octets without leading zeros."""
    parts = text.split(b".")
    if len(parts) != 4:
        return False
    for part in parts:
        size = len(part)
        if size > 3 or (size > 1 and part.startswith(b"0")) or not 0 <= decimal(part, 0, size) <= 255:
            return False
    return True


def is_ipv6(text: bytes) -> bool:
    """Whether ``text`` is an IPv6 address as RFC 3986 writes it (no brackets, no zone)."""
    if len(text) > 45 or b":::" in text or text.count(b"::") > 1:
        return False
    is_short = b"::" in text
    if not is_short and (text.startswith(b":") or text.endswith(b":")):
        return False
    groups = 0
    parts = text.replace(b"::", b":", 1).strip(b":").split(b":") if text != b"::" else []
    if is_short and (text.startswith(b":") != text.startswith(b"::") or text.endswith(b":") != text.endswith(b"::")):
        return False
    for index, part in enumerate(parts):
        if b"." in part:
            if index != len(parts) - 1 or text.endswith(b":") or not is_ipv4(part):
                return False
            groups += 2
        elif 1 <= len(part) <= 4 and not part.strip(_HEX_DIGITS):
            groups += 1
        else:
            return False
    return groups <= 7 if is_short else groups == 8
