"""The TLS transport over real sockets: handshake, both directions, and every way to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from torana.base.endpoints import Endpoints
from torana.net.clock import Clock
from torana.net.options import TlsOptions
from torana.net.poller import Poller
from torana.net.poller_fallback import poller_class
from torana.net.secure import TlsTransport
from torana.net.tls import TlsContexts

CA = trustme.CA()
CERT = CA.issue_cert("one.example")
LIMIT_S = 20


class Owner:
    """Owns the transport under test and remembers what it was told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.told: list[str] = []
        self.is_end = False
        self.wants = 0
        self.protocol: str | None = None
        self.changed = asyncio.Event()

    transport: TlsTransport

    def agreed(self, protocol: str | None) -> None:
        assert self.told == [], "told before anything else"
        self.protocol = protocol

    def readable(self) -> None:
        data = self.transport.recv()
        if data is None:
            return
        self.told.append("data" if data else "end")
        self.data += data
        if not data:
            self.is_end = True
            self.transport.set_reading(False)
        self.changed.set()

    def _note(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    def drained(self) -> None:
        self._note("drained")

    def peer_closed(self) -> None:
        self._note("peer closed")

    def lost(self) -> None:
        self._note("lost")
        self.transport.close()

    def expired(self, now: float) -> None:
        self._note("expired")

    def woken(self) -> None:
        self.transport.catch_up()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT_S):
            while not holds():
                self.changed.clear()
                if not holds():
                    await self.changed.wait()


class Stage:
    """A poller, a server end under test and its plain client end."""

    def __init__(self, poller: Poller, contexts: TlsContexts) -> None:
        self.poller = poller
        self.contexts = contexts
        self.owners: list[Owner] = []

    def pair(self, high: int = 64 * 1024, send_buffer: int = 0) -> tuple[Owner, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname())
            client.settimeout(LIMIT_S)
            sock, name = listener.accept()
        sock.setblocking(False)
        if send_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, send_buffer)
        owner = Owner()
        self.endpoints = Endpoints(name, ("127.0.0.1", 1), "http")
        owner.transport = TlsTransport(sock, self.poller, 65536, high, high // 4, self.contexts, self.endpoints)
        owner.transport.owner = owner
        owner.transport.deadline = owner.transport.clock.now + 1000.0
        self.owners.append(owner)
        owner.transport.open()
        return owner, client

    async def connected(self, **options: Any) -> tuple[Owner, ssl.SSLSocket]:
        owner, client = self.pair(**options)
        secured = await asyncio.to_thread(secure, client)
        # The owner hears nothing of the handshake: its first data shows that it is over.
        await asyncio.to_thread(secured.sendall, b"!")
        await owner.until(lambda: owner.data == b"!")
        assert owner.told == ["data"]
        owner.data.clear()
        # One byte takes the session tickets along: unread they would turn the client's close into a reset.
        owner.transport.write(b"!")
        assert await asyncio.to_thread(secured.recv, 1) == b"!"
        return owner, secured


def secure(client: socket.socket, context: ssl.SSLContext | None = None) -> ssl.SSLSocket:
    if context is None:
        context = ssl.create_default_context()
        CA.configure_trust(context)
    return context.wrap_socket(client, server_hostname="one.example", suppress_ragged_eofs=False)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., None]:
    CERT.private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")

    def run_it(test: Callable[[Stage], Awaitable[None]], **changes: Any) -> None:
        contexts = TlsContexts(TlsOptions(certfile=str(tmp_path / "pem"), **changes))

        async def main() -> None:
            poller = poller_class()(Clock(), 0.05)
            poller.attach(asyncio.get_running_loop())
            stage = Stage(poller, contexts)
            errors: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
            try:
                await test(stage)
            finally:
                for owner in stage.owners:
                    owner.transport.close()
                poller.detach()
            assert errors == []

        asyncio.run(main())

    return run_it


def received(client: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.recv(65536)
        if not more:
            break
        data += more
    return data


def test_both_ends_hear_each_other_and_the_facts_are_told(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        assert stage.endpoints.scheme == "https"
        assert stage.endpoints.tls is not None
        assert stage.endpoints.tls["tls_version"] == 0x0304
        assert 900 < owner.transport.deadline - owner.transport.clock.now <= 1000
        for _ in range(3):
            await asyncio.to_thread(client.sendall, b"ping")
            await owner.until(lambda: owner.data == b"ping")
            owner.data.clear()
            owner.transport.write(b"pong")
            assert await asyncio.to_thread(client.recv, 100) == b"pong"
        client.close()

    run(test)


@pytest.mark.parametrize("offered, agreed", [(["x", "h2"], "h2"), (["x"], None), ([], None)])
def test_the_owner_is_told_what_alpn_has_settled_on(
    run: Callable[..., None], offered: list[str], agreed: str | None
) -> None:
    async def test(stage: Stage) -> None:
        owner, plain = stage.pair()
        owner.protocol = "not told"
        context = ssl.create_default_context()
        CA.configure_trust(context)
        if offered:
            context.set_alpn_protocols(offered)
        client = await asyncio.to_thread(secure, plain, context)
        await asyncio.to_thread(client.sendall, b"!")
        await owner.until(lambda: owner.data == b"!")
        assert owner.protocol == agreed == client.selected_alpn_protocol()
        client.close()

    run(test, alpn=("h2", "http/1.1"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_megabytes_pass_both_ways_whole(run: Callable[..., None], version: ssl.TLSVersion) -> None:
    content = os.urandom(1 << 20) + b"end"

    async def test(stage: Stage) -> None:
        owner, plain = stage.pair(send_buffer=65536)
        context = ssl.create_default_context()
        CA.configure_trust(context)
        context.minimum_version = context.maximum_version = version
        client = await asyncio.to_thread(secure, plain, context)
        await asyncio.to_thread(client.sendall, content)
        await owner.until(lambda: len(owner.data) >= len(content))
        assert owner.data == content
        for at in range(0, len(content), 300_000):
            owner.transport.write(content[at : at + 300_000])
        assert owner.transport.is_full()
        assert await asyncio.to_thread(received, client, len(content)) == content
        await owner.until(lambda: owner.transport.waiting == 0)
        assert "drained" in owner.told
        client.close()

    run(test)


def test_all_kinds_of_bytes_are_written(run: Callable[..., None]) -> None:
    big = os.urandom(300_000)

    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        owner.transport.write(b"")
        for piece in (b"a", bytearray(b"b"), memoryview(b"xcx")[1:2], bytearray(big), memoryview(big), b"z"):
            owner.transport.write(piece)
        whole = b"abc" + big + big + b"z"
        assert await asyncio.to_thread(received, client, len(whole)) == whole
        client.close()

    run(test)


def test_a_file_is_sent_though_sendfile_knows_no_tls(run: Callable[..., None], tmp_path: Path) -> None:
    content = os.urandom(700_001)
    (tmp_path / "file").write_bytes(content)

    async def test(stage: Stage) -> None:
        owner, client = await stage.connected(send_buffer=65536)
        owner.transport.write(b"head")
        owner.transport.write_file(os.open(tmp_path / "file", os.O_RDONLY), 1, len(content) - 2)
        owner.transport.write(b"tail")
        whole = b"head" + content[1:-1] + b"tail"
        assert await asyncio.to_thread(received, client, len(whole)) == whole
        client.close()

    run(test)


def test_a_file_that_ends_early_cuts_the_connection(run: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"short")

    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        owner.transport.write_file(os.open(tmp_path / "file", os.O_RDONLY), 0, 100)
        await owner.until(lambda: "lost" in owner.told)
        with pytest.raises((ssl.SSLError, OSError)):
            while await asyncio.to_thread(client.recv, 100):
                pass
        client.close()

    run(test)


def test_a_full_read_and_the_end_behind_it_are_both_told(run: Callable[..., None]) -> None:
    # 16 KiB to the byte and close_notify in one go: the end lies inside OpenSSL when the data is handed out.
    content = b"x" * 16384

    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()

        def send_and_end() -> None:
            client.sendall(content)
            with pytest.raises(ssl.SSLError):
                client.settimeout(0)
                client.unwrap()

        await asyncio.to_thread(send_and_end)
        await owner.until(lambda: owner.is_end)
        assert owner.data == content
        client.close()

    run(test)


def test_paused_reading_holds_the_end_back_until_it_is_resumed(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        owner.transport.set_reading(False)
        await asyncio.to_thread(client.sendall, b"x" * 20_000)
        client.close()
        await owner.until(lambda: "peer closed" in owner.told)
        assert not owner.data
        assert owner.transport.has_unread()
        owner.transport.set_reading(True)
        await owner.until(lambda: owner.is_end)
        assert len(owner.data) == 20_000

    run(test)


def test_close_says_goodbye(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        owner.transport.write(b"bye")
        owner.transport.close_when_drained()
        assert await asyncio.to_thread(received, client, 100) == b"bye"  # An end without close_notify would raise.
        client.close()

    run(test)


def test_reset_says_none(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        owner.transport.reset()
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.to_thread(client.recv, 100)
        client.close()

    run(test)


def test_close_with_data_waiting_says_none(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected(send_buffer=65536)
        owner.transport.write(b"x" * 5_000_000)
        assert owner.transport.waiting
        owner.transport.close()
        with pytest.raises((ssl.SSLError, OSError)):
            await asyncio.to_thread(received, client, 5_000_000)
        client.close()

    run(test)


def test_after_shutdown_what_still_comes_is_read_raw(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        owner.transport.write(b"refused")
        owner.transport.shutdown_write()
        assert await asyncio.to_thread(received, client, 100) == b"refused"
        await asyncio.to_thread(client.sendall, b"still talking" * 100)
        await owner.until(lambda: len(owner.data) > 1300)
        client.close()
        await owner.until(lambda: owner.is_end)

    run(test)


def test_a_client_that_goes_without_a_word_is_an_end(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        socket.socket(fileno=client.detach()).close()
        await owner.until(lambda: owner.is_end or "lost" in owner.told or "peer closed" in owner.told)

    run(test)


def test_a_broken_record_loses_the_connection(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = await stage.connected()
        with socket.socket(fileno=client.detach()) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            await owner.until(lambda: "lost" in owner.told)

    run(test)


# --- the handshake


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1\r\nhost: h\r\n\r\n", b"P"])
def test_plain_http_gets_one_line_and_the_end(run: Callable[..., None], first: bytes) -> None:
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        client.sendall(first)
        answer = b""
        while more := await asyncio.to_thread(client.recv, 1000):
            answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"content-length: %d" % len(body) in head
        assert body == b"plain HTTP request to a TLS port"
        await owner.until(lambda: "lost" in owner.told)
        assert owner.transport.failure == "plain text on a TLS port"
        client.close()

    run(test)


@pytest.mark.parametrize(
    "first", [b"\x00\x01", b"\x16\x03\x01\x00\x05hello", b"\x80\x2e\x01", b"\x16" + b"\xff" * 100, b""]
)
def test_other_junk_ends_the_connection_quietly(run: Callable[..., None], first: bytes) -> None:
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        client.sendall(first)
        client.shutdown(socket.SHUT_WR)
        await owner.until(lambda: "lost" in owner.told)
        assert owner.transport.failure and owner.transport.is_closed
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            answer = await asyncio.to_thread(client.recv, 1000)
        assert answer[:1] in (b"", b"\x15")  # Nothing, or a TLS alert.
        client.close()

    run(test)


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01"])
def test_a_handshake_has_its_deadline(run: Callable[..., None], first: bytes) -> None:
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        client.sendall(first)
        await owner.until(lambda: "lost" in owner.told)
        assert owner.transport.failure == "handshake too slow"
        assert "expired" not in owner.told
        client.close()

    run(test, handshake_timeout_s=0.1)


def test_a_client_hello_byte_by_byte_is_served(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = ssl.create_default_context()
        CA.configure_trust(context)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        end = context.wrap_bio(incoming, outgoing, server_hostname="one.example")

        def drip() -> None:
            while True:
                try:
                    end.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    for byte in outgoing.read():
                        client.send(bytes([byte]))
                    incoming.write(client.recv(65536))
            end.write(b"!")
            for byte in outgoing.read():
                client.send(bytes([byte]))

        await asyncio.to_thread(drip)
        await owner.until(lambda: owner.data == b"!")
        client.close()

    run(test)


def test_a_client_that_leaves_within_the_handshake_is_lost(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        client.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
        client.close()
        await owner.until(lambda: "lost" in owner.told)

    run(test)


def test_a_client_that_resets_right_behind_its_hello_is_lost_and_forgotten(run: Callable[..., None]) -> None:
    # There is something to read, and nobody any more: the ssl module closes the socket by itself and raises.
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        client.send(bytes.fromhex("1603010200010001fc0303"))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await owner.until(lambda: bool(owner.told))
        assert owner.told == ["lost"]
        assert owner.transport.is_closed
        assert stage.poller.watched() == []

    run(test)


def test_what_was_written_within_the_handshake_goes_out_after_it(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        owner, client = stage.pair()
        owner.transport.write(b"early")
        secured = await asyncio.to_thread(secure, client)
        assert await asyncio.to_thread(received, secured, 5) == b"early"
        secured.close()

    run(test)


def test_many_handshakes_at_once_all_succeed(run: Callable[..., None]) -> None:
    async def test(stage: Stage) -> None:
        clients = await asyncio.gather(*(stage.connected() for _ in range(40)))
        for _, client in clients:
            client.close()

    run(test)


# --- lent to a thread


def test_a_thread_that_borrowed_it_writes_and_gives_back(run: Callable[..., None]) -> None:
    content = os.urandom(2_000_000)

    async def test(stage: Stage) -> None:
        owner, client = await stage.connected(send_buffer=65536)
        transport = owner.transport
        transport.lend()

        def work() -> None:
            for at in range(0, len(content), 100_000):
                transport.write(content[at : at + 100_000])
                assert transport.wait_drained(LIMIT_S, 0)
            if not transport.give_back():
                stage.poller.wake(transport)

        thread = threading.Thread(target=work)
        thread.start()
        assert await asyncio.to_thread(received, client, len(content)) == content
        await asyncio.to_thread(thread.join)
        await asyncio.to_thread(client.sendall, b"next")
        await owner.until(lambda: owner.data == b"next")
        client.close()

    run(test)
