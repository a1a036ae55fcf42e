"""How the path and the host of a request may be read, when one of several applications is to be chosen by them.

A path can be written in many ways. Whoever chooses by one of them while an application reads another opens a way round:
``/admin`` is closed, ``//admin`` or ``/x/%2e%2e/admin`` is not. So a path that could mean two things has several
readings, and whoever chooses goes on only if all lead to the same application. What an application is given is never
changed. RFC 3986 sections 3.3, 5.2.4 and 6.2.2; RFC 9110 section 7.2. Never here: applications, gateways.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

from torana.wire.events import RequestHead


def is_plain(raw_path: bytes) -> bool:
    """Whether a path can be read in one way only: nothing encoded, no empty segment, none that begins with a dot."""
    return b"%" not in raw_path and b"//" not in raw_path and b"/." not in raw_path


def readings(raw_path: bytes) -> list[bytes]:
    """What a path can mean, the way applications are told it first: decoded once, as bytes.

    Then the same with encoded slashes as part of their segment, and both once more without dots and empty segments.
    """
    told = unquote_to_bytes(raw_path)
    segments = unquote_to_bytes(raw_path.replace(b"%2F", b"%252F").replace(b"%2f", b"%252F"))
    found = [told]
    for reading in (segments, _normal(told), _normal(segments)):
        if reading not in found:
            found.append(reading)
    return found


def _normal(path: bytes) -> bytes:
    """Without ``.``, ``..`` and empty segments, but for one at the end."""
    kept: list[bytes] = []
    segment = b""
    for segment in path.split(b"/"):
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment and segment != b".":
            kept.append(segment)
    if kept and (segment == b"" or segment == b"." or segment == b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)


def is_below(path: bytes, prefix: bytes) -> bool:
    """Whether a path is a prefix or lies below it; ``/apix`` does not lie below ``/api``. All lies below ``b""``."""
    size = len(prefix)
    if size == 0:
        return True
    if not path.startswith(prefix):
        return False
    return len(path) == size or path[size] == 47  # "/"


def without(path: bytes, prefix: bytes) -> bytes:
    """What follows a prefix; the whole path if it does not lie below it."""
    return path[len(prefix) :] if prefix and is_below(path, prefix) else path


def target_below(target: bytes, prefix: bytes) -> bytes:
    """What follows an encoded prefix in a path and its query, for an application that knows no mount points; all of it
    where the prefix does not stand.
    """
    if not target.startswith(prefix):
        return target
    rest = target[len(prefix) :]
    if rest[:1] == b"/":
        return rest
    return b"/" + rest if rest == b"" or rest[:1] == b"?" else target


def encoded(path: str) -> bytes:
    """A path as it stands in most request lines (RFC 3986 section 3.3)."""
    return quote(path, safe="/!$&'()*+,;=:@-._~").encode("ascii")


def host_of(head: RequestHead) -> bytes:
    """The value of the one Host field (over HTTP/2, of ``:authority``); b"" without one, or if there are several."""
    found = b""
    is_first = True
    for name, value in head.fields:
        if name == b"host":
            if not is_first:
                return b""
            found = value
            is_first = False
    return found


def host_name(host: bytes) -> bytes:
    """A host as names are compared: in lower case, without its port and without the dot at its end."""
    name = host.lower()
    colon = name.rfind(b":")
    if colon >= 0 and name[colon + 1 :].strip(b"0123456789") == b"" and name.find(b"]", colon) < 0:
        # An IPv6 address keeps the colons within its brackets.
        if name[:1] == b"[" or name.find(b":") == colon:
            name = name[:colon]
    if len(name) > 1 and name.endswith(b"."):
        name = name[: len(name) - 1]
    return name
