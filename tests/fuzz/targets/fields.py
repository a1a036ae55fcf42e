"""Values of fields as lists, tokens and cookies that name sessions. ``base/headers``, ``serve/affinity``."""

from __future__ import annotations

from tests.fuzz.target import Target, Verdict
from torana.base import field_names, forwarding, headers, trailers
from torana.serve.affinity.names import (
    MOST_BYTES,
    client_name,
    cookie_of,
    field_of,
    query_of,
    slot_in,
    wants_page,
)  # fmt: skip

_NAMES = (b"sid=", b"torana_worker=", b"a=")


def _value(value: bytes) -> Verdict:
    elements = headers.elements(value)
    assert all(part and part == part.strip(b" \t") for part in elements)
    if b'"' not in value:
        assert [part.lower() for part in elements] == headers.tokens(value)
    assert b",".join(elements).count(b'"') <= value.count(b'"')
    assert headers.trim(value) == value.strip(b" \t")
    is_value = headers.is_field_value(value)
    assert is_value == all(byte == 9 or (byte >= 32 and byte != 127) for byte in value)
    if headers.is_token(value):
        assert headers.elements(value) == [value]
        assert headers.lower(value) == value.lower()
    return elements, headers.tokens(value), is_value, headers.is_token(value), slot_in(value)


def _name(name: bytes) -> Verdict:
    lowered = name.lower()
    is_ours = forwarding.is_forwarding(lowered)
    # The parser's quick answer may say more, never less.
    kind = field_names.KIND_OF.get(lowered)
    if is_ours and b"_" not in lowered:
        assert kind == field_names.FORWARDING or field_names.is_forwarding(lowered)
    return is_ours, field_names.is_forwarding(lowered), trailers.is_forbidden_trailer(lowered)


def _run(data: bytes) -> Verdict:
    """One field a line."""
    fields = []
    for line in data.split(b"\n")[:40]:
        name, _, value = line.partition(b":")
        fields.append((name.lower(), value))
    found = []
    for name in _NAMES:
        cookie = cookie_of(fields, name)
        assert cookie is None or (b";" not in cookie and any(name + cookie in value for _, value in fields))
        query = query_of(fields[0][1], name)
        assert query is None or (b"&" not in query and 0 < len(query) <= MOST_BYTES)
        found.append((cookie, -1 if cookie is None else slot_in(cookie), query, field_of(fields, name[:-1])))
    values = [(_name(name), _value(value), headers.joined(fields, name)) for name, value in fields]
    hosts = [client_name(value.decode("latin-1")) for _, value in fields]
    assert all(len(host) <= len(value) for host, (_, value) in zip(hosts, fields, strict=True) if b":" not in value)
    return found, values, hosts, wants_page(fields)


VALUES = Target(
    "fields",
    _run,
    (
        (b"cookie:", b"a=1; sid=abc; torana_worker=3.0123456789abcdefghi-_A", b"\naccept:text/html"),
        (b"cookie:", b"torana_worker=4095.0123456789abcdefghijkl;sid=", b"\ncookie:a=b"),
        (b"q:", b"a=1&sid=x%20y&b=2&sid=z", b"\nsid:", b"x" * 257, b"\na:b"),
        (b"x:", b'a, "b, \\" c", d;q=0.5,, ,e', b"\nx: f ", b"\nX-Forwarded-For: 2001:db8::1%lo"),
        (b"true-client-ip:", b"a\x00b", b"\nx-amzn-mtls-clientcert:1", b"\nx_forwarded_for:fe80::1%eth0"),
        (b"c:", b"01.0123456789abcdefghijkl", b"\nc:0.0123456789abcdefghijkl", b"\nc:12345.0123456789abcdefghijkl"),
    ),
    (
        *(b"; ", b";", b"=", b'"', b"\\", b",", b"&", b"\n", b":", b"cookie:", b"sid=", b"torana_worker=", b"4096."),
        *(b"\t", b"\x7f", b"\x80", b"x-client-", b"ssl-client", b"x-ssl-", b"_", b"::1"),
    ),
)
