"""Handshakes that stall or are strange, renegotiation, keys that change without end (threat G-068)."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.apps.conftest import Loopback, loopback
from tests.attacks.key_updates import Updater
from tests.attacks.moves import client_hello
from tests.support.raw import Connection
from tests.threats.stage import Stage, staged

__all__ = ["loopback"]

_GET = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
_DRIPPING_S = 15.0
_CLIENTS = 5
_CLOSED = "a silent close at the deadline"
_CUT = "the connection is cut; one line says why"


@pytest.fixture(scope="module")
def tls_stage(tmp_path_factory: pytest.TempPathFactory, loopback: Loopback) -> Iterator[Stage]:
    flags = ("--timeout-tls-handshake", "0.6", "--bind", "127.0.0.1:0", *loopback.flags())
    with staged(tmp_path_factory.mktemp("tls"), "large_asgi", *flags) as stage:
        yield stage


def _lax() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _is_served(stage: Stage) -> bool:
    with stage.connect(tls=_lax()) as connection:
        return connection.ask("GET", "/").status == 200


@pytest.mark.parametrize(
    ("opening", "drop"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.threat("G-068", sent=name, verdict=_CLOSED))
        for name, case in {
            "no ClientHello": (b"", 0),
            "half a ClientHello": (client_hello()[:100], 0),
            "a ClientHello, a byte again and again": (b"", 1),
            "a whole ClientHello and nothing behind it": (client_hello(), 0),
        }.items()
    ],
)  # fmt: skip
def test_a_handshake_that_stalls(tls_stage: Stage, opening: bytes, drop: int) -> None:
    before = tls_stage.vitals()
    connections = [tls_stage.connect() for _ in range(_CLIENTS)]
    hello, until = client_hello(), time.monotonic() + _DRIPPING_S
    for connection in connections:
        connection.send(opening)
    for at in range(0, len(hello), drop or len(hello)):
        time.sleep(0.02)
        try:
            for connection in connections:
                connection.send(hello[at : at + drop])
        except OSError:
            break
    for connection in connections:
        with connection:
            # What the server has said of the handshake is no answer.
            assert not connection.read_to_end().startswith(b"HTTP")
    assert time.monotonic() < until
    tls_stage.settle(before)
    assert _is_served(tls_stage)


@pytest.mark.threat("G-068", sent="plain HTTP to a TLS port", verdict="one 400 that says so, and the end")
def test_plain_http_on_a_tls_port(tls_stage: Stage) -> None:
    with tls_stage.connect() as connection:
        connection.send(_GET)
        answer = connection.read()
        assert (answer.status, answer.body) == (400, b"plain HTTP request to a TLS port")
        assert connection.is_ended()


def _content(records: bytes) -> bytes:
    """Records without their heads."""
    content = b""
    while records:
        size = int.from_bytes(records[3:5], "big")
        content += records[5 : 5 + size]
        records = records[5 + size :]
    return content


def _shaken(connection: Connection, context: ssl.SSLContext, piece: int, name: str) -> ssl.SSLObject:
    """A handshake whose records come in fragments of so many bytes (RFC 8446 section 5.1), or as they are (0)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    is_first = True
    while True:
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            flight = outgoing.read()
            if is_first and piece:
                body = _content(flight)
                pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
                flight = b"".join(flight[:3] + len(one).to_bytes(2, "big") + one for one in pieces)
            is_first = False
            connection.send(flight)
            incoming.write(connection.read_some())
        else:
            connection.send(outgoing.read())
            return tls


@pytest.mark.parametrize(
    ("protocols", "piece"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.threat("G-068", sent=name, verdict="the handshake is made"))
        for name, case in {
            "a ClientHello in records of 7 bytes": (0, 7),
            "a ClientHello with 3,000 protocols": (3000, 0),
            "a ClientHello with 3,000 protocols, in records of 100 bytes": (3000, 100),
        }.items()
    ],
)
def test_a_strange_client_hello(tls_stage: Stage, protocols: int, piece: int) -> None:
    context = _lax()
    if protocols:
        context.set_alpn_protocols([f"p{number}" for number in range(protocols)] + ["http/1.1"])
    with tls_stage.connect() as connection:
        tls = _shaken(connection, context, piece, "t.example")
        assert tls.selected_alpn_protocol() == ("http/1.1" if protocols else None)


@pytest.mark.threat(
    "G-068",
    sent="200 handshakes with 200 server names",
    verdict="the same certificate for each; nothing is remembered of them",
)
def test_server_names_without_end(tls_stage: Stage) -> None:
    assert _is_served(tls_stage)
    before = tls_stage.vitals()
    seen = set()
    for number in range(200):
        with tls_stage.connect() as connection:
            seen.add(_shaken(connection, _lax(), 0, f"n{number}.example").getpeercert(True))
    assert len(seen) == 1
    tls_stage.settle(before)
    assert tls_stage.vitals().resident_bytes - before.resident_bytes < 8 * 1024 * 1024


@pytest.mark.threat("G-068", sent="TLS 1.2: a client that wants to renegotiate", verdict="it may not")
def test_renegotiation_is_off(tls_stage: Stage) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl program")
    host, port = tls_stage.address
    client = subprocess.Popen(
        [openssl, "s_client", "-connect", f"{host}:{port}", "-tls1_2"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1,
    )  # fmt: skip
    assert client.stdin is not None
    assert client.stdout is not None
    said = ""
    for line in client.stdout:
        said += line
        if "Verify return code" in line:
            break
    client.stdin.write("R\n")
    try:
        rest, _ = client.communicate(timeout=15)
    finally:
        client.kill()
    assert "RENEGOTIATING" in rest
    assert "no renegotiation" in rest, said + rest
    assert _is_served(tls_stage)


@pytest.mark.threat(
    "G-068",
    sent="TLS 1.3: ten KeyUpdates, half of them asking for one, and a request behind each",
    verdict="each request is answered",
)
def test_new_keys_now_and_then(tls_stage: Stage) -> None:
    pytest.importorskip("cryptography")
    client = Updater(tls_stage.address)
    try:
        for number in range(10):
            client.send(client.updates(1, wants_answer=number % 2 == 0) + client.data(_GET))
            assert client.received().startswith(b"HTTP/1.1 200 ")
    finally:
        client.close()


@pytest.mark.parametrize(
    ("count", "padding", "wants_answer"),
    [
        pytest.param(*case, id=name, marks=pytest.mark.threat("G-068", sent=f"TLS 1.3: {name}", verdict=_CUT))
        for name, case in {
            "5,000 KeyUpdates": (5000, 0, False),
            "5,000 KeyUpdates that ask for others": (5000, 0, True),
            "500 KeyUpdates of 1 KiB": (500, 1000, False),
        }.items()
    ],
)  # fmt: skip
def test_new_keys_without_end(tls_stage: Stage, count: int, padding: int, wants_answer: bool) -> None:
    pytest.importorskip("cryptography")
    client = Updater(tls_stage.address)
    try:
        try:
            client.send(client.updates(count, wants_answer=wants_answer, padding=padding))
            client.send(client.data(_GET))
            assert client.received() == b""
        except OSError:
            pass
    finally:
        client.close()
    # One line a second tells of them all.
    assert tls_stage.server.wait_for_log("TLS: records without content")
    assert _is_served(tls_stage)
