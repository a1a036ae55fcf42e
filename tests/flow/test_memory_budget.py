"""All clients of a worker together never hold more than ``limit_memory``, whatever they do, and others are served.

Real sockets and small budgets (threats G-043, G-049, G-060, G-066, G-069; invariant I3). After each test everything
was given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.http2 import HEADERS, PREFACE, WINDOW_UPDATE, block, data, headers, settings, update
from tests.support.http2 import frame as http2_frame
from tests.support.inprocess import Client, Serving, answer_with, in_loop, logged, read_body, serving, until
from tests.support.multiplexed import Http2Client, request, speaking
from tests.support.talking import Call, frame, handshake, read_close, talking, upgraded
from tests.support.websocket_raw import BINARY

MIB = 1024 * 1024
KIB = 1024
SMALL = b"GET /small HTTP/1.1\r\nHost: t\r\n\r\n"
LARGE = b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n"


class Account:
    """The memory of a server, and what its connections really hold."""

    def __init__(self, server: Serving) -> None:
        self.server = server
        assert server.server.site is not None
        self.site = server.server.site
        self.memory = self.site.memory
        self.highest = 0

    def real(self) -> int:
        """Asked of the holders themselves."""
        return sum(connection.holding() for connection in self.server.connections())

    def look(self) -> int:
        real = self.real()
        self.highest = max(self.highest, real, self.memory.held)
        return real

    @property
    def refused(self) -> int:
        return sum(count for reason, count in self.site.refusals.counts.items() if "memory" in reason)

    async def is_given_back(self) -> None:
        """The invariant: nobody is there, and nothing is counted."""
        await self.server.settled(0)
        memory = self.memory
        await until(lambda: self.site.running == 0)
        assert (memory.held, memory.spooled, memory.sockets) == (0, 0, 0)
        assert memory.favoured is None and not memory.is_tight
        memory.look(1e9)
        assert not memory.has_starved()


@contextlib.asynccontextmanager
async def budget(app: Any, interface: str = "asgi3", *, limit: int, **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A server with so much memory, whose account is empty when all clients are gone."""
    bounds = {"memory_bytes": limit} | options.pop("bounds", {})
    async with serving(app, interface, bounds=bounds, **options) as server:
        account = Account(server)
        yield server, account
        await account.is_given_back()


async def is_served(server: Serving, client: Client | None = None) -> None:
    """A healthy client gets its answer."""
    if client is not None:
        assert (await client.ask(SMALL)).body == b"ok"
        return
    async with await server.connect() as fresh:
        assert (await fresh.ask(SMALL)).body == b"ok"


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Large answers and small ones; what is uploaded is counted."""
    if scope["path"] == "/large":
        await answer_with(send, bytes(MIB))
    elif scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(60):
            await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
        await send({"type": "http.response.body"})
    elif scope["method"] == "POST":
        body, is_complete = await read_body(receive)
        if is_complete:
            await answer_with(send, b"%d" % len(body))
    else:
        await answer_with(send)


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    """The same."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [])
    if path == "/large":
        return [bytes(MIB)]
    if path == "/stream":
        return (bytes(50_000) for _ in range(60))
    if environ["REQUEST_METHOD"] == "POST":
        return [b"%d" % len(environ["wsgi.input"].read())]
    return [b"ok"]


APPS = {"asgi3": asgi, "wsgi": wsgi}


# Answers that nobody takes


@pytest.mark.parametrize("interface", APPS)
@in_loop
async def test_slow_readers_of_large_answers(interface: str) -> None:
    """G-066: they are closed when the budget is spent, the log says why once, a healthy client never notices."""
    limit = 8 * MIB
    with logged() as log:
        async with budget(APPS[interface], interface, limit=limit) as (server, account):
            async with contextlib.AsyncExitStack() as stack:
                healthy = await stack.enter_async_context(await server.connect())
                for _ in range(40):
                    client = await stack.enter_async_context(await server.connect(receive_buffer_bytes=4096))
                    await client.send(LARGE)
                    await is_served(server, healthy)
                    assert account.look() <= limit
                await until(lambda: account.refused > 0)
                assert account.highest > limit // 2, "it was worth it"
                assert account.memory.held <= limit and account.memory.shed == account.refused
                # Who reads gets all of it meanwhile.
                assert len((await healthy.ask(LARGE)).body) == MIB
        said = [line for line in log.lines("torana.refused") if "limit_memory" in line]
        assert said and len(said) < account.refused
    assert not log.errors()


@pytest.mark.parametrize("interface", APPS)
@in_loop
async def test_slow_readers_of_streams_are_bounded_by_back_pressure_alone(interface: str) -> None:
    """Each waits with little; as long as that fits, nobody is closed."""
    gateway = {"threads": 12} if interface == "wsgi" else {}
    async with budget(APPS[interface], interface, limit=16 * MIB, gateway=gateway) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for _ in range(6):
                client = await stack.enter_async_context(await server.connect(receive_buffer_bytes=4096))
                await client.send(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n")
                clients.append(client)
            await until(lambda: account.memory.held >= 6 * 48 * KIB)
            await is_served(server)
            assert account.look() <= 6 * 160 * KIB
            for client in clients:
                answer = await client.read()
                assert (len(answer.body), answer.is_complete) == (60 * 50_000, True)
            await until(lambda: account.memory.held == 0)
        assert account.refused == 0


@in_loop
async def test_a_thread_that_waits_for_a_slow_reader_is_freed_with_it() -> None:
    """The connection is lent when it has to go: the thread finds out, and serves others."""
    limit = 4 * MIB
    ended = []

    def app(environ: Any, start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/stream":
            return wsgi(environ, start_response)
        start_response("200 OK", [])

        def pieces() -> Iterable[bytes]:
            try:
                while True:
                    yield bytes(MIB)
            finally:
                ended.append(1)

        return pieces()

    async with budget(app, "wsgi", limit=limit, gateway={"threads": 6}) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                client = await stack.enter_async_context(await server.connect(receive_buffer_bytes=4096))
                await client.send(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n")
            await until(lambda: account.refused > 0 and len(ended) > 0)
            await is_served(server)
            await until(lambda: len(ended) == account.refused)
            assert account.memory.held <= limit
        await until(lambda: len(ended) == 5)


@in_loop
async def test_files_on_their_way_are_no_memory(tmp_path: Path | None = None) -> None:
    """The kernel sends them from where they lie."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        path.write_bytes(bytes(10 * MIB))

        def app(environ: Any, start_response: Any) -> Any:
            if environ["PATH_INFO"] != "/file":
                return wsgi(environ, start_response)
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](path.open("rb"))

        async with budget(app, "wsgi", limit=MIB) as (server, account):
            async with contextlib.AsyncExitStack() as stack:
                clients = []
                for _ in range(30):
                    client = await stack.enter_async_context(await server.connect(receive_buffer_bytes=4096))
                    await client.send(b"GET /file HTTP/1.1\r\nHost: t\r\n\r\n")
                    clients.append(client)
                await until(lambda: sum(c.transport.waiting > 0 for c in server.connections()) == 30)
                await is_served(server)
                assert account.look() == 0 == account.memory.held
                assert len((await clients[0].read()).body) == 10 * MIB
            assert account.refused == 0


@pytest.mark.parametrize("interface", APPS)
@pytest.mark.parametrize("window", [0, 1 << 30], ids=["closed window", "open window"])
@in_loop
async def test_slow_readers_over_http2(interface: str, window: int) -> None:
    """G-049: by flow control or by not reading at all; what waits for them counts all the same."""
    limit = 10 * MIB
    async with budget(APPS[interface], interface, limit=limit) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            healthy = await stack.enter_async_context(speaking(server, (4, 1 << 20)))
            await healthy.send(update(0, 1 << 30))
            for _ in range(10):
                client = await stack.enter_async_context(await server.connect(receive_buffer_bytes=4096))
                await client.send(PREFACE + settings((4, window)) + (update(0, 1 << 30) if window else b""))
                for stream in (1, 3, 5):
                    await client.send(headers(stream, request(b"/large")))
                number = await healthy.get(b"/small")
                await healthy.answered(number)
                assert healthy.body(number) == b"ok"
                await is_served(server)
                assert account.look() <= limit
            await until(lambda: account.refused > 0)
            number = await healthy.get(b"/large")
            await healthy.answered(number)
            assert len(healthy.body(number)) == MIB
            assert account.highest > limit // 2


@in_loop
async def test_slow_readers_of_messages() -> None:
    """G-060: a WebSocket whose peer takes nothing."""
    limit = 4 * MIB

    async def app(call: Call) -> None:
        call.accept()
        if (await call.receive()) == "large":
            # Whoever sends without waiting: one message may be large.
            with contextlib.suppress(OSError):
                await call.send(bytes(MIB))
        while type(message := await call.receive()) is not tuple:
            await call.send(message)

    async with talking(app, bounds={"memory_bytes": limit}) as (server, talk):
        account = Account(server)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                client = await stack.enter_async_context(await server.connect(receive_buffer_bytes=4096))
                await upgraded(client, behind=frame(1, b"large"))
                account.look()
                assert account.memory.held <= limit
            await until(lambda: account.refused > 0)
            healthy = await stack.enter_async_context(await server.connect())
            await upgraded(healthy)
            await healthy.send(frame(1, b"small") + frame(BINARY, b"x" * 1000))
            assert (await healthy.read_exactly(1004))[4:] == b"x" * 1000
        await account.is_given_back()
        await until(lambda: talk.active == 0)


# Bodies


@in_loop
async def test_stalled_uploads_to_wsgi_go_to_disk() -> None:
    """G-069: nobody is refused; what does not fit into memory is put aside, and arrives whole."""
    limit = 2 * MIB
    size = 200 * KIB
    head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size
    async with budget(wsgi, "wsgi", limit=limit) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for _ in range(40):
                client = await stack.enter_async_context(await server.connect())
                await client.send(head + bytes(size - 1))
                clients.append(client)
                await is_served(server)
                assert account.look() <= limit
            await until(lambda: sum(c.request is not None and c.request.received == size - 1
                                    for c in server.connections()) == 40)  # fmt: skip
            assert account.look() <= limit and account.memory.held >= limit // 2
            on_disk = account.memory.spooled
            assert on_disk >= 20 * (size - 64 * KIB)
            for client in clients:
                answer = await client.ask(b"x", "POST")
                assert (answer.status, answer.body) == (200, b"%d" % size)
            await until(lambda: account.memory.held == account.memory.spooled == 0)
        assert account.refused == 0


@in_loop
async def test_bodies_of_calls_that_wait_for_a_thread_count() -> None:
    go = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            go.wait(20)
        return wsgi(environ, start_response)

    size = 100 * KIB
    post = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + bytes(size)
    async with budget(app, "wsgi", limit=64 * MIB, gateway={"threads": 1}) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            holding = await stack.enter_async_context(await server.connect())
            await holding.send(b"GET /hold HTTP/1.1\r\nHost: t\r\n\r\n")
            clients = []
            for _ in range(10):
                client = await stack.enter_async_context(await server.connect())
                await client.send(post)
                clients.append(client)
            await until(lambda: account.memory.held >= 10 * (size - 2 * 16 * KIB))
            assert account.memory.spooled == 0
            go.set()
            for client in clients:
                assert (await client.read("POST")).body == b"%d" % size
            assert (await holding.read()).body == b"ok"


@in_loop
async def test_stalled_uploads_to_an_application_that_does_not_read() -> None:
    limit = 2 * MIB
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await go.wait()
        await asgi(scope, receive, send)

    size = 300 * KIB
    head = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size
    async with budget(app, limit=limit) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            clients, sending = [], []
            for _ in range(40):
                client = await stack.enter_async_context(await server.connect())
                sending.append(asyncio.ensure_future(client.send(head + bytes(size))))
                clients.append(client)
                await is_served(server)
                assert account.look() <= limit
            go.set()
            answers = await asyncio.gather(*(client.read("POST") for client in clients), return_exceptions=True)
            bodies = [answer.body for answer in answers if not isinstance(answer, BaseException)]
            assert set(bodies) == {b"%d" % size} and len(bodies) == 40 - account.refused > 10
            await asyncio.gather(*sending, return_exceptions=True)


@in_loop
async def test_uploads_over_http2_wait_while_there_is_no_room() -> None:
    """Those that hold much are not read, and go on when others are done; a new connection gets a small window."""
    limit = 4 * MIB
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await go.wait()
        await asgi(scope, receive, send)

    size = 700 * KIB

    def upload(stream: int) -> bytes:
        pieces = [data(stream, bytes(16 * KIB)) for _ in range(size // 3 // (16 * KIB))]
        return (
            headers(stream, request(method=b"POST"), is_end=False) + b"".join(pieces) + data(stream, b"", is_end=True)
        )

    async with budget(app, limit=limit) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            clients, sending = [], []
            for _ in range(12):
                if account.memory.is_tight:
                    break
                client = await stack.enter_async_context(speaking(server))
                # Within all windows: flow control alone would let them all in.
                sending.append(asyncio.ensure_future(client.send(upload(1), upload(3), upload(5))))
                clients.append(client)
                await asyncio.sleep(0.01)
                await is_served(server)
                assert account.look() <= limit
            assert 3 <= len(clients) < 12 and account.memory.is_tight
            # The last of them may have come when it was tight already.
            before = {each for each in server.connections() if hasattr(each, "streams")}
            late = await stack.enter_async_context(speaking(server))
            [narrow] = {each for each in server.connections() if hasattr(each, "streams")} - before
            assert narrow.wire.is_narrow()
            assert narrow.wire.incoming.size == 65_535
            await late.send(headers(1, request(method=b"POST"), is_end=False), data(1, b"1234"))
            go.set()
            await asyncio.gather(*sending)
            for client in clients:
                await client.answered(1, 3, 5)
                assert {client.body(stream) for stream in (1, 3, 5)} == {b"%d" % (size // 3 // (16 * KIB) * 16 * KIB)}
            # With room again its window becomes what it should be.
            await late.until(lambda: late.count(WINDOW_UPDATE) > 0)
            assert narrow.wire.incoming.size == MIB
            await late.send(data(1, b"5", is_end=True))
            await late.answered(1)
            assert late.body(1) == b"5" and account.refused == 0


@in_loop
async def test_messages_that_never_end_make_room_when_it_is_spent() -> None:
    """G-060: two may not hold what all others need; they are told to come again."""
    limit = 2 * MIB
    async with talking(bounds={"memory_bytes": limit}) as (server, _):
        account = Account(server)
        async with contextlib.AsyncExitStack() as stack:
            message = frame(BINARY, bytes(1_900_000))
            clients, sending = [], []
            for _ in range(4):
                client = await stack.enter_async_context(await server.connect())
                await upgraded(client)
                sending.append(asyncio.ensure_future(client.send(message[:-10])))
                clients.append(client)
            await until(lambda: account.refused > 0)
            assert account.memory.held <= limit
            reading = [asyncio.ensure_future(read_close(client)) for client in clients]
            done, _ = await asyncio.wait(reading, return_when=asyncio.FIRST_COMPLETED)
            assert {read.result()[0] for read in done} == {1013}
            for task in reading + sending:
                task.cancel()
            await asyncio.gather(*reading, *sending, return_exceptions=True)
        await account.is_given_back()


# Heads


@pytest.mark.parametrize("is_complete", [True, False], ids=["whole", "cut"])
@in_loop
async def test_large_heads_count(is_complete: bool) -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/small":
            await go.wait()
        await answer_with(send)

    lines = b"".join(b"x-%d: %s\r\n" % (i, b"v" * 10_000) for i in range(5))
    raw = b"GET / HTTP/1.1\r\nHost: t\r\n" + lines + (b"\r\n" if is_complete else b"")
    limit = MIB
    async with budget(app, limit=limit) as (server, account):
        async with contextlib.AsyncExitStack() as stack:
            clients = []
            for _ in range(15):
                client = await stack.enter_async_context(await server.connect())
                await client.send(raw)
                clients.append(client)
            await until(lambda: account.memory.held >= 15 * 34 * KIB)
            assert account.refused == 0
            for _ in range(15):
                client = await stack.enter_async_context(await server.connect())
                await client.send(raw)
                await is_served(server)
                assert account.look() <= limit + 64 * KIB and account.memory.held <= limit
            await until(lambda: account.refused > 0)
            go.set()


@in_loop
async def test_cookies_that_grow_when_joined_count() -> None:
    """G-043: a few bytes on the wire, 60 KiB each in memory."""
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/small":
            await go.wait()
        await answer_with(send)

    async with budget(app, limit=MIB) as (server, account):
        async with speaking(server) as client:
            # The first block puts a cookie into the table, all that follow name it by its number.
            size = 127 + 0x1D * 128 + 0x3D
            first = block(request()) + b"\x40\x06cookie\x7f\xbd\x1d" + b"c" * size
            await client.send(http2_frame(HEADERS, 5, 1, first))
            with contextlib.suppress(EOFError):
                for stream in range(3, 80, 2):
                    await client.send(http2_frame(HEADERS, 5, stream, block(request()) + b"\xbe" * 14))
                    assert account.look() <= MIB
            await until(lambda: account.refused > 0)
            await client.ended()
            await is_served(server)
        go.set()


# The disk


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
@in_loop
async def test_spools_have_a_bound_on_disk(version: str) -> None:
    """Who does not fit is told to come again; the others are not touched, and there is room when they are done."""
    size = 100_000
    bounds = {"spool_disk_bytes": 250_000, "body_bytes": 250_000}
    with logged() as log:
        options = {"bounds": bounds, "gateway": {"spool_bytes": 1000}}
        async with budget(wsgi, "wsgi", limit=64 * MIB, **options) as (server, account):
            async with contextlib.AsyncExitStack() as stack:
                ask = _http1 if version == "HTTP/1.1" else _http2
                clients = [await ask(stack, server, size) for _ in range(2)]
                await until(lambda: account.memory.spooled == 2 * (size - 1))
                third = await ask(stack, server, size)
                status, retry_after, _ = await third(b"")
                assert (status, retry_after) == (503, b"1")
                for client in clients:
                    assert await client(b"x") == (200, None, b"%d" % size)
                await until(lambda: account.memory.spooled == 0)
                assert await (await ask(stack, server, size))(b"x") == (200, None, b"%d" % size)
        [line] = log.lines("torana.refused")
        assert "limit_spool_disk" in line
        assert not log.errors()


Ask = Callable[[bytes], Any]


async def _http1(stack: contextlib.AsyncExitStack, server: Serving, size: int) -> Ask:
    client = await stack.enter_async_context(await server.connect())
    await client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + bytes(size - 1))

    async def finish(rest: bytes) -> tuple[int, bytes | None, bytes]:
        await client.send(rest)
        answer = await client.read("POST")
        return answer.status, answer.get("retry-after"), b"" if answer.status != 200 else answer.body

    return finish


async def _http2(stack: contextlib.AsyncExitStack, server: Serving, size: int) -> Ask:
    client: Http2Client = await stack.enter_async_context(speaking(server))
    pieces = [data(1, bytes(min(16_384, size - 1 - at))) for at in range(0, size - 1, 16_384)]
    await client.send(headers(1, request(method=b"POST"), is_end=False), *pieces)

    async def finish(rest: bytes) -> tuple[int, bytes | None, bytes]:
        if rest:
            await client.send(data(1, rest, is_end=True))
        await client.answered(1)
        status = client.status(1)
        return status, client.peer.heads[1][0].get(b"retry-after"), b"" if status != 200 else client.body(1)

    return finish


@pytest.mark.threat("G-098", sent="bodies that go to a full disk", verdict="507 for each, small ones pass")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@in_loop
async def test_a_full_disk_fails_one_request_and_not_the_worker() -> None:
    """The error of a real write; each request gets its 507, the log one line a second, and small bodies pass."""
    from torana.gateway.wsgi import body

    def full(*_: Any, **__: Any) -> Any:
        return open("/dev/full", "r+b", buffering=0)

    post = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n"
    original = body.tempfile.TemporaryFile
    with logged() as log:
        async with budget(wsgi, "wsgi", limit=64 * MIB, gateway={"spool_bytes": 1000}) as (server, account):
            body.tempfile.TemporaryFile = full  # type: ignore[assignment]
            try:
                for _ in range(20):
                    async with await server.connect() as client:
                        await client.send(post % 5000 + bytes(2000))
                        answer = await client.read("POST")
                        assert answer.status == 507
                    await is_served(server)
                async with await server.connect() as client:
                    assert (await client.ask(post % 900 + bytes(900), "POST")).body == b"900"
            finally:
                body.tempfile.TemporaryFile = original  # type: ignore[assignment]
            async with await server.connect() as client:
                assert (await client.ask(post % 5000 + bytes(5000), "POST")).body == b"5000"
            assert sum(account.site.refusals.counts.values()) == 20
        said = log.lines("torana.refused")
        assert 1 <= len(said) <= 3 and "ENOSPC" in said[0]
    assert not log.errors()


@in_loop
async def test_a_conversation_after_the_handshake_costs_the_budget_nothing() -> None:
    async with talking(bounds={"memory_bytes": MIB}) as (server, _):
        account = Account(server)
        async with await server.connect() as client:
            await client.send(handshake())
            await client.read_head()
            assert account.memory.held == 0 and account.memory.sockets == 1
        await account.is_given_back()
