"""The PROXY protocol: believed of named hops only, whole, once, in time (G-074).

The hop is the unix socket; whoever comes by TCP is a stranger, who needs no header and may send none.
"""

from __future__ import annotations

import contextlib
import ssl
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.support.server import REPOSITORY, Server, running
from tests.threats.stage import Stage, staged
from tests.threats.wire import cuts, send

#: What is expected of connections that say nothing.
HEADER_TIME_S = 1.5
GET = b"GET /who HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
V1 = b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
FOUR = bytes([1, 2, 3, 4, 5, 6, 7, 8]) + struct.pack("!HH", 1111, 2222)
SIX = bytes.fromhex("20010db8" + "00" * 11 + "01" + "20010db8" + "00" * 11 + "02") + struct.pack("!HH", 1111, 2222)


def v2(first: int, family: int, content: bytes, length: int | None = None) -> bytes:
    """A header of version 2, whatever it says."""
    return SIGNATURE + struct.pack("!BBH", first, family, len(content) if length is None else length) + content


#: Whom the header names; None: the hop itself.
GOOD: dict[str, tuple[bytes, str | None]] = {
    "v1 TCP4": (V1, "1.2.3.4"),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 1111 2222\r\n", "2001:db8::1"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN ffff::1 whatever 1 2\r\n", None),
    "v2 INET": (v2(0x21, 0x11, FOUR), "1.2.3.4"),
    "v2 INET6": (v2(0x21, 0x21, SIX), "2001:db8::1"),
    "v2 LOCAL": (v2(0x20, 0x00, b""), None),
    "v2 LOCAL with addresses": (v2(0x20, 0x11, FOUR), None),
    "v2 UNSPEC": (v2(0x21, 0x00, b""), None),
    "v2 with an unknown TLV": (v2(0x21, 0x11, FOUR + b"\xe0\x00\x03abc"), "1.2.3.4"),
    "v2 with 3,900 bytes of TLV": (v2(0x21, 0x11, FOUR + struct.pack("!BH", 0xE0, 3900) + bytes(3900)), "1.2.3.4"),
}
BAD: dict[str, bytes] = {
    "no header": b"",
    "v1 nonsense": b"PROXY NONSENSE\r\n",
    "v1 in lower case": V1.lower(),
    "v1 of 108 bytes": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "v1 without end": b"PROXY TCP4 " + b"1" * 200,
    "v1 with LF alone": V1.replace(b"\r\n", b"\n"),
    "v1 with two spaces": V1.replace(b" 5.6", b"  5.6"),
    "v1 with a port 99999": V1.replace(b"1111", b"99999"),
    "v1 with a port 01": V1.replace(b"1111", b"01"),
    "v1 with an address 1.2.3": V1.replace(b"1.2.3.4", b"1.2.3"),
    "v1 with an address 01.2.3.4": V1.replace(b"1.2.3.4", b"01.2.3.4"),
    "v1 TCP4 with an IPv6 address": V1.replace(b"1.2.3.4", b"2001:db8::1"),
    "v1 without ports": b"PROXY TCP4 1.2.3.4 5.6.7.8\r\n",
    "v2 of 65,535 bytes": v2(0x21, 0x11, FOUR + bytes(8000), 65535),
    "v2 version 3": v2(0x31, 0x11, FOUR),
    "v2 unknown command": v2(0x22, 0x11, FOUR),
    "v2 unknown family": v2(0x21, 0x41, FOUR),
    "v2 datagrams": v2(0x21, 0x12, FOUR),
    "v2 short addresses": v2(0x21, 0x11, FOUR[:8]),
    "v2 truncated TLV": v2(0x21, 0x11, FOUR + b"\xe0\x00\x09abc"),
    "v2 wrong checksum": v2(0x21, 0x11, FOUR + b"\x03\x00\x04abcd"),
    "v2 broken signature": b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0",
}


@dataclass
class Proxied:
    """A site behind a proxy: strangers by TCP, the hop by its path."""

    stage: Stage
    path: str

    def ask(self, *pieces: bytes) -> bytes:
        """What comes back to the hop."""
        with Connection(self.path) as connection:
            send(connection, pieces)
            return connection.read_to_end()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    place = tmp_path_factory.mktemp("proxied")
    flags = ("--bind", "127.0.0.1:0", "--bind", f"unix:{place}/s", "--forwarded-allow-ips", "unix", "--proxy-protocol")
    with staged(place, "asgi_site", *flags, "--timeout-proxy-header", f"{HEADER_TIME_S}s") as stage:
        yield Proxied(stage, f"{place}/s")


def _marked(name: str, verdict: str) -> object:
    return pytest.param(name, marks=pytest.mark.threat("G-074", sent=name, verdict=verdict))


@pytest.mark.parametrize("name", [_marked(name, GOOD[name][1] or "the hop itself") for name in GOOD])
def test_header_of_the_hop(name: str, proxied: Proxied) -> None:
    header, client = GOOD[name]
    data = header + GET
    proxied.stage.events()
    with proxied.stage.attacked():
        deliveries = [(data,), tuple(bytes([byte]) for byte in data), (header, GET)]
        if len(data) < 400:
            deliveries += cuts(data)
        for pieces in deliveries:
            assert proxied.ask(*pieces).startswith(b"HTTP/1.1 200 ")
    calls = proxied.stage.calls()
    assert len(calls) == len(deliveries)
    assert {(call["client"] or [None])[0] or None for call in calls} == {client}


@pytest.mark.parametrize("name", [_marked(name, "no call; the connection ends without a word") for name in BAD])
def test_bad_header(name: str, proxied: Proxied) -> None:
    data = BAD[name] + GET
    proxied.stage.events()
    with proxied.stage.attacked():
        assert proxied.ask(data) == b""
        assert proxied.ask(*(bytes([byte]) for byte in data[:300])) == b""
    assert proxied.stage.calls() == []


@pytest.mark.threat("G-074", sent="a second header behind the first", verdict="400: it is no request")
@pytest.mark.threat("G-074", sent="a forwarding field behind the header", verdict="the header's client is a stranger")
def test_header_counts_once(proxied: Proxied) -> None:
    proxied.stage.events()
    for second in (V1, v2(0x21, 0x11, FOUR)):
        assert proxied.ask(V1 + second + GET).startswith(b"HTTP/1.1 400 ")
    assert proxied.stage.calls() == []
    forged = GET.replace(b"Host", b"X-Forwarded-For: 6.6.6.6\r\nHost")
    assert proxied.ask(V1 + forged).startswith(b"HTTP/1.1 200 ")
    [call] = proxied.stage.calls()
    assert call["client"][0] == "1.2.3.4" and "x-forwarded-for" not in dict(call["headers"])


@pytest.mark.threat("G-074", sent="a header cut by FIN or RST at each offset", verdict="forgotten at once, no call")
def test_header_that_is_cut(proxied: Proxied) -> None:
    proxied.stage.events()
    with proxied.stage.attacked():
        for header in (V1, v2(0x21, 0x11, FOUR)):
            for at in range(len(header)):
                with Connection(proxied.path) as connection:
                    connection.send(header[:at])
                    connection.finish_writing()
                    assert connection.read_to_end() == b""
                with Connection(proxied.path) as connection:
                    connection.send(header[:at])
    assert proxied.stage.calls() == []


@pytest.mark.threat(
    "G-074", sent="a byte of the header every 100 ms; none at all", verdict="the end after its time (3 s)"
)
def test_slow_header(proxied: Proxied) -> None:
    with proxied.stage.attacked(), Connection(proxied.path) as slow, Connection(proxied.path) as silent:
        long = v2(0x21, 0x11, FOUR + bytes(3000))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for byte in long[: int(HEADER_TIME_S * 10) + 100]:
                slow.send(bytes([byte]))
                time.sleep(0.1)
            raise AssertionError("still open")
        assert silent.is_ended()


@pytest.mark.parametrize("header", [V1, v2(0x21, 0x11, FOUR), V1 + V1], ids=["v1", "v2", "two"])
@pytest.mark.threat("G-074", sent="a header from a stranger", verdict="400, then the end; one line tells of it")
def test_header_of_a_stranger(header: bytes, proxied: Proxied) -> None:
    proxied.stage.events()
    with proxied.stage.attacked(), proxied.stage.connect() as connection:
        connection.send(header + GET)
        assert connection.read().status == 400
        assert connection.is_ended()
    assert proxied.stage.calls() == []
    # He needs none.
    assert proxied.stage.ask("/who").status == 200
    [call] = proxied.stage.calls()
    assert call["client"][0] == "127.0.0.1"
    told = [line for line in proxied.stage.server.log.splitlines() if "untrusted peer" in line]
    assert len(told) == 1  # A minute, of all that strangers send.


# With TLS

trustme = pytest.importorskip("trustme")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str, ssl.SSLContext]]:
    """Behind a proxy that passes TLS on."""
    place = tmp_path_factory.mktemp("secure")
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(place / "server.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    (place / "notes").touch()
    with running(
        "tests.threats.sites.asgi_site:app", "--certfile", str(place / "server.pem"), "--proxy-protocol", "--bind",
        "127.0.0.1:0", app_dir=REPOSITORY, environment={"NOTES": str(place / "notes")},
    ) as server:  # fmt: skip
        yield server, str(place / "notes"), context


@pytest.mark.threat("G-074", sent="the header, then TLS", verdict="1.2.3.4")
@pytest.mark.threat("G-074", sent="TLS, then the header within", verdict="the end before any handshake")
def test_header_and_tls(secure: tuple[Server, str, ssl.SSLContext]) -> None:
    server, notes, context = secure
    with Connection(server.address) as connection:
        connection.send(V1)
        with context.wrap_socket(connection.socket, server_hostname="127.0.0.1") as sock:
            sock.sendall(GET)
            assert sock.recv(100).startswith(b"HTTP/1.1 200 ")
    assert '"client": ["1.2.3.4", 1111]' in Path(notes).read_text()
    with Connection(server.address) as connection, pytest.raises(OSError):
        context.wrap_socket(connection.socket, server_hostname="127.0.0.1")
