"""PROXY protocol headers: every case whole, byte by byte and cut at each offset."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torana.wire.events import NEED_DATA, WireError
from torana.wire.proxy_protocol import V1_BYTES, V2_BYTES, Header, ProxyHeader, crc32c

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
INET = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4321, 443)
INET6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 4321, 443)
)
MAPPED = (
    socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7")
    + socket.inet_pton(socket.AF_INET6, "::ffff:198.51.100.1")
    + struct.pack("!HH", 4321, 443)
)
CLIENT, SERVER = ("192.0.2.7", 4321), ("198.51.100.1", 443)
CLIENT6, SERVER6 = ("2001:db8::7", 4321), ("2001:db8::1", 443)
AFTER = b"GET / HTTP/1.1\r\n\r\n"


def v2(body: bytes, *, start: int = 0x21, family: int = 0x11, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", start, family, len(body) if length is None else length) + body


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


def with_checksum(body: bytes, wrong: int = 0) -> bytes:
    blank = v2(body + tlv(3, bytes(4)))
    return blank[:-4] + struct.pack("!I", crc32c(blank) ^ wrong)


def ssl_tlv(flags: int, verify: int, *parts: bytes) -> bytes:
    return tlv(0x20, struct.pack("!BI", flags, verify) + b"".join(parts))


LEGAL: dict[str, tuple[bytes, object, object]] = {
    "v1 tcp4": (b"PROXY TCP4 192.0.2.7 198.51.100.1 4321 443\r\n", CLIENT, SERVER),
    "v1 tcp6": (b"PROXY TCP6 2001:db8::7 2001:DB8:0::1 4321 443\r\n", CLIENT6, SERVER6),
    "v1 tcp6 mapped": (b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 4321 443\r\n", CLIENT, SERVER),
    "v1 longest tcp6": (
        b"PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".replace(b"f...f", b":".join([b"ffff"] * 6)),
        ("ffff:" * 7 + "ffff", 65535), ("ffff:" * 7 + "ffff", 65535),
    ),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", None, None),
    "v1 unknown with words": (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", None, None),
    "v1 longest": (b"PROXY UNKNOWN ".ljust(V1_BYTES - 2, b"x") + b"\r\n", None, None),
    "v1 port 0": (b"PROXY TCP4 192.0.2.7 198.51.100.1 0 65535\r\n", ("192.0.2.7", 0), ("198.51.100.1", 65535)),
    "v2 inet": (v2(INET), CLIENT, SERVER),
    "v2 inet6": (v2(INET6, family=0x21), CLIENT6, SERVER6),
    "v2 inet6 mapped": (v2(MAPPED, family=0x21), CLIENT, SERVER),
    "v2 unix": (v2(b"/a".ljust(108, b"\0") * 2, family=0x31), None, None),
    "v2 unspec": (v2(b"", family=0x00), None, None),
    "v2 unspec with tlv": (v2(tlv(4, b"xx"), family=0x00), None, None),
    "v2 local": (v2(b"", start=0x20, family=0x00), None, None),
    "v2 local, rest unread": (v2(b"\xff" * 99, start=0x20, family=0xFF), None, None),
    "v2 tlvs": (v2(INET + tlv(1, b"h2") + tlv(2, b"host") + tlv(4, b"") + tlv(0xE0, b"x")), CLIENT, SERVER),
    "v2 unique id": (v2(INET + tlv(5, b"x" * 128)), CLIENT, SERVER),
    "v2 checksum": (with_checksum(INET + tlv(2, b"host")), CLIENT, SERVER),
    "v2 longest": (v2(INET + tlv(4, b"x" * (V2_BYTES - 16 - 12 - 3))), CLIENT, SERVER),
}  # fmt: skip

REFUSED: dict[str, tuple[bytes, str]] = {
    "no header": (AFTER, "missing"),
    "tls": (b"\x16\x03\x01\x02\x00\x01", "missing"),
    "lower case": (b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "missing"),
    "empty line first": (b"\r\nPROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "missing"),
    "v1 no blank": (b"PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n", "missing"),
    "v1 two blanks": (b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "malformed"),
    "v1 tab": (b"PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n", "malformed"),
    "v1 trailing blank": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n", "malformed"),
    "v1 bare LF": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "malformed"),
    "v1 bare CR": (b"PROXY UNKNOWN \r x\r\n", "malformed"),
    "v1 CR CR LF": (b"PROXY UNKNOWN\r\r\n", "malformed"),
    "v1 NUL": (b"PROXY UNKNOWN \x00\r\n", "malformed"),
    "v1 too long": (b"PROXY UNKNOWN ".ljust(V1_BYTES - 1, b"x") + b"\r\n", "too-long"),
    "v1 without end": (b"PROXY UNKNOWN ".ljust(5000, b"x"), "too-long"),
    "v1 udp": (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n", "malformed"),
    "v1 unknownx": (b"PROXY UNKNOWNX\r\n", "malformed"),
    "v1 no family": (b"PROXY \r\n", "malformed"),
    "v1 missing port": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n", "malformed"),
    "v1 one more": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", "malformed"),
    "v1 v6 as v4": (b"PROXY TCP4 ::1 ::1 1 2\r\n", "malformed"),
    "v1 v4 as v6": (b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n", "malformed"),
    "v1 octal": (b"PROXY TCP4 010.2.3.4 5.6.7.8 1 2\r\n", "malformed"),
    "v1 short address": (b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "malformed"),
    "v1 zone": (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "malformed"),
    "v1 port too big": (b"PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n", "malformed"),
    "v1 port sign": (b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n", "malformed"),
    "v1 port leading zero": (b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n", "malformed"),
    "v1 port empty": (b"PROXY TCP4 1.2.3.4 5.6.7.8  2\r\n", "malformed"),
    "v1 port huge": (b"PROXY TCP4 1.2.3.4 5.6.7.8 " + b"9" * 50 + b" 2\r\n", "malformed"),
    "v1 not ascii": (b"PROXY TCP4 1.2.3.\xb2 5.6.7.8 1 2\r\n", "malformed"),
    "v2 version 1": (v2(INET, start=0x11), "malformed"),
    "v2 version 3": (v2(INET, start=0x31), "malformed"),
    "v2 command 2": (v2(INET, start=0x22), "malformed"),
    "v2 family 4": (v2(INET, family=0x41), "family"),
    "v2 datagram": (v2(INET, family=0x12), "family"),
    "v2 transport 0": (v2(INET, family=0x10), "family"),
    "v2 unspec stream": (v2(INET, family=0x01), "family"),
    "v2 length 65535": (v2(INET, length=65535), "too-long"),
    "v2 one too long": (v2(INET + tlv(4, b"x" * (V2_BYTES - 16 - 12 - 2))), "too-long"),
    "v2 local too long": (v2(bytes(V2_BYTES), start=0x20), "too-long"),
    "v2 address cut": (v2(INET[:-1]), "truncated"),
    "v2 inet6 cut": (v2(INET, family=0x21), "truncated"),
    "v2 no address": (v2(b""), "truncated"),
    "v2 tlv head cut": (v2(INET + b"\x04\x00"), "truncated"),
    "v2 tlv value cut": (v2(INET + b"\x04\x00\x02x"), "truncated"),
    "v2 junk behind address": (v2(INET + b"\x00"), "truncated"),
    "v2 wrong checksum": (with_checksum(INET, wrong=1), "checksum"),
    "v2 short checksum": (v2(INET + tlv(3, b"xxx")), "malformed"),
    "v2 two unique ids": (v2(INET + tlv(5, b"x") + tlv(5, b"x")), "malformed"),
    "v2 long unique id": (v2(INET + tlv(5, b"x" * 129)), "malformed"),
    "v2 ssl cut": (v2(INET + tlv(0x20, b"\x01\x00\x00\x00")), "truncated"),
    "v2 ssl part cut": (v2(INET + ssl_tlv(1, 0, b"\x21\x00\x09TLS")), "truncated"),
    "v2 cn not utf8": (v2(INET + ssl_tlv(3, 0, tlv(0x22, b"\xff"))), "malformed"),
}  # fmt: skip

Delivery = Callable[[bytes], Iterator[list[bytes]]]


def whole(data: bytes) -> Iterator[list[bytes]]:
    yield [data]


def byte_by_byte(data: bytes) -> Iterator[list[bytes]]:
    yield [data[at : at + 1] for at in range(len(data))]


def cut_everywhere(data: bytes) -> Iterator[list[bytes]]:
    # Long ones are cut near both ends and at some offsets between.
    places = range(1, len(data))
    for at in places if len(data) < 400 else [*places[:60], *places[60:-60:97], *places[-60:]]:
        yield [data[:at], data[at:]]


DELIVERIES = [whole, byte_by_byte, cut_everywhere]


def read(parts: list[bytes]) -> tuple[Header, int]:
    """The header, and how many bytes of all parts it took."""
    reader = ProxyHeader()
    before = 0
    for part in parts:
        found = reader.feed(part)
        if isinstance(found, Header):
            return found, before + found.consumed
        assert found is NEED_DATA
        before += len(part)
    raise AssertionError("more data wanted")


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_header_names_both_ends(name: str, delivery: Delivery) -> None:
    data, client, server = LEGAL[name]
    for parts in delivery(data + AFTER):
        header, consumed = read(parts)
        assert (header.client, header.server, consumed) == (client, server, len(data))
        assert header.tls is None


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused(name: str, delivery: Delivery) -> None:
    data, reason = REFUSED[name]
    for parts in delivery(data + AFTER):
        with pytest.raises(WireError) as caught:
            read(parts)
        assert (caught.value.reason, caught.value.setting) == ("proxy-header-" + reason, "proxy_protocol")


@pytest.mark.parametrize("name", LEGAL)
def test_no_beginning_of_a_legal_header_is_taken_for_one(name: str) -> None:
    data = LEGAL[name][0]
    for at in range(len(data)) if len(data) < 400 else range(len(data) - 50, len(data)):
        assert ProxyHeader().feed(data[:at]) is NEED_DATA


def test_what_is_no_header_is_refused_at_its_first_byte() -> None:
    with pytest.raises(WireError):
        ProxyHeader().feed(b"G")
    with pytest.raises(WireError):
        ProxyHeader().feed(b"PROXZ")


def test_memory_is_bounded_however_much_is_fed_at_once() -> None:
    reader = ProxyHeader()
    with pytest.raises(WireError):
        reader.feed(b"PROXY UNKNOWN " + b"x" * 10_000_000)
    assert len(reader._data) <= V2_BYTES + 1
    found = ProxyHeader().feed(LEGAL["v2 inet"][0] + b"x" * 10_000_000)
    assert isinstance(found, Header)
    assert found.consumed == 28


def test_the_facts_of_the_clients_tls_are_told() -> None:
    parts = (tlv(0x21, b"TLSv1.3"), tlv(0x22, b'Ann "A", B+'), tlv(0x23, b"TLS_AES_128_GCM_SHA256"))
    header, _ = read([v2(INET + ssl_tlv(7, 0, *parts))])
    assert header.tls == {
        "server_cert": None,
        "client_cert_chain": [],
        "client_cert_name": 'CN=Ann \\"A\\"\\, B\\+',
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1301,
    }


def test_a_client_certificate_that_failed_is_told() -> None:
    header, _ = read([v2(INET + ssl_tlv(3, 10, tlv(0x22, b"Ann")))])
    assert header.tls is not None
    assert header.tls["client_cert_error"] == "verification failed with code 10"


def test_without_a_certificate_there_is_no_name() -> None:
    header, _ = read([v2(INET + ssl_tlv(1, 1, tlv(0x22, b"Ann"), tlv(0x21, b"TLSv9"), tlv(0x23, b"?")))])
    assert header.tls is not None
    assert header.tls["client_cert_name"] is None and header.tls["client_cert_error"] is None
    assert header.tls["tls_version"] is None and header.tls["cipher_suite"] is None


def test_a_plain_client_has_no_tls_facts() -> None:
    header, _ = read([v2(INET + ssl_tlv(0, 0))])
    assert header.tls is None


@pytest.mark.parametrize(("name", "shown"), [(b" ", "\\ "), (b" a ", "\\ a\\ "), (b"#a", "\\#a"), (b"a\0", "a\\00")])
def test_names_are_escaped(name: bytes, shown: str) -> None:
    header, _ = read([v2(INET + ssl_tlv(3, 0, tlv(0x22, name)))])
    assert header.tls is not None and header.tls["client_cert_name"] == "CN=" + shown


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


HEADS = [b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11\x00"]


@given(st.binary(max_size=300), st.sampled_from(HEADS))
def test_no_input_breaks_it_and_every_delivery_agrees(tail: bytes, head: bytes) -> None:
    def verdict(parts: list[bytes]) -> object:
        try:
            header, consumed = read(parts)
        except WireError as error:
            return error.reason
        except AssertionError:
            return "more"
        return header.client, header.server, header.tls, consumed

    data = head + tail
    assert verdict([data]) == verdict([data[at : at + 1] for at in range(len(data))])
