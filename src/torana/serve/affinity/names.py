"""What in a request names its session: a cookie, a field, a part of the query, the client's address.

All of it is hostile: only the first of a name counts, within a bound, and what is malformed is taken as absent. Never
here: whose the session is. RFC 6265 section 4.2, RFC 9110 section 5.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torana.wire.events import Fields

#: Longest name of a session, in bytes; a longer one is none.
MOST_BYTES = 256
#: How much of all cookies, or of a query, is looked at.
_MOST_SEARCHED = 16 * 1024
#: Digits of a slot in a cookie, and characters of the part behind the dot.
_SLOT_DIGITS = 4
TOKEN_CHARACTERS = 22


def cookie_of(fields: Fields, name: bytes) -> bytes | None:
    """The value of the first cookie of that name (``name`` ends with "="), None if there is none."""
    for key, value in fields:
        if key == b"cookie":
            found = _part_of(value, name, 0x3B)
            if found is not None:
                return found
    return None


def field_of(fields: Fields, name: bytes) -> bytes | None:
    """The value of the first field of that name (lower case), None if there is none that can be used."""
    for key, value in fields:
        if key == name:
            return value if 0 < len(value) <= MOST_BYTES else None
    return None


def query_of(query: bytes, name: bytes) -> bytes | None:
    """The value of the first part of the query of that name (``name`` ends with "="), as it was sent."""
    found = _part_of(query, name, 0x26) if query else None
    return found if found is not None and 0 < len(found) <= MOST_BYTES else None


def _part_of(text: bytes, name: bytes, separator: int) -> bytes | None:
    """The value behind the first ``name`` at the beginning of a part of ``text``."""
    size = len(text)
    if size > _MOST_SEARCHED:
        size = _MOST_SEARCHED
    at = text.find(name, 0, size)
    while at >= 0:
        before = at
        # Cookies have a space behind their semicolon.
        while separator == 0x3B and before > 0 and text[before - 1] == 0x20:
            before -= 1
        start = at + len(name)
        if before == 0 or text[before - 1] == separator:
            end = text.find(b";" if separator == 0x3B else b"&", start, size)
            if end < 0:
                end = size
            return text[start:end]
        at = text.find(name, start, size)
    return None


def slot_in(value: bytes) -> int:
    """The slot in a cookie's value, "SLOT.TOKEN"; -1 when it is none of ours."""
    size = len(value)
    dot = size - TOKEN_CHARACTERS - 1
    if dot < 1 or dot > _SLOT_DIGITS or value[dot] != 0x2E:
        return -1
    if value[0] == 0x30 and dot > 1:
        return -1
    slot = 0
    for i in range(dot):
        digit = value[i]
        if digit < 0x30 or digit > 0x39:
            return -1
        slot = slot * 10 + digit - 0x30
    for i in range(dot + 1, size):
        letter = value[i]
        if not (
            0x61 <= letter <= 0x7A or 0x41 <= letter <= 0x5A or 0x30 <= letter <= 0x39 or letter == 0x2D
            or letter == 0x5F
        ):  # fmt: skip
            return -1
    return slot


def client_name(host: str) -> bytes:
    """What of a client's address stays the same: of IPv6 the first half, for clients change the other."""
    if ":" not in host:
        return host.encode("ascii", "replace")
    try:
        return ipaddress.IPv6Address(host.partition("%")[0]).packed[:8]
    except ValueError:
        return host.encode("ascii", "replace")


def wants_page(fields: Fields) -> bool:
    """Whether somebody asks for a page: with that a session begins, it does not go on."""
    for key, value in fields:
        if key == b"accept":
            return b"text/html" in value
    return False
