"""The request line: method, target, version, with exactly one SP between them (RFC 9112 section 3).

``read_plain`` takes what nearly every request sends; ``read_unusual`` the rest, and finds the fault in what is wrong.
Never here: fields. Percent-escapes stay as they came: decoding is the gateway's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torana.base.authority import is_authority
from torana.base.bytescan import METHOD, PATH, TARGET, span
from torana.wire.events import HTTP_1_0, HTTP_1_1, WireError

if TYPE_CHECKING:
    from torana.wire.events import RequestHead

_METHODS = {name.encode("ascii"): name for name in ("PUT", "HEAD", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")}


def read_plain(head: RequestHead, data: bytes, start: int, end: int, method_bytes: int) -> int:
    """Fill ``head`` from an origin-form request line at ``start``; index after its CRLF, or -1 if it is not one."""
    i = span(METHOD, data, start, end)
    if i == start or i - start > method_bytes or end - i < 13:  # " / HTTP/1.1" and CRLF
        return -1
    if data[i] != 0x20 or data[i + 1] != 0x2F:
        return -1
    begin = i + 1
    query = span(PATH, data, begin, end)
    stop = span(TARGET, data, query, end)
    if end - stop < 11 or data[stop] != 0x20 or data[stop + 9] != 0x0D or data[stop + 10] != 0x0A:
        return -1
    minor = version_at(data, stop + 1, end)
    if minor < 0 or (i - start == 7 and data[start : start + 7] == b"CONNECT"):
        return -1
    head.method = method_name(data, start, i)
    head.target = data[begin:stop]
    if query == stop:
        head.raw_path = head.target
        head.query = b""
    else:
        head.raw_path = data[begin:query]
        head.query = data[query + 1 : stop]
    head.version = HTTP_1_1 if minor else HTTP_1_0
    return stop + 11


def method_name(data: bytes, start: int, end: int) -> str:
    """The method as ``str``, without making one for GET and POST."""
    size = end - start
    if size == 3 and data[start] == 0x47 and data[start + 1] == 0x45 and data[start + 2] == 0x54:
        return "GET"
    if (
        size == 4
        and data[start] == 0x50
        and data[start + 1] == 0x4F
        and data[start + 2] == 0x53
        and data[start + 3] == 0x54
    ):
        return "POST"
    name = data[start:end]
    return _METHODS.get(name) or name.decode("ascii")


def version_at(data: bytes, start: int, end: int) -> int:
    """Minor version of the "HTTP/1.x" at ``start``, or -1 for any other version."""
    if end - start < 8 or data[start] != 0x48 or data[start + 1] != 0x54 or data[start + 2] != 0x54:
        return -1
    if data[start + 3] != 0x50 or data[start + 4] != 0x2F or data[start + 5] != 0x31 or data[start + 6] != 0x2E:
        return -1
    if data[start + 7] == 0x31:
        return 1
    return 0 if data[start + 7] == 0x30 else -1


def read_unusual(head: RequestHead, line: bytes, method_bytes: int) -> bytes | None:
    """Fill ``head`` from a line that ``read_plain`` refused; the authority of an absolute-form target, or None.

    Raises ``WireError``: 400, 501 for an overlong method and for CONNECT, 505 for a version that is not ours.
    """
    parts = line.split(b" ")
    if len(parts) != 3:
        raise WireError(400, "bad-request-line")
    method, target, version = parts
    if not method or span(METHOD, method, 0, len(method)) != len(method):
        raise WireError(400, "bad-method")
    if len(method) > method_bytes:
        raise WireError(501, "long-method", "limit_method")
    if not target or span(TARGET, target, 0, len(target)) != len(target):
        raise WireError(400, "bad-target")
    if not version.startswith(b"HTTP/") or span(TARGET, version, 0, len(version)) != len(version):
        raise WireError(400, "bad-version")
    if version_at(version, 0, len(version)) < 0 or len(version) != 8:
        raise WireError(505, "unsupported-version")
    if method == b"CONNECT":
        # Never with a path; and even rightly formed it asks for a tunnel, which an origin server does not give.
        if not is_authority(target, True):
            raise WireError(400, "bad-target")
        raise WireError(501, "connect")
    head.method = method.decode("ascii")
    head.version = HTTP_1_1 if version == b"HTTP/1.1" else HTTP_1_0
    head.target = target
    if target == b"*":
        if method != b"OPTIONS":
            raise WireError(400, "bad-target")
        head.raw_path = target
        head.query = b""
        return None
    return _read_absolute(head, target)


def _read_absolute(head: RequestHead, target: bytes) -> bytes:
    """Fill path and query from an absolute-form target; its authority (RFC 9112 section 3.2.2)."""
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() not in (b"http", b"https"):
        raise WireError(400, "bad-target")
    before, mark, query = rest.partition(b"?")
    authority, slash, path = before.partition(b"/")
    if not is_authority(authority):
        raise WireError(400, "bad-target")
    head.raw_path = slash + path or b"/"
    head.query = query
    return authority
