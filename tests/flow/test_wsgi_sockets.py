"""WSGI applications that take the connection of a WebSocket handshake: what they get, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import select
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.inprocess import GET, Client, Serving, in_loop, logged, serving, until

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
App = Callable[[dict[str, Any], Any], Any]


def echo(environ: dict[str, Any], start_response: Any) -> Any:
    """Gives everything back until the client has no more, and then says what nobody wants to hear."""
    sock = environ.get("werkzeug.socket")
    if sock is not None:
        sock.send(b"hello ")
        while data := sock.recv(1000):
            sock.sendall(data)
        start_response("200 OK", [("Connection", "nonsense"), ("Content-Length", "7")])
        return [b"ignored"]
    start_response("200 OK", [])
    return [b"plain"]


async def taken(server: Serving, count: int = 1) -> None:
    """Until so many sockets are in the application's hands."""
    await until(lambda: sockets(server).held == count)


def sockets(server: Serving) -> Any:
    return server.server._gateway.sockets  # type: ignore[attr-defined]


@in_loop
async def test_everything_after_the_handshake_is_the_applications() -> None:
    with logged() as log:
        async with serving(echo, "wsgi") as server:
            async with await server.connect() as client:
                await client.send(HANDSHAKE + b"first ")
                assert await client.read_exactly(12) == b"hello first "
                await client.send(b"second")
                assert await client.read_exactly(6) == b"second"
                client.finish_writing()
                await client.ended()
                assert not client.is_reset
            await server.settled(0)
            site = server.server.site
            assert site is not None
            assert (site.running, site.gateway.running(), sockets(server).held) == (0, 0, 0)
            async with await server.connect() as client:
                assert (await client.ask()).body == b"plain"
    assert log.errors() == []


@in_loop
async def test_a_handshake_whose_socket_is_not_used_is_a_request_like_others() -> None:
    def lazy(environ: dict[str, Any], start_response: Any) -> Any:
        sock = environ["gunicorn.socket"]
        assert environ["werkzeug.socket"] is sock
        assert (environ["HTTP_UPGRADE"], environ["HTTP_CONNECTION"]) == ("websocket", "Upgrade")
        sock.settimeout(1)
        assert sock.getpeername()[0] == environ["REMOTE_ADDR"]
        start_response("200 OK", [])
        return [b"http"]

    async with serving(lazy, "wsgi") as server, await server.connect() as client:
        for _ in range(2):
            assert (await client.ask(HANDSHAKE)).body == b"http"


@in_loop
@pytest.mark.parametrize(
    "error", [StopIteration(), ConnectionError(), ConnectionResetError("gone"), ValueError("its own")], ids=repr
)
async def test_what_the_application_raises_afterwards(error: Exception) -> None:
    """python-engineio and Flask-Sock tell servers so that the socket was used; other errors are worth a line."""

    def raising(environ: dict[str, Any], start_response: Any) -> Any:
        environ["werkzeug.socket"].sendall(b"said")
        raise error

    with logged() as log:
        async with serving(raising, "wsgi") as server, await server.connect() as client:
            await client.send(HANDSHAKE)
            assert await client.read_to_end() == b"said"
            await server.settled(0)
    assert len(log.errors()) == isinstance(error, ValueError)


@in_loop
async def test_unread_bytes_do_not_turn_the_end_into_a_reset() -> None:
    def deaf(environ: dict[str, Any], start_response: Any) -> Any:
        environ["werkzeug.socket"].sendall(bytes(100_000))
        return []

    async with serving(deaf, "wsgi") as server, await server.connect(receive_buffer_bytes=8192) as client:
        await client.send(HANDSHAKE + bytes(50_000))
        assert await client.read_to_end() == bytes(100_000)
        assert not client.is_reset
        client.finish_writing()
        await server.settled(0)


@in_loop
async def test_no_socket_once_an_answer_was_begun() -> None:
    def two_minds(environ: dict[str, Any], start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"answer")
        try:
            environ["werkzeug.socket"].send(b"raw")
        except OSError as error:
            yield str(error.errno is not None).encode()

    async with serving(two_minds, "wsgi") as server, await server.connect() as client:
        assert (await client.ask(HANDSHAKE)).body == b"answerTrue"
        assert (await client.ask(HANDSHAKE)).body == b"answerTrue"


@in_loop
async def test_a_head_that_has_not_left_is_forgotten() -> None:
    def early(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("101 Switching Protocols" if environ.get("X") else "200 OK", [("X", "y")])
        environ["werkzeug.socket"].sendall(b"raw")
        start_response("nonsense", None, None)(b"nothing")
        yield b"nothing"

    async with serving(early, "wsgi") as server, await server.connect() as client:
        await client.send(HANDSHAKE)
        assert await client.read_to_end() == b"raw"


@in_loop
async def test_no_socket_after_the_call() -> None:
    kept: list[Any] = []

    def keeping(environ: dict[str, Any], start_response: Any) -> Any:
        kept.append(environ["werkzeug.socket"])
        if "use" in environ["QUERY_STRING"]:
            kept[-1].send(b"x")
            kept[-1].fileno()
        start_response("200 OK", [])
        return [b""]

    async with serving(keeping, "wsgi") as server, await server.connect() as client:
        await client.ask(HANDSHAKE)
        with pytest.raises(OSError):
            kept[0].recv(1)
        await client.send(HANDSHAKE.replace(b"/ws", b"/ws?use"))
        assert await client.read_to_end() == b"x"
        await server.settled(0)
        assert kept[1].recv(1) == b""
        assert select.select([kept[1].fileno()], [], [], 5)[0]
        with pytest.raises(BrokenPipeError):
            kept[1].send(b"late")
        kept[1].close()
        assert kept[1].fileno() == -1
        with pytest.raises(OSError):
            kept[1].recv(1)


@in_loop
async def test_a_background_thread_is_woken_when_the_call_returns() -> None:
    """As simple-websocket works: a thread of its own receives, and often outlives the view."""
    loop = asyncio.get_running_loop()
    is_over = asyncio.Event()
    got: list[bytes] = []

    def background(environ: dict[str, Any], start_response: Any) -> Any:
        sock = environ["werkzeug.socket"]

        def receive() -> None:
            got.append(sock.recv(10))
            got.append(sock.recv(10))
            sock.close()
            loop.call_soon_threadsafe(is_over.set)

        thread = threading.Thread(target=receive)
        thread.start()
        while not got:
            threading.Event().wait(0.001)
        sock.send(b"bye")
        return []

    async with serving(background, "wsgi") as server, await server.connect() as client:
        await client.send(HANDSHAKE)
        await taken(server)
        await client.send(b"data")
        assert await client.read_to_end() == b"bye"
        await is_over.wait()
        assert got == [b"data", b""]


@in_loop
@pytest.mark.parametrize("way", ["close", "reset", "finish_writing"])
async def test_client_that_leaves(way: str) -> None:
    async with serving(echo, "wsgi") as server:
        client = await server.connect()
        await client.send(HANDSHAKE)
        assert await client.read_exactly(6) == b"hello "
        getattr(client, way)()
        await server.settled(0)
        client.close()
        assert sockets(server).held == 0


@in_loop
async def test_client_that_takes_nothing_is_cut() -> None:
    def flooding(environ: dict[str, Any], start_response: Any) -> Any:
        environ["werkzeug.socket"].sendall(bytes(50_000_000))

    with logged() as log:
        async with serving(flooding, "wsgi", timeouts={"write_idle_s": 0.2}) as server:
            async with await server.connect(receive_buffer_bytes=8192) as client:
                await client.send(HANDSHAKE)
                await server.settled(0)
                assert len(await client.read_to_end()) < 50_000_000
        await until(lambda: any("timeout_write" in line for line in log.lines()))


@in_loop
async def test_no_deadline_once_the_socket_was_taken() -> None:
    """A call has 0.1 s; ticks go by, the socket lives, and a neighbour that dawdles is told 504."""
    go = threading.Event()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/slow":
            go.wait(20)
            environ["werkzeug.socket"].send(b"too late")
        return echo(environ, start_response)

    with logged() as log:
        async with serving(app, "wsgi", timeouts={"request_s": 0.1}) as server:
            async with await server.connect() as client, await server.connect() as other:
                await client.send(HANDSHAKE)
                assert await client.read_exactly(6) == b"hello "
                answer = await other.ask(HANDSHAKE.replace(b"/ws", b"/slow"))
                assert answer.status == 504
                go.set()
                await client.send(b"alive")
                assert await client.read_exactly(5) == b"alive"
                client.finish_writing()
                await client.ended()
            await server.settled(0)
            assert sockets(server).held == 0
    assert not any("too late" in line for line in log.lines())


@in_loop
async def test_open_sockets_are_no_hang_and_full_threads_are_told_once() -> None:
    told: list[str] = []
    # Shorter than the ticks below, longer than a thread may need to come back.
    server_options: dict[str, Any] = {"hang_s": 2.0, "on_worn": told.append}
    timeouts = {"linger_s": 0.1}
    gateway_options = {"threads": 2, "thread_queue_timeout_s": 0}
    with logged() as log:
        async with serving(echo, "wsgi", gateway=gateway_options, timeouts=timeouts, server=server_options) as server:
            async with contextlib.AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(await server.connect()) for _ in range(3)]
                for client in clients[:2]:
                    await client.send(HANDSHAKE)
                    assert await client.read_exactly(6) == b"hello "
                await taken(server, 2)
                await clients[2].send(GET)
                await until(lambda: any("held by open WebSockets" in line for line in log.lines()))
                gateway = server.server._gateway
                assert gateway.waiting() == 1
                for second in range(10):
                    gateway.tick(1e6 + second)
                assert told == []
                clients[0].close()
                assert (await clients[2].read()).body == b"plain"
    assert sum("held by open WebSockets" in line for line in log.lines()) == 1
    assert not any("No thread has come back" in line for line in log.lines())


async def stopped_by(server: Serving, clients: list[Client], stop: Callable[[], None]) -> None:
    for client in clients:
        await client.send(HANDSHAKE)
        assert await client.read_exactly(6) == b"hello "
    stop()
    for client in clients:
        await client.ended()
    await server.server.finished()


@in_loop
async def test_graceful_stop_gives_sockets_its_time() -> None:
    with logged() as log:
        async with serving(echo, "wsgi", timeouts={"graceful_s": 0.3}) as server:
            async with await server.connect() as one, await server.connect() as two:
                await stopped_by(server, [one, two], server.server.request_stop)
    assert any("2 requests GET /ws" in line for line in log.lines())
    assert log.errors() == []


@in_loop
async def test_urgent_stop_waits_for_no_socket() -> None:
    async with serving(echo, "wsgi", timeouts={"graceful_s": 1000.0}) as server:
        async with await server.connect() as one, await server.connect() as two:
            await stopped_by(server, [one, two], server.server.request_abort)


@in_loop
async def test_socket_that_is_closed_during_a_graceful_stop() -> None:
    """The last client leaves by itself: the stop has nothing to wait for."""
    async with serving(echo, "wsgi", timeouts={"graceful_s": 1000.0}) as server:
        async with await server.connect() as client:
            await client.send(HANDSHAKE)
            assert await client.read_exactly(6) == b"hello "
            server.server.request_stop()
            await client.send(b"still")
            assert await client.read_exactly(5) == b"still"
            client.finish_writing()
            await client.ended()
        await server.server.finished()


@in_loop
async def test_sockets_come_and_go_beside_requests() -> None:
    async def one(server: Serving, number: int) -> None:
        async with await server.connect() as client:
            await client.ask()
            await client.send(HANDSHAKE + b"%03d" % number)
            assert await client.read_exactly(9) == b"hello %03d" % number
            if number % 3 == 0:
                client.reset()
            elif number % 3 == 1:
                client.finish_writing()
                await client.ended()

    with logged() as log:
        async with serving(echo, "wsgi", gateway={"threads": 8}, timeouts={"linger_s": 0.1}) as server:
            await asyncio.gather(*(one(server, number) for number in range(60)))
            await server.settled(0)
            site = server.server.site
            assert site is not None
            assert (site.running, site.gateway.running(), sockets(server).held) == (0, 0, 0)
            assert sockets(server).taken == 60
    assert log.errors() == []


@pytest.mark.parametrize(
    "origin, origins, status",
    [
        (b"https://evil.example", (), 403),
        (b"null", (), 403),
        (b"https://evil.example", ("*",), 200),
        (b"https://app.example", ("https://app.example",), 200),
        (b"http://t", (), 200),
    ],
)
@in_loop
async def test_a_page_of_another_site_is_refused_before_the_application(
    origin: bytes, origins: tuple[str, ...], status: int
) -> None:
    """G-058: whether a library looks at Origin itself, we do not know."""
    called = []

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        called.append(environ["HTTP_ORIGIN"])
        start_response("200 OK", [])
        return [b"plain"]

    async with serving(app, "wsgi", identity={"websocket_origins": origins}) as server:
        async with await server.connect() as client:
            answer = await client.ask(HANDSHAKE.replace(b"\r\n\r\n", b"\r\nOrigin: " + origin + b"\r\n\r\n"))
            assert answer.status == status
    assert bool(called) == (status == 200)
