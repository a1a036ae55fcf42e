"""X-Forwarded-* and Forwarded from a trusted peer. ``serve/forwarded``."""

from __future__ import annotations

from tests.fuzz.target import Target, Verdict
from torana.base.endpoints import Endpoints
from torana.base.headers import is_token
from torana.serve.forwarded import FAMILIES, Trust, ignored_sentence
from torana.wire.events import Fields, WireError

_PEERS = (("10.0.0.1", 5000), ("203.0.113.9", 5000), None)


def _fields(data: bytes) -> Fields:
    """One field a line, as the wire lets them pass: names are tokens, values have no control bytes or blanks around."""
    fields: Fields = [(b"host", b"a.example")]
    for line in data.split(b"\n")[:40]:
        name, colon, value = line.partition(b":")
        if colon and is_token(name):
            kept = bytes(byte for byte in value if byte == 9 or (byte >= 0x20 and byte != 0x7F))
            fields.append((name.lower(), kept.strip(b" \t")))
    return fields


def _judge(trust: Trust, peer: tuple[str, int] | None, fields: Fields) -> Verdict:
    try:
        applied = trust.apply(Endpoints(peer, ("a.example", 80), "http"), list(fields))
    except WireError as error:
        return error.status, error.reason, error.setting
    ends = applied.endpoints
    assert applied.prefix == "" or applied.prefix.startswith("/")
    if applied.ignored:
        assert ignored_sentence("10.0.0.1", applied.ignored).isprintable()
    return ends.client, ends.server, ends.scheme, applied.fields, applied.prefix, applied.ignored


def _run(data: bytes) -> Verdict:
    fields = _fields(data)
    found = []
    for family in FAMILIES:
        for allow in (("10.0.0.0/8", "2001:db8::/32", "unix"), ("*",)):
            trust = Trust(allow, family=family, takes_host=True, takes_prefix=True)
            found += [_judge(trust, peer, fields) for peer in _PEERS]
    return found


FIELDS = Target(
    "forwarded",
    _run,
    (
        (b"x-forwarded-for: 192.0.2.1, 10.0.0.2\n", b"x-forwarded-proto: https\n", b"x-forwarded-host: b.example\n"),
        (b"x-forwarded-for: [2001:db8::1]:80\n", b"x-forwarded-port: 8443\n", b"x-forwarded-host: [::1]\n"),
        (b"x-forwarded-proto: https, http\n", b"x-forwarded-ssl: on\n", b"x-forwarded-scheme: wss\n"),
        (b'forwarded: for="[2001:db8::1]:4711";proto=https;host="b.example:1", for=10.0.0.3\n',),
        (b"forwarded: for=unknown\n", b"forwarded: for=_hidden;by=10.0.0.1\n"),
        (b'forwarded: for="a\\"b";host=";,"\n',),
        (b"forwarded: for=192.0.2.1\n", b"x-forwarded-for: 192.0.2.1\n", b"x-forwarded-prefix: /app/\n"),
        (b"x-forwarded-for: " + b"10.0.0.2, " * 33 + b"\n",),
        (b"x-forwarded-prefix: /a/../b\n", b"x-real-ip: 192.0.2.1\n"),
        (b"x-forwarded-for: ::ffff:10.0.0.1, 10.0.0.2:99999, 1.1.1.1:_p\n",),
    ),
    (
        *(b", ", b";", b"=", b'"', b"\\", b"\n", b": ", b"for=", b"proto=", b"host=", b"by=", b"[", b"]", b":", b"%25"),
        *(b"::1", b"::ffff:1.2.3.4", b"10.0.0.1", b"unknown", b"_x", b"https", b"wss", b"on", b"x-forwarded-for: "),
        *(b"x-forwarded-proto: ", b"x-forwarded-host: ", b"x-forwarded-port: ", b"forwarded: ", b"65536", b"\xff"),
    ),
)
