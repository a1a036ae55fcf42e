"""What each part of an HTTP/2 connection may take, and what a client that takes longer gets (threat G-049)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Any

import pytest

from tests.support.http2 import ACK, PING, PREFACE, SETTINGS, data, frame, headers, settings, update
from tests.support.inprocess import answer_with, in_loop, logged, read_body, serving, until
from tests.support.multiplexed import request, speaking
from torana.wire.http2.limits import Limits

INITIAL_WINDOW = 4
SETTINGS_TIMEOUT, CANCEL, ENHANCE_YOUR_CALM = 4, 8, 11


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, b"hello")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, _ = await read_body(receive)
    await answer_with(send, body)


@in_loop
async def test_a_slow_body_gets_408_and_its_neighbours_nothing() -> None:
    with logged() as log:
        async with serving(echo, timeouts={"body_idle_s": 0.5}) as server, speaking(server) as client:
            slow, quick = client.number(), client.number()
            await client.send(headers(slow, request(method=b"POST"), is_end=False), data(slow, b"a"))
            await client.send(headers(quick, request(method=b"POST"), is_end=False), data(quick, b"b"))
            await client.send(data(quick, b"c", is_end=True))
            await client.answered(slow, quick)
            assert (client.status(slow), client.status(quick)) == (408, 200)
            assert client.body(quick) == b"bc"
    assert any("timeout_body" in line for line in log.lines())


async def waiting(scope: Any, receive: Any, send: Any) -> None:
    """``/wait`` reads its body when it is told to by ``go``, which stands in the state."""
    if scope["path"] == "/wait":
        await scope["state"]["go"].wait()
    body, is_complete = await read_body(receive)
    await answer_with(send, b"%d" % len(body) if is_complete else b"cut")


@pytest.mark.threat(
    "G-050", sent="20 uploads that the application does not read, and one that it does, on one connection",
    verdict="the one is answered at once; the others when they are read",
)  # fmt: skip
@in_loop
async def test_uploads_that_nobody_reads_hold_up_nobody() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await waiting({**scope, "state": {"go": go}}, receive, send)

    async with serving(app, timeouts={"body_idle_s": 5.0}) as server, speaking(server) as client:
        # Together five times the connection's window.
        unread = [client.number() for _ in range(20)]
        for stream in unread:
            await client.send(headers(stream, request(b"/wait", method=b"POST"), is_end=False))
            await client.send(*[data(stream, bytes(16_384))] * 16)
            await client.settled()
        read = client.number()
        await client.send(headers(read, request(method=b"POST"), is_end=False))
        for _ in range(10):
            await client.send(*[data(read, bytes(16_384))] * 10)
            await client.settled()
        await client.send(data(read, b"", is_end=True))
        await client.answered(read)
        assert client.body(read) == b"%d" % (100 * 16_384)
        assert not client.peer.resets and not client.peer.goaways
        (connection,) = server.connections()
        assert connection.wire.unread() == 20 * 256 * 1024
        go.set()
        await client.send(*(data(stream, b"", is_end=True) for stream in unread))
        await client.answered(*unread)
        assert {client.body(stream) for stream in unread} == {b"%d" % (256 * 1024)}
        assert connection.wire.unread() == 0


@in_loop
async def test_an_application_that_does_not_read_makes_nobody_slow() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await waiting({**scope, "state": {"go": go}}, receive, send)

    limits = Limits(stream_window_bytes=1024 * 1024, connection_window_bytes=65_536)
    async with serving(app, timeouts={"body_idle_s": 0.1}, serve={"http2": limits}) as server:
        async with speaking(server) as client:
            full, starved = client.number(), client.number()
            await client.send(headers(full, request(b"/wait", method=b"POST"), is_end=False))
            for _ in range(32):
                await client.send(data(full, bytes(16_384)))
            # Nothing is left of the connection's window: this one cannot send, however much it wants to.
            await client.send(headers(starved, request(method=b"POST"), is_end=False))
            await client.settled()
            await asyncio.sleep(0.5)
            assert client.peer.heads == {}
            go.set()
            await client.send(data(full, b"", is_end=True), data(starved, b"", is_end=True))
            await client.answered(full, starved)
            assert (client.body(full), client.body(starved)) == (b"%d" % (512 * 1024), b"0")


@pytest.mark.threat(
    "G-049",
    sent="a response that stalls; its window closed, or opened byte by byte",
    verdict="RST_STREAM(CANCEL) in time; the application ends",
)
@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@pytest.mark.parametrize("is_dribbling", [False, True])
@in_loop
async def test_a_stalled_response_is_reset_though_its_window_is_opened_byte_by_byte(
    interface: str, is_dribbling: bool
) -> None:
    # G-049
    ended: list[bool] = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(20):
                await send({"type": "http.response.body", "body": bytes(20_000), "more_body": True})
        finally:
            ended.append(True)

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            for _ in range(20):
                yield bytes(20_000)
        finally:
            ended.append(True)

    app = asgi if interface == "asgi3" else wsgi
    async with serving(app, interface, timeouts={"http2_stalled_s": 0.4, "body_idle_s": 0.2}) as server:
        async with speaking(server, (INITIAL_WINDOW, 100)) as client:
            stream = await client.get()

            async def dribble() -> None:
                while stream not in client.peer.resets:
                    await client.send(update(stream, 1))
                    await asyncio.sleep(0.03)

            task = asyncio.ensure_future(dribble()) if is_dribbling else None
            await client.answered(stream)
            assert client.peer.resets == {stream: CANCEL}
            await until(lambda: ended == [True])
            if task is not None:
                await task
            await client.settled()
        connection = server.connections()
        # The client hears of the reset before the application's thread has come back.
        await until(lambda: not connection or not connection[0].streams)


@pytest.mark.threat(
    "G-043",
    sent="20 answers behind a window of 0, and silence",
    verdict="RST_STREAM(CANCEL) in time",
)
@in_loop
async def test_an_answer_that_is_complete_but_not_sent_is_not_kept_for_ever() -> None:
    async with serving(hello, timeouts={"http2_stalled_s": 0.2, "body_idle_s": 0.2}) as server:
        async with speaking(server, (INITIAL_WINDOW, 0)) as client:
            streams = [await client.get() for _ in range(20)]
            await client.answered(*streams)
            assert client.peer.resets == dict.fromkeys(streams, CANCEL)


@in_loop
async def test_a_client_that_takes_its_time_within_reason_gets_all() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, bytes(30_000))

    async with serving(app, timeouts={"http2_stalled_s": 0.8, "body_idle_s": 0.2}) as server:
        async with speaking(server, (INITIAL_WINDOW, 1000)) as client:
            stream = await client.get()
            for i in range(29):
                await client.until(lambda i=i: len(client.body(stream)) == 1000 * (i + 1))
                await client.send(update(stream, 1000))
                await asyncio.sleep(0.06)
            await client.answered(stream)
            assert len(client.body(stream)) == 30_000


@pytest.mark.threat(
    "G-046",
    sent="SETTINGS of ours, never acknowledged",
    verdict="GOAWAY(SETTINGS_TIMEOUT)",
)
@in_loop
async def test_settings_have_to_be_acknowledged() -> None:
    async with serving(hello, timeouts={"http2_settings_s": 0.2}) as server, await server.connect() as raw:
        from tests.support.http2 import Peer

        peer = Peer()
        await raw.send(PREFACE + settings())
        peer.take(await raw.read_to_end())
        assert peer.goaways == [(0, SETTINGS_TIMEOUT)]


@in_loop
async def test_an_idle_connection_is_told_goodbye() -> None:
    async with serving(hello, timeouts={"http2_idle_s": 0.2, "body_idle_s": 0.2}) as server, speaking(server) as client:
        stream = await client.get()
        await client.answered(stream)
        await client.ended()
        assert [code for _, code in client.peer.goaways] == [0, 0]
        assert client.peer.goaways[-1] == (stream, 0)


@in_loop
async def test_a_silent_client_is_asked_whether_it_lives() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    async with serving(app, timeouts={"http2_ping_s": 0.1, "body_idle_s": 0.1}) as server, speaking(server) as client:
        await client.get()
        for count in range(1, 4):
            await client.until(
                lambda count=count: sum(f.kind == PING and not f.flags & ACK for f in client.peer.frames) == count
            )
            ping = client.peer.frames[-1]
            await client.send(frame(PING, ACK, 0, ping.payload))
        assert client.peer.goaways == []


@in_loop
async def test_a_client_that_is_gone_without_a_word_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from torana.serve.http2 import ending

    monkeypatch.setattr(ending, "_PONG_S", 0.2)
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        told.append((await receive())["type"])

    async with serving(app, timeouts={"http2_ping_s": 0.1, "body_idle_s": 0.1}) as server, speaking(server) as client:
        await client.get()
        await client.ended()
        assert told == ["http.disconnect"]


@pytest.mark.parametrize("piece", ["frame", "block"])
@in_loop
async def test_a_head_that_does_not_end_ends_the_connection(piece: str) -> None:
    # G-041, G-064
    async with serving(hello, timeouts={"head_s": 0.3}) as server, speaking(server) as client:
        whole = headers(1, flags=0)
        await client.send(whole[:20] if piece == "frame" else whole)
        await client.ended()
        assert client.peer.goaways == [(0, ENHANCE_YOUR_CALM)]


@in_loop
async def test_a_client_that_reads_nothing_loses_the_connection() -> None:
    is_running = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        is_running.set()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        with contextlib.suppress(OSError):
            while True:
                await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})

    with logged() as log:
        async with serving(app, timeouts={"write_idle_s": 0.4}) as server:
            async with await server.connect(receive_buffer_bytes=4096) as raw:
                await raw.send(PREFACE + settings((INITIAL_WINDOW, 1 << 30)) + settings(flags=ACK))
                await raw.send(update(0, 1 << 30) + headers(1))
                await is_running.wait()
                await server.settled(0)
    assert any("timeout_write" in line for line in log.lines())


@in_loop
async def test_a_client_that_asks_and_never_reads_is_not_listened_to() -> None:
    # G-047: replies are bounded; then nothing is read any more.
    async with serving(hello) as server, await server.connect(receive_buffer_bytes=4096) as raw:
        await raw.send(PREFACE + settings() + settings(flags=ACK))
        await until(lambda: len(server.connections()) == 1)
        connection = server.connections()[0]
        flood = frame(PING, 0, 0, bytes(8)) * 1000
        with contextlib.suppress(ConnectionError, asyncio.TimeoutError):
            async with asyncio.timeout(3):
                while server.connections():
                    await raw.send(flood)
        assert connection.transport.waiting <= 256 * 1024


@in_loop
async def test_answers_without_content_do_not_pile_up_for_a_client_that_never_reads() -> None:
    # Each is complete as soon as its head is written, and so keeps no stream from being opened.
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, b"", status=204, headers=[(b"x-large", bytes(scope["raw_path"]) * 200)])

    async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as raw:
        await raw.send(PREFACE + settings() + settings(flags=ACK))
        site = server.server.site
        assert site is not None
        number = 1
        quiet = 0
        while quiet < 200:
            if site.served == number // 2:
                batch = b"".join(headers(number + 2 * i, request(b"/%08d" % i)) for i in range(100))
                assert raw.send_what_fits(batch) == len(batch)
                number += 200
            served = site.served
            await asyncio.sleep(0.002)
            quiet = 0 if site.served > served else quiet + 1
        assert not server.connections()[0].transport.is_reading
        # What the kernel's buffers hold, and then not much.
        assert served < 10_000


@in_loop
async def test_timeouts_of_the_first_bytes_hold_for_the_preface() -> None:
    async with serving(hello, timeouts={"first_byte_s": 0.2}) as server, await server.connect() as raw:
        await raw.send(PREFACE[:10])
        await raw.ended()


@in_loop
async def test_a_flood_of_settings_is_calmed() -> None:
    async with serving(hello) as server, speaking(server) as client:
        with contextlib.suppress(ConnectionError):
            await client.send(*[settings() for _ in range(300)])
        await client.ended()
        assert client.peer.goaways[-1][1] == ENHANCE_YOUR_CALM
        assert client.count(SETTINGS, ACK) <= 102


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_an_application_that_takes_too_long_is_answered_for_and_counts_until_it_ends(interface: str) -> None:
    go = threading.Event()

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    def wsgi(environ: Any, start_response: Any) -> Any:
        while not go.is_set():
            with contextlib.suppress(BaseException):
                go.wait(0.01)
        start_response("200 OK", [])
        return []

    app = asgi if interface == "asgi3" else wsgi
    options = {"timeouts": {"request_s": 0.2}, "serve": {"http2": Limits(streams=2)}}
    with logged():
        async with serving(app, interface, gateway={"threads": 4}, **options) as server, speaking(server) as client:
            try:
                first, second = await client.get(), await client.get()
                await client.answered(first, second)
                assert {client.status(first), client.status(second)} == {504}
                connection = server.connections()[0]
                assert len(connection.streams) == 2
            finally:
                go.set()
            await until(lambda: not connection.streams)
            third = await client.get()
            await client.answered(third)
            assert client.peer.resets == {}
