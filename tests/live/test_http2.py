"""HTTP/2 by the real command: which version is spoken follows from ``--http``, and a rolling reload fails nobody."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import sys
from pathlib import Path

import pytest

from tests.support.curl import curl
from tests.support.http2 import PREFACE, settings
from tests.support.inprocess import Client
from tests.support.multiplexed import Http2Client
from tests.support.server import running
from tests.support.supervised import send, supervised, write_site

trustme = pytest.importorskip("trustme")

NO_ERROR = 0
REFUSED_STREAM = 7


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_site(tmp_path)
    return tmp_path


@pytest.fixture
def authority(place: Path) -> Path:
    made = trustme.CA()
    made.cert_pem.write_to_path(place / "ca.pem")
    made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(place / "server.pem")
    return place / "ca.pem"


@pytest.mark.parametrize(
    "versions, offered, agreed",
    [
        ("auto", ["h2", "http/1.1"], "h2"),
        ("auto", ["http/1.1", "h2"], "h2"),
        ("auto", ["http/1.1"], "http/1.1"),
        ("auto", ["spdy/3"], None),
        ("auto", [], None),
        ("1", ["h2", "http/1.1"], "http/1.1"),
        ("1", ["h2"], None),
        ("2", ["h2", "http/1.1"], "h2"),
        ("2", ["http/1.1"], None),
    ],
)
@pytest.mark.threat("G-087", sent="ALPN offers in nine combinations", verdict="what both speak, or HTTP/1.1, or 505")
def test_alpn_agrees_on_what_is_spoken(
    place: Path, authority: Path, versions: str, offered: list[str], agreed: str | None
) -> None:
    with running("site_one:app", "--certfile", str(place / "server.pem"), "--http", versions, cwd=place) as server:
        context = ssl.create_default_context(cafile=str(authority))
        if offered:
            context.set_alpn_protocols(offered)
        with socket.create_connection(server.address, timeout=20) as raw:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as sock:
                assert sock.selected_alpn_protocol() == agreed
                if agreed == "h2":
                    # The server's preface does not wait for the client's.
                    assert sock.recv(9)[3] == 4
                else:
                    sock.sendall(b"GET /1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
                    assert sock.recv(100).startswith(b"HTTP/1.1 505" if versions == "2" else b"HTTP/1.1 200")


def test_curl_speaks_it_over_tls_and_by_prior_knowledge(place: Path, authority: Path) -> None:
    with running("site_one:app", "--certfile", str(place / "server.pem"), cwd=place) as server:
        trust = ("--cacert", str(authority))
        asked = curl(*trust, "--http2", f"{server.origin}/1", f"{server.origin}/2")
        assert [line.split()[:2] for line in asked.received() if line.startswith("HTTP")] == [["HTTP/2", "200"]] * 2
        body = b"x" * 300_000
        posted = curl(*trust, "--http2", "--data-binary", "@-", f"{server.origin}/3", data=body)
        assert posted.body.startswith(b"3 ")
    with running("site_one:app", cwd=place) as server:
        asked = curl("--http2-prior-knowledge", f"{server.origin}/1")
        assert (asked.statuses(), asked.body[:2]) == ([200], b"1 ")
        # An upgrade is not taken, and the answer comes all the same.
        upgraded = curl("--http2", f"{server.origin}/1")
        assert (upgraded.statuses(), upgraded.received()[0][:8]) == ([200], "HTTP/1.1")


async def connect(address: tuple[str, int]) -> Http2Client:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, address)
    client = Http2Client(Client(sock))
    await client.send(PREFACE, settings())
    return client


def has_kept_its_word(client: Http2Client) -> bool:
    """Whether the server has said goodbye and answered all streams that it took, up to the last it names."""
    peer = client.peer
    if not peer.goaways:
        return False
    last, code = peer.goaways[-1]
    return code == NO_ERROR and all(stream in peer.ended for stream in range(1, client.number(), 2) if stream <= last)


@pytest.mark.threat("G-055", sent="HUP under HTTP/2 load", verdict="no request fails")
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_rolling_reload_under_load_fails_no_request(place: Path) -> None:
    answers: list[bytes] = []
    failures: list[str] = []

    async def ask(address: tuple[str, int], over: asyncio.Event) -> None:
        while not over.is_set():
            client = await connect(address)
            try:
                while not client.peer.goaways and not over.is_set():
                    streams = [await client.get(b"/%d" % i) for i in range(8)]
                    await client.answered(*streams)
                    for i, stream in enumerate(streams):
                        code = client.peer.resets.get(stream)
                        if code is None:
                            answers.append(client.body(stream))
                            if not client.body(stream).startswith(b"%d " % i):
                                failures.append(f"answered {client.body(stream)!r}")
                        elif code != REFUSED_STREAM:
                            failures.append(f"reset {code}")
                    await asyncio.sleep(0.002)
            except (EOFError, OSError) as error:
                # Whoever does not read the goodbye in time asks for more, and may ask for that again.
                with contextlib.suppress(OSError):
                    await client.ended()
                if not has_kept_its_word(client):
                    failures.append(repr(error))
            finally:
                client.client.close()

    async def more_answers() -> None:
        goal = len(answers) + 200
        while len(answers) < goal:
            await asyncio.sleep(0.01)

    with supervised(place, workers=2) as server:

        async def main() -> None:
            over = asyncio.Event()
            tasks = [asyncio.ensure_future(ask(server.address, over)) for _ in range(6)]
            await more_answers()
            for text in ("two", "three"):
                write_site(place, ('TEXT = "one"', f'TEXT = "{text}"'))
                mark = send(server, signal.SIGHUP)
                await asyncio.to_thread(server.wait_for_log, "Reloaded", since=mark)
                await more_answers()
            over.set()
            await asyncio.gather(*tasks)

        asyncio.run(asyncio.wait_for(main(), 90))
        assert failures == []
        assert {answer.rsplit(b" ", 1)[1] for answer in answers} == {b"one", b"two", b"three"}
