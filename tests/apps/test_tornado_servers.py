"""Tornado applications, each on a server of its own within the test's loop: what hosts requests, life and time.

And WebSockets over HTTP/2. What one application answers over the real command is in ``test_tornado``.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.support.http2 import WEBSOCKET, data, headers, rst, update
from tests.support.inprocess import GET, Serving, in_loop, logged, make_server, until
from tests.support.inprocess import serving as serving_as
from tests.support.multiplexed import Http2Client, request, speaking
from tests.support.talking import closing, read_close, text, upgraded
from torana.base.errors import LoadError

web = pytest.importorskip("tornado.web")
websocket = pytest.importorskip("tornado.websocket")
httpserver = pytest.importorskip("tornado.httpserver")
httputil = pytest.importorskip("tornado.httputil")
routing = pytest.importorskip("tornado.routing")
autoreload = pytest.importorskip("tornado.autoreload")
gen = pytest.importorskip("tornado.gen")


@pytest.fixture(autouse=True)
def tornado_as_it_was() -> Iterator[None]:
    """A gateway turns off what Tornado would do to the process."""
    start, attempted = autoreload.start, autoreload._reload_attempted
    yield
    autoreload.start, autoreload._reload_attempted = start, attempted


def serving(app: Any, **options: Any) -> Any:
    return serving_as(app, "tornado", **options)


def get(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: t", *lines, "", ""]).encode()


class Told(web.RequestHandler):
    """Answers with what it was set up with."""

    def initialize(self, answer: str = "ok") -> None:
        self.answer = answer

    def get(self) -> None:
        self.write(f"{self.answer} {self.request.uri}")

    post = get


class Waiting(web.RequestHandler):
    """Waits for ever; tests look at what becomes of it."""

    begun = 0
    left = 0
    ended: list[str] = []
    is_deaf = False

    @classmethod
    def reset(cls) -> None:
        cls.begun = cls.left = 0
        cls.ended = []
        cls.is_deaf = False

    async def get(self) -> None:
        self.over = asyncio.Event()
        Waiting.begun += 1
        try:
            if self.get_query_argument("flushed", ""):
                self.write("begun ")
                await self.flush()
            await self.over.wait()
            self.write("told")
            Waiting.ended.append("told")
        except asyncio.CancelledError:
            Waiting.ended.append("cancelled")
            raise

    def on_connection_close(self) -> None:
        Waiting.left += 1
        if not Waiting.is_deaf:
            self.over.set()


class Socket(websocket.WebSocketHandler):
    """Echoes, and remembers how it ended."""

    closed: list[tuple[Any, Any]] = []
    cancelled = 0

    def check_origin(self, origin: str) -> bool:
        return True

    async def on_message(self, message: Any) -> None:
        if message == "stay":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                Socket.cancelled += 1
                raise
        if message == "bye":
            self.close(4000, "asked to")
        else:
            await self.write_message(message, binary=isinstance(message, bytes))

    def on_close(self) -> None:
        Socket.closed.append((self.close_code, self.close_reason))


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    Waiting.reset()
    Socket.closed = []
    Socket.cancelled = 0


def application(*rules: Any, **settings: Any) -> Any:
    return web.Application([("/", Told), ("/wait", Waiting), ("/ws", Socket), *rules], **settings)


# what hosts requests


@in_loop
async def test_router_with_several_applications() -> None:
    one, two = application(), web.Application([("/.*", Told, {"answer": "two"})])
    router = routing.RuleRouter(
        [
            routing.Rule(routing.HostMatches("two.example"), two),
            routing.Rule(routing.PathMatches("/called"), lambda request: called(request)),
            routing.Rule(routing.AnyMatches(), one),
        ]
    )

    def called(request: Any) -> None:
        request.connection.write_headers(
            httputil.ResponseStartLine("", 200, "OK"), httputil.HTTPHeaders({"Content-Length": "6"}), b"called"
        )
        request.connection.finish()

    async with serving(router) as server, await server.connect() as client:
        assert (await client.ask(GET)).body == b"ok /"
        assert (await client.ask(b"GET /x HTTP/1.1\r\nHost: two.example\r\n\r\n")).body == b"two /x"
        assert (await client.ask(get("/called"))).body == b"called"
        assert (await client.ask(get("/none"))).status == 404


@in_loop
async def test_http_server_is_unwrapped() -> None:
    async with serving(httpserver.HTTPServer(application(), xheaders=True)) as server:
        async with await server.connect() as client:
            assert (await client.ask(GET)).body == b"ok /"


@in_loop
async def test_http_server_with_a_plain_callable() -> None:
    def answer(request: Any) -> None:
        body = b"%s %d %r" % (request.method.encode(), len(request.body), sorted(request.body_arguments))
        request.connection.write_headers(
            httputil.ResponseStartLine("", 200, "OK"), httputil.HTTPHeaders({"Content-Length": str(len(body))}), body
        )
        request.connection.finish()

    async with serving(httpserver.HTTPServer(answer)) as server, await server.connect() as client:
        await client.send(
            b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\na=1"
        )
        assert (await client.read()).body == b"POST 3 ['a']"


class Own(httputil.HTTPServerConnectionDelegate):
    """A delegate of somebody's own, without handlers."""

    def __init__(self) -> None:
        self.closed = 0
        self.left = 0

    def start_request(self, server_conn: Any, request_conn: Any) -> Any:
        return OwnMessage(self, request_conn)

    def on_close(self, server_conn: Any) -> None:
        self.closed += 1


class OwnMessage(httputil.HTTPMessageDelegate):
    def __init__(self, own: Own, connection: Any) -> None:
        self.own, self.connection, self.body = own, connection, b""

    async def headers_received(self, start_line: Any, headers: Any) -> None:
        self.path = start_line.path
        await asyncio.sleep(0)

    def data_received(self, chunk: bytes) -> None:
        self.body += chunk

    def finish(self) -> None:
        if self.path == "/fail":
            raise RuntimeError("broken on purpose")
        if self.path == "/nothing":
            self.connection.finish()
        self.connection.write_headers(httputil.ResponseStartLine("", 201, "Made"), httputil.HTTPHeaders(), b"own ")
        self.connection.write(self.body)
        self.connection.finish()

    def on_connection_close(self) -> None:
        self.own.left += 1


@in_loop
async def test_delegate_of_ones_own() -> None:
    own = Own()
    async with serving(own) as server, await server.connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc")
        answer = await client.read()
        assert (answer.status, answer.reason, answer.body) == (201, "Made", b"own abc")
        assert own.closed == 1
        with logged() as log:
            assert (await client.ask(get("/fail"))).status == 500
            assert (await client.ask(get("/nothing"))).status == 500
        assert any("broken on purpose" in str(record.exc_info) for record in log.records)
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\na")
        await until(lambda: own.closed == 3)
    await until(lambda: own.left == 2 and own.closed == 4)


@pytest.mark.parametrize(
    ("base", "path", "answer"),
    [
        (None, "/app/x?y=/app", b"ok /x?y=/app"),
        (None, "/app", b"ok /"),
        (None, "/app?a", b"ok /?a"),
        (None, "/x", b"ok /x"),
        (None, "/apple", b"ok /apple"),
        ("/app/", "/app/x", b"ok /app/x"),
        ("/app/", "/x", b"ok /app/x"),
    ],
)
@in_loop
async def test_mount_point(base: str | None, path: str, answer: bytes) -> None:
    app = web.Application([("/.*", Told)], **({} if base is None else {"base_url": base}))
    async with serving(app, gateway={"root_path": "/app"}) as server, await server.connect() as client:
        assert (await client.ask(get(path))).body == answer


# life


@in_loop
async def test_hooks_in_their_order() -> None:
    said: list[str] = []

    async def later(what: str) -> None:
        await asyncio.sleep(0)
        said.append(what)

    app = application(
        on_startup=[lambda: said.append("plain"), lambda: later("async")],
        on_drain=lambda: later("drain"),
        on_shutdown=[lambda: 1 / 0, lambda: later("down")],
    )
    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            assert said == ["plain", "async"]
            await client.ask(GET)
    assert said == ["plain", "async", "drain", "down"]
    assert log.errors() == ["the application's on_shutdown failed"]


@pytest.mark.parametrize("hooks", [[lambda: 1 / 0], lambda: asyncio.sleep(9), [1]])
@in_loop
async def test_start_that_fails(hooks: Any) -> None:
    made = make_server(application(on_startup=hooks), "tornado", gateway={"lifespan_startup_timeout_s": 0.05})
    with pytest.raises(LoadError, match=r"refused to start|did not complete|cannot be called"):
        await made.start()


@in_loop
async def test_debug_watches_no_files_and_starts_nothing_anew(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "torana")
    # Made on the running loop, where Tornado's own would watch.
    app = application(debug=True)
    async with serving(app) as server, await server.connect() as client:
        assert (await client.ask(GET)).status == 200
        watched: dict[str, float] = {}
        autoreload._reload_on_update(watched)
        assert watched == {}
        assert autoreload.start() is None
    assert sum("autoreload" in record.getMessage() for record in caplog.records) == 1


@in_loop
async def test_no_access_lines_of_tornados_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mine: list[int] = []
    async with serving(application()) as server, await server.connect() as client:
        await client.ask(GET)
        await client.ask(get("/none"))
    assert not [record for record in caplog.records if record.name == "tornado.access"]
    own = application(log_function=lambda handler: mine.append(handler.get_status()))
    async with serving(own) as server, await server.connect() as client:
        await client.ask(GET)
    assert mine == [200]


@in_loop
async def test_nothing_is_kept_of_a_request() -> None:
    known: list[Any] = []

    class Known(web.RequestHandler):
        def get(self) -> None:
            known.append(weakref.ref(self))
            self.write("x")

    gc.collect()
    gc.disable()
    try:
        async with serving(application(("/known", Known))) as server, await server.connect() as client:
            for _ in range(5):
                await client.ask(get("/known"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert sum(ref() is not None for ref in known) <= 1
            gateway = server.server._gateway
            assert gateway.running() == 0
    finally:
        gc.enable()


# time


@in_loop
async def test_handler_that_takes_too_long() -> None:
    Waiting.is_deaf = True
    with logged() as log:
        async with serving(application(), timeouts={"request_s": 0.2}) as server:
            async with await server.connect() as client, await server.connect() as other:
                await client.send(get("/wait"))
                await until(lambda: Waiting.begun == 1)
                while not Waiting.ended:
                    assert (await other.ask(GET)).status == 200
                assert (await client.read()).status == 504
                assert Waiting.ended == ["cancelled"]
                assert (await client.ask(GET)).status == 200
                assert server.server._gateway.running() == 0
    assert any("timeout_request" in line and "test_tornado_servers.py" in line for line in log.errors())


@in_loop
async def test_answer_that_has_begun_is_cut_when_it_takes_too_long() -> None:
    async with serving(application(), timeouts={"request_s": 0.2}) as server, await server.connect() as client:
        answer = await client.ask(get("/wait?flushed=1"))
        assert (answer.status, answer.body, answer.is_complete) == (200, b"begun ", False)
        await until(lambda: Waiting.ended == ["cancelled"])


@in_loop
async def test_body_that_comes_slowly_is_not_the_handlers_time() -> None:
    async with serving(application(), timeouts={"request_s": 0.2}) as server, await server.connect() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.15)
            await client.send(b"x")
        assert (await client.read()).status == 200


# the end


async def started(app: Any, **timeouts: Any) -> Serving:
    made = make_server(app, "tornado", timeouts=timeouts)
    await made.start()
    return Serving(made)


@in_loop
async def test_handlers_are_told_that_the_server_stops() -> None:
    server = await started(application(), graceful_s=0.1)
    async with await server.connect() as client:
        await client.send(get("/wait"))
        await until(lambda: Waiting.begun == 1)
        server.server.request_stop()
        assert (await client.read()).body == b"told"
        await server.server.finished()
    assert (Waiting.left, Waiting.ended) == (1, ["told"])


@in_loop
async def test_handlers_that_do_not_listen_are_cancelled() -> None:
    Waiting.is_deaf = True
    server = await started(application(), graceful_s=0.1, cancel_s=0.4)
    async with await server.connect() as client:
        await client.send(get("/wait"))
        await until(lambda: Waiting.begun == 1)
        server.server.request_stop()
        assert (await client.read()).status == 500
        await server.server.finished()
    assert Waiting.ended == ["cancelled"]


@in_loop
async def test_handlers_that_outlive_their_clients_are_cancelled_at_the_end() -> None:
    Waiting.is_deaf = True
    server = await started(application(), graceful_s=0.1, cancel_s=0.1)
    async with await server.connect() as client:
        await client.send(get("/wait"))
        await until(lambda: Waiting.begun == 1)
        client.reset()
        await until(lambda: Waiting.left == 1)
    server.server.request_stop()
    await server.server.finished()
    await until(lambda: Waiting.ended == ["cancelled"])


@in_loop
async def test_sockets_are_closed_with_1001() -> None:
    server = await started(application(), graceful_s=5.0)
    async with await server.connect() as client, speaking(server) as other:
        await upgraded(client)
        stream = await opened(other)
        server.server.request_stop()
        assert (await read_close(client))[0] == 1001
        await client.send(closing(1001))
        await client.ended()
        await other.until(lambda: other.body(stream)[:1] == b"\x88")
        assert other.body(stream)[2:4] == (1001).to_bytes(2, "big")
        await other.send(data(stream, closing(1001), is_end=True))
        await other.ended()
        await server.server.finished()
    assert Socket.closed == [(1001, None)] * 2
    assert server.server.is_clean


@in_loop
async def test_application_that_closes_its_sockets_itself() -> None:
    open_now: list[Any] = []

    class Kept(Socket):
        def open(self) -> None:
            open_now.append(self)

    app = application(("/kept", Kept), on_drain=lambda: [each.close(1012, "back soon") for each in open_now])
    server = await started(app, graceful_s=5.0)
    async with await server.connect() as client:
        await client.send(handshake("/kept"))
        assert (await client.read_head()).status == 101
        server.server.request_stop()
        assert await read_close(client) == (1012, "back soon")
        await client.send(closing(1012))
        await client.ended()
        await server.server.finished()


@in_loop
async def test_socket_that_stays_is_cut_and_its_handler_cancelled() -> None:
    server = await started(application(), graceful_s=0.1, cancel_s=0.4)
    async with await server.connect() as client:
        await upgraded(client)
        await client.send(text("stay"))
        await client.send(text("more"))
        assert server.server._gateway.running() == 1
        server.server.request_stop()
        await server.server.finished()
    assert Socket.cancelled == 1


# WebSocket


def handshake(path: str) -> bytes:
    return get(
        path, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )  # fmt: skip


async def opened(client: Http2Client, path: bytes = b"/ws", *more: tuple[bytes, bytes]) -> int:
    """An extended CONNECT that was agreed to."""
    stream = client.number()
    fields = [(name, path if name == b":path" else value) for name, value in WEBSOCKET]
    await client.send(headers(stream, [*fields, *more], is_end=False))
    await client.until(lambda: stream in client.peer.heads)
    return stream


@in_loop
async def test_socket_over_http_2() -> None:
    async with serving(application()) as server, speaking(server) as client:
        one, two = await opened(client), await opened(client)
        for stream in (one, two):
            assert client.status(stream) == 200
            assert not {b"sec-websocket-accept", b"upgrade", b"connection"} & set(client.peer.heads[stream][0])
            await client.send(data(stream, text(f"hello {stream}")))
        for stream in (one, two):
            said = f"hello {stream}".encode()
            await client.until(lambda stream=stream, said=said: client.body(stream) == b"\x81%c" % len(said) + said)
        await client.send(data(one, text("bye")))
        await client.until(lambda: b"asked to" in client.body(one))
        await client.send(data(one, closing(4000), is_end=True), rst(two))
        await client.until(lambda: one in client.peer.ended)
        await until(lambda: len(Socket.closed) == 2)
        await until(lambda: server.connections()[0].streams == {})
        assert server.server._gateway.running() == 0
    assert sorted(Socket.closed, key=str) == [(4000, None), (None, None)]


@in_loop
async def test_large_messages_over_http_2_wait_for_windows() -> None:
    async with serving(application()) as server, speaking(server) as client:
        stream = await opened(client)
        message = "x" * 16_000
        for _ in range(8):
            await client.send(data(stream, text(message)))
        await client.settled()
        # As much as the client's window lets through; the rest waits, and nothing is lost when it opens.
        await client.send(update(stream, 1 << 20), update(0, 1 << 20))
        await client.until(lambda: len(client.body(stream)) == 8 * (16_000 + 4))


@in_loop
async def test_refused_over_http_2() -> None:
    class Refused(Socket):
        def prepare(self) -> None:
            self.set_status(403)
            self.finish("not you")

    async with serving(application(("/refused", Refused))) as server, speaking(server) as client:
        stream = await opened(client, b"/refused")
        await client.answered(stream)
        assert (client.status(stream), client.body(stream)) == (403, b"not you")
        stream = await opened(client, b"/none")
        await client.answered(stream)
        assert client.status(stream) == 404


@in_loop
async def test_request_that_its_client_resets() -> None:
    async with serving(application()) as server, speaking(server) as client:
        stream = await client.get(b"/wait")
        await until(lambda: Waiting.begun == 1)
        await client.send(rst(stream))
        await until(lambda: Waiting.ended == ["told"])
        await until(lambda: server.connections()[0].streams == {})
        assert server.server._gateway.running() == 0


@in_loop
async def test_handler_that_outlives_its_client_occupies_its_stream() -> None:
    Waiting.is_deaf = True
    async with serving(application()) as server, speaking(server) as client:
        stream = await client.get(b"/wait")
        await until(lambda: Waiting.begun == 1)
        await client.send(rst(stream))
        await until(lambda: Waiting.left == 1)
        await client.settled()
        assert len(server.connections()[0].streams) == 1
        assert server.server._gateway.running() == 1


@in_loop
async def test_connection_that_breaks_within_many_uploads() -> None:
    """Nobody but the exchange may hold a call whose body is incomplete, and it is told of the end all the same."""
    async with serving(application()) as server:
        for _ in range(3):
            async with speaking(server) as client:
                for _ in range(20):
                    number = client.number()
                    fields = [(b":method", b"POST"), *((n, v) for n, v in request(b"/") if n != b":method")]
                    await client.send(headers(number, fields, is_end=False), data(number, b"part"))
                await client.settled()
                assert server.server._gateway.running() == 20
                client.client.reset()
            await server.settled()
            assert server.server._gateway.running() == 0


@in_loop
async def test_half_closed_client_gets_its_answer() -> None:
    class Slow(web.RequestHandler):
        async def get(self) -> None:
            await asyncio.sleep(0.05)
            self.write("slow")

    async with serving(application(("/slow", Slow))) as server, await server.connect() as client:
        await client.send(get("/slow"))
        client.finish_writing()
        assert (await client.read()).body == b"slow"


@in_loop
async def test_cookies_of_http_2_are_one_field() -> None:
    class Cookies(web.RequestHandler):
        def get(self) -> None:
            self.write({name: morsel.value for name, morsel in self.request.cookies.items()})

    async with serving(application(("/cookies", Cookies))) as server, speaking(server) as client:
        stream = await client.get(b"/cookies", (b"cookie", b"a=1"), (b"cookie", b"b=2"))
        await client.answered(stream)
        assert client.body(stream) == b'{"a": "1", "b": "2"}'


# the stream itself


class Raw(Socket):
    """Takes the stream of a handshake for a protocol of its own."""

    script: Callable[[Any], Awaitable[None]]

    async def get(self) -> None:
        self.set_status(101)
        self.set_header("Upgrade", "websocket")
        self.set_header("Connection", "Upgrade")
        self.finish()
        await Raw.script(self.detach())


@contextlib.asynccontextmanager
async def raw(script: Callable[[Any], Awaitable[None]]) -> Any:
    """A client whose bytes ``script`` reads and answers."""
    Raw.script = staticmethod(script)  # type: ignore[assignment]
    async with serving(application(("/raw", Raw))) as server, await server.connect() as client:
        await client.send(handshake("/raw"))
        assert (await client.read_head()).status == 101
        yield client


@in_loop
async def test_stream_reads_as_tornados_own() -> None:
    async def script(stream: Any) -> None:
        assert not stream.reading() and not stream.closed() and not stream.writing()
        assert stream.socket.getpeername()[0] == "127.0.0.1"
        assert await stream.read_until(b"\r\n") == b"a line\r\n"
        assert await stream.read_until_regex(rb"[0-9]+;") == b"x123;"
        buffer = bytearray(4)
        assert await stream.read_into(buffer) == 4 and buffer == b"into"
        assert await stream.read_bytes(100, partial=True) == b"partial"
        pending = stream.read_bytes(3)
        with pytest.raises(AssertionError):
            await stream.read_bytes(1)
        await stream.write(memoryview(b"go on"))
        assert await pending == b"abc"
        with pytest.raises(gen.TimeoutError):
            await gen.with_timeout(stream.io_loop.time() + 0.01, stream.read_until(b"!"))
        stream.close()

    async with raw(script) as client:
        await client.send(b"a line\r\nx123;intopartial")
        assert await client.read_exactly(5) == b"go on"
        await client.send(b"ab")
        await client.send(b"c")
        await client.ended()


@in_loop
async def test_stream_at_its_end() -> None:
    closed = asyncio.Event()
    said: list[Any] = []

    async def script(stream: Any) -> None:
        stream.set_close_callback(closed.set)
        said.append(await stream.read_until_close())
        with pytest.raises(Exception) as caught:
            await stream.read_bytes(1)
        said.append(type(caught.value).__name__)
        with pytest.raises(Exception) as caught:
            stream.write(b"x")
        said.append(type(caught.value).__name__)

    async with raw(script) as client:
        await client.send(b"all ")
        await client.send(b"of it")
        client.finish_writing()
        await closed.wait()
        await until(lambda: len(said) == 3)
    assert said == [b"all of it", "StreamClosedError", "StreamClosedError"]


@in_loop
async def test_stream_bounds_what_it_looks_through() -> None:
    said: list[str] = []

    async def script(stream: Any) -> None:
        try:
            await stream.read_until(b"\n", max_bytes=100)
        except Exception as error:
            said.append(f"{type(error).__name__} {type(stream.error).__name__}")

    async with raw(script) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(b"x" * 200)
            await client.ended()
    assert said == ["StreamClosedError UnsatisfiableReadError"]


@in_loop
async def test_stream_takes_in_no_more_than_it_is_asked_for() -> None:
    go_on = asyncio.Event()
    read: list[int] = []

    async def script(stream: Any) -> None:
        await go_on.wait()
        read.append(len(await stream.read_bytes(3_000_000)))
        stream.close()

    async with raw(script) as client:
        sent = 0
        for _ in range(200):
            sent += client.send_what_fits(b"x" * 100_000)
            await asyncio.sleep(0.001)
        assert sent < 20_000_000
        go_on.set()
        while sent < 3_000_000:
            sent += client.send_what_fits(b"x" * 100_000)
            await asyncio.sleep(0)
        await until(lambda: bool(read))
    assert read == [3_000_000]


@in_loop
async def test_write_waits_for_a_client_that_does_not_read() -> None:
    said: list[str] = []

    async def script(stream: Any) -> None:
        for _ in range(1000):
            future = stream.write(b"x" * 100_000)
            if not future.done():
                said.append("waits")
                break
        try:
            await future
        except Exception as error:
            said.append(type(error).__name__)

    async with raw(script) as client:
        await until(lambda: said == ["waits"])
        client.reset()
        await until(lambda: len(said) == 2)
    assert said == ["waits", "StreamClosedError"]
