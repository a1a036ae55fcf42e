"""WebSocket by clients we did not write: messages of every size and kind, handshakes, pings, closes from both sides.

What all of them can do is asked of each (``websocket_clients``); below it what only one of them lets a test reach.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apps.conftest import Loopback
from tests.apps.websocket_clients import CLIENTS, Client, Closed, Refused, is_installed, picows_client
from tests.apps.websocket_site import text_of
from tests.support.curl import curl
from tests.support.server import Server, running

HERE = Path(__file__).parent
LIMIT_BYTES = 16 * 1024 * 1024
#: Sizes at and around every change of a frame's form, and beyond one read.
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000)
MANY = 500


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running("websocket_site:app", app_dir=HERE) as server:
        yield server


@pytest.fixture(scope="module")
def tls_server(loopback: Loopback) -> Iterator[Server]:
    with running("websocket_site:app", *loopback.flags(), app_dir=HERE) as server:
        yield server


@pytest.fixture(params=list(CLIENTS))
def client(request: pytest.FixtureRequest) -> Client:
    found = CLIENTS[request.param]
    if not is_installed(found):
        pytest.skip(f"{found.package} is not installed")
    return found


def url(server: Server, path: str) -> str:
    scheme = "wss" if server.scheme == "https" else "ws"
    return f"{scheme}://{server.host}:{server.port}{path}"


def run(talking: Coroutine[Any, Any, None]) -> None:
    """Run it, for a minute at the longest."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await talking

    asyncio.run(bounded())


# With every client


def test_echo_of_every_size_and_kind(server: Server, client: Client) -> None:
    async def talking() -> None:
        async with client.connect(url(server, "/echo")) as talk:
            for size in SIZES:
                for message in (text_of(size), bytes(range(256)) * (size // 256) + bytes(size % 256)):
                    await talk.send(message)
                    assert await talk.receive() == message
            for message in ("ré – 日本語 – 🦀" * 1000, "\x00", "\ufeffmark"):
                await talk.send(message)
                assert await talk.receive() == message

    run(talking())


def test_big_messages(server: Server, client: Client) -> None:
    """As large as they may be; the random one is not made smaller by compression."""

    async def talking() -> None:
        async with client.connect(url(server, "/digest")) as talk:
            for message in (text_of(LIMIT_BYTES), hashlib.shake_256(b"big").digest(5_000_000)):
                data = message.encode() if isinstance(message, str) else message
                await talk.send(message)
                expected = f"{type(message).__name__} {len(data)} {hashlib.sha256(data).hexdigest()}"
                assert await talk.receive() == expected

    run(talking())


def test_many_messages_keep_their_order(server: Server, client: Client) -> None:
    async def talking() -> None:
        async with client.connect(url(server, "/echo")) as talk:
            for base in range(0, 1000, 100):
                for number in range(base, base + 100):
                    await talk.send(f"{number} {text_of(number)}")
                for number in range(base, base + 100):
                    assert await talk.receive() == f"{number} {text_of(number)}"

    run(talking())


def test_messages_pushed_before_a_close_all_arrive(server: Server, client: Client) -> None:
    async def talking() -> None:
        async with client.connect(url(server, "/push/100/20000")) as talk:
            for number in range(100):
                assert await talk.receive() == f"{number} {text_of(20_000)}"
            with pytest.raises(Closed) as closed:
                await talk.receive()
            assert closed.value.code == 1000

    run(talking())


def test_pings_are_answered_between_messages(server: Server, client: Client) -> None:
    async def talking() -> None:
        async with client.connect(url(server, "/echo")) as talk:
            for _ in range(3):
                await talk.ping()
                await talk.send("after the ping")
                got = await talk.receive()
                # Where pongs are handed out, `ping` took it.
                assert got == "after the ping"

    run(talking())


def test_subprotocol(server: Server, client: Client) -> None:
    async def talking() -> None:
        async with client.connect(url(server, "/subprotocol/chat.v2"), subprotocols=["chat.v1", "chat.v2"]) as talk:
            assert talk.subprotocol == "chat.v2"
            await talk.send("?")
            assert await talk.receive() == "chat.v2"
        if client.package == "websocket":
            return  # it takes a server that chooses none for a broken one
        async with client.connect(url(server, "/describe"), subprotocols=["chat.v1", "chat.v2"]) as talk:
            await talk.send("?")
            seen = json.loads(await talk.receive())
            assert seen["subprotocols"] == ["chat.v1", "chat.v2"]
            assert not talk.subprotocol, "the application chose none"

    run(talking())


def test_scope(server: Server, client: Client) -> None:
    async def talking() -> None:
        async with client.connect(url(server, "/describe?a=1&b=%20")) as talk:
            await talk.send("?")
            seen = json.loads(await talk.receive())
            assert (seen["type"], seen["http_version"], seen["scheme"]) == ("websocket", "1.1", "ws")
            assert (seen["path"], seen["query"], seen["subprotocols"]) == ("/describe", "a=1&b=%20", [])
            assert "websocket.http.response" in seen["extensions"]

    run(talking())


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (3000, "ré"), (4999, "x" * 123)])
def test_close_by_the_application(server: Server, client: Client, code: int, reason: str) -> None:
    async def talking() -> None:
        async with client.connect(url(server, f"/close/{code}/{reason.replace('é', '%C3%A9')}")) as talk:
            await talk.send("now")
            with pytest.raises(Closed) as closed:
                await talk.receive()
            assert (closed.value.code, closed.value.reason) == (code, reason)

    run(talking())


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "leaving"), (3001, "ré"), (4321, "y" * 100)])
def test_close_by_the_client(server: Server, client: Client, code: int, reason: str) -> None:
    mark = server.mark()

    async def talking() -> None:
        async with client.connect(url(server, "/watch/leaver")) as talk:
            await talk.send("one")
            await asyncio.to_thread(server.wait_for_log, "leaver message 1", since=mark)
            await talk.close(code, reason)

    run(talking())
    line = server.wait_for_log("note: leaver ended", since=mark)
    assert line.endswith(f"leaver ended {code} {reason or '-'} after 1 messages of 3.")


def test_application_that_fails_closes_with_1011(server: Server, client: Client) -> None:
    mark = server.mark()

    async def talking() -> None:
        async with client.connect(url(server, "/fail")) as talk:
            await talk.send("now")
            with pytest.raises(Closed) as closed:
                await talk.receive()
            assert closed.value.code == 1011

    run(talking())
    server.wait_for_log("failed as asked", since=mark)


@pytest.mark.parametrize(("path", "status"), [("/reject", 403), ("/deny/401", 401), ("/deny/503", 503)])
def test_refused_handshake(server: Server, client: Client, path: str, status: int) -> None:
    async def talking() -> None:
        with pytest.raises(Refused) as refusal:
            async with client.connect(url(server, path)):
                pass
        assert refusal.value.status == status

    run(talking())


# Its two threads use one TLS object at once, for which CPython has a lock from 3.13 on.
@pytest.mark.parametrize(
    "client", [name for name in CLIENTS if name != "websockets-sync" or sys.version_info >= (3, 13)], indirect=True
)
def test_over_tls(tls_server: Server, client: Client, loopback: Loopback) -> None:
    async def talking() -> None:
        async with client.connect(url(tls_server, "/describe"), tls=loopback.context()) as talk:
            await talk.send("?")
            assert json.loads(await talk.receive())["scheme"] == "wss"
        async with client.connect(url(tls_server, "/echo"), tls=loopback.context()) as talk:
            for message in ("small", text_of(300_000), bytes(range(256)) * 8000):
                await talk.send(message)
                assert await talk.receive() == message

    run(talking())


def test_server_that_stops_closes_with_1012(client: Client) -> None:
    with running("websocket_site:app", app_dir=HERE) as own:

        async def talking() -> None:
            async with client.connect(url(own, "/watch/stayer")) as talk:
                await talk.send("one")
                await asyncio.to_thread(own.wait_for_log, "stayer message 1")
                stopping = asyncio.create_task(asyncio.to_thread(own.stop))
                with pytest.raises(Closed) as closed:
                    await talk.receive()
                assert closed.value.code == 1012
                # A client that only completes the handshake when asked to.
                await talk.close(1012, "")
                assert await stopping == 0

        run(talking())
        assert "note: stayer ended 1012" in own.log


# With one that lets a test see or do more


def test_denial_response_arrives_whole(server: Server) -> None:
    exceptions = pytest.importorskip("websockets.exceptions")
    from websockets.sync.client import connect

    with pytest.raises(exceptions.InvalidStatus) as refusal, connect(url(server, "/deny/451"), proxy=None):
        pass
    response = refusal.value.response
    assert (response.status_code, response.body, response.headers["x-why"]) == (451, b"not today", "denied")


def test_accept_carries_the_applications_fields(server: Server) -> None:
    pytest.importorskip("websockets")
    from websockets.sync.client import connect
    from websockets.typing import Subprotocol

    with connect(url(server, "/subprotocol/a"), subprotocols=[Subprotocol("a")], proxy=None) as connection:
        assert connection.response is not None
        assert connection.response.headers["x-chosen"] == "a"
        assert connection.response.headers["date"]


def test_fragmented_messages(server: Server) -> None:
    """With and without compression; a ping between the fragments, and a character cut in two."""
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect

    async def talking(compression: str | None) -> None:
        async with connect(url(server, "/echo"), compression=compression, proxy=None) as connection:

            async def fragments() -> Any:
                for part in ("one ", "", "two ", "日本", text_of(200_000)):
                    yield part
                    await connection.ping()

            await connection.send(fragments())
            assert await connection.recv() == "one two 日本" + text_of(200_000)
            await connection.send([b"\xe6", b"\x97", b"\xa5"], text=True)
            assert await connection.recv() == "日"
            await connection.send([bytes([number]) for number in range(256)])
            assert await connection.recv() == bytes(range(256))

    for compression in ("deflate", None):
        run(talking(compression))


PARAMETERS: list[tuple[dict[str, Any], str]] = [
    ({}, "permessage-deflate"),
    ({"server_no_context_takeover": True}, "server_no_context_takeover"),
    ({"client_no_context_takeover": True}, "client_no_context_takeover"),
    ({"server_max_window_bits": 10}, "server_max_window_bits=10"),
    ({"client_max_window_bits": 10}, "client_max_window_bits"),
]


@pytest.mark.parametrize(("parameters", "expected"), PARAMETERS, ids=[expected for _, expected in PARAMETERS])
def test_every_parameter_of_compression(server: Server, parameters: dict[str, Any], expected: str) -> None:
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect
    from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

    factory = ClientPerMessageDeflateFactory(**parameters)

    async def talking() -> None:
        async with connect(url(server, "/echo"), extensions=[factory], compression=None, proxy=None) as connection:
            assert connection.response is not None
            agreed = connection.response.headers.get("sec-websocket-extensions", "")
            assert "permessage-deflate" in agreed
            if "server" in expected:
                assert expected in agreed
            for message in (text_of(100_000), bytes(range(256)) * 500, "", text_of(100_000), "short", b""):
                await connection.send(message)
                assert await connection.recv() == message

    run(talking())


def test_large_text_crosses_the_wire_compressed(server: Server) -> None:
    """Up to 1 MiB; what is larger is not compressed while everybody else waits."""
    pytest.importorskip("websockets")
    from websockets.sync.client import connect

    class Counting(socket.socket):
        """Counts what arrives."""

        arrived = 0

        def recv(self, *arguments: Any) -> bytes:
            data = super().recv(*arguments)
            self.arrived += len(data)
            return data

    message = text_of(1_000_000)
    counts = {}
    for compression in ("deflate", None):
        one = Counting(socket.AF_INET)
        one.connect(server.address)
        with one, connect(url(server, "/echo"), sock=one, compression=compression, max_size=None) as connection:
            connection.send(message)
            assert connection.recv() == message
            counts[compression] = one.arrived
    assert counts[None] > len(message)
    assert counts["deflate"] < len(message) / 20


def test_message_above_the_limit_is_1009(server: Server) -> None:
    """Compressed, uncompressed, and in fragments."""
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def talking(compression: str | None, message: Any) -> None:
        async with connect(url(server, "/watch/large"), compression=compression, proxy=None) as connection:
            with pytest.raises(ConnectionClosed) as closed:
                await connection.send(message)
                await connection.recv()
            # The server may have gone before all was sent; what it said has been read all the same.
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009

    for compression in ("deflate", None):
        for message in (bytes(LIMIT_BYTES + 1), [bytes(LIMIT_BYTES // 2)] * 3):
            mark = server.mark()
            run(talking(compression, message))
            server.wait_for_log("large ended 1009", since=mark)


def test_text_that_is_not_utf_8_is_1007(server: Server) -> None:
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def talking(compression: str | None, message: Any) -> None:
        async with connect(url(server, "/watch/garbled"), compression=compression, proxy=None) as connection:
            with pytest.raises(ConnectionClosed) as closed:
                await connection.send(message, text=True)
                await connection.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1007

    for compression in ("deflate", None):
        for message in (b"\xff", b"abc\xed\xa0\x80", [b"\xe6", b"x"], [b"fine", b"cut \xe6"]):
            mark = server.mark()
            run(talking(compression, message))
            server.wait_for_log("garbled ended 1007", since=mark)


def test_connection_that_breaks_is_1006(server: Server) -> None:
    pytest.importorskip("websockets")
    from websockets.sync.client import connect

    mark = server.mark()
    with connect(url(server, "/watch/broken"), proxy=None) as connection:
        connection.send("one")
        server.wait_for_log("broken message 1", since=mark)
        connection.socket.shutdown(socket.SHUT_RDWR)
        server.wait_for_log("broken ended 1006 -", since=mark)


def test_close_without_a_code_is_1005(server: Server) -> None:
    websocket = pytest.importorskip("websocket")

    mark = server.mark()
    connection = websocket.create_connection(url(server, "/watch/wordless"), timeout=20, http_no_proxy=["*"])
    connection.send("one")
    server.wait_for_log("wordless message 1", since=mark)
    connection.send(b"", websocket.ABNF.OPCODE_CLOSE)
    opcode, _ = connection.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    connection.shutdown()
    server.wait_for_log("wordless ended 1005 -", since=mark)


def test_client_that_answers_no_pings_is_let_go() -> None:
    """picows can be told not to answer; one that answers stays, and its application never hears of it."""
    pytest.importorskip("picows")
    with running(
        "websocket_site:app", "--ws-ping-interval", "0.3", "--ws-ping-timeout", "0.6", app_dir=HERE
    ) as pinging:

        async def talking() -> None:
            async with picows_client(url(pinging, "/watch/alive")) as alive:
                async with picows_client(url(pinging, "/watch/mute"), enable_auto_pong=False) as mute:
                    with pytest.raises(Closed):
                        await mute.receive()
                await asyncio.to_thread(pinging.wait_for_log, "note: mute ended")
                await alive.send("still here")
                await asyncio.to_thread(pinging.wait_for_log, "note: alive message 1")
                assert "alive ended" not in pinging.log

        run(talking())


def test_application_that_does_not_read_holds_up_only_its_own_client(server: Server) -> None:
    """Thousands of messages wait in the client, not in the server, until the application reads; none is lost."""
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect

    count, size = 400, 100_000

    async def talking() -> None:
        async with connect(url(server, "/late/sleeper"), compression=None, max_queue=None, proxy=None) as connection:

            async def send_all() -> None:
                for number in range(count):
                    await connection.send(f"{number} " + text_of(size))

            sending = asyncio.create_task(send_all())
            async with connect(url(server, "/echo"), proxy=None) as other:
                for number in range(20):
                    await other.send(str(number))
                    assert await other.recv() == str(number)
            assert not sending.done(), "forty megabytes may not be held for an application that takes none"
            opened = await asyncio.to_thread(curl, f"{server.origin}/let/sleeper")
            assert opened.body == b"hello"
            for number in range(count):
                assert await connection.recv() == f"{number} " + text_of(size)
            await sending

    run(talking())


def test_many_at_once(server: Server) -> None:
    """Each of 500 sockets says things and hears its own things only; all leave at once, and the server goes on."""
    pytest.importorskip("websockets")
    from websockets.asyncio.client import connect

    async def one(number: int) -> None:
        async with connect(url(server, "/echo"), open_timeout=50, ping_interval=None, proxy=None) as connection:
            await everybody.wait()
            for turn in range(5):
                message = f"{number} {turn} " + "x" * (number * 7)
                await connection.send(message)
                assert await connection.recv() == message

    async def talking() -> None:
        await asyncio.gather(*map(one, range(MANY)))

    everybody = asyncio.Barrier(MANY)
    run(talking())
    assert curl(f"{server.origin}/").body == b"hello"


def test_browser_page_of_another_site_is_refused(server: Server) -> None:
    """The Origin field of a page that is not ours (cross-site WebSocket hijacking)."""
    exceptions = pytest.importorskip("websockets.exceptions")
    from websockets.sync.client import connect
    from websockets.typing import Origin

    with connect(url(server, "/echo"), origin=Origin(server.origin), proxy=None) as connection:
        connection.send("ours")
        assert connection.recv() == "ours"
    for origin in ("http://elsewhere.example", "null", f"https://{server.host}:{server.port + 1}"):
        with pytest.raises(exceptions.InvalidStatus) as refusal:
            with connect(url(server, "/echo"), origin=Origin(origin), proxy=None):
                pass
        assert refusal.value.response.status_code == 403


def test_curl_asking_for_an_unknown_version_is_told_ours(server: Server) -> None:
    result = curl(
        *("-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 7"),
        *("-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
        f"{server.origin}/echo",
    )
    assert result.statuses() == [426]
    assert "sec-websocket-version: 13" in [line.lower() for line in result.received()]
