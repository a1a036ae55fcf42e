"""Who cancels is believed at once; what he has set going counts until it has ended (threats G-039, G-040, G-050)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.support.http2 import GOAWAY, RST_STREAM, data, headers, rst, update
from tests.support.inprocess import answer_with, in_loop, read_body, serving, until
from tests.support.multiplexed import request, speaking
from torana.wire.http2.limits import Limits

REFUSED_STREAM = 7
ENHANCE_YOUR_CALM = 11


class Counted:
    """An application that counts its calls and waits to be let go, or for its client to leave."""

    def __init__(self, is_patient: bool = False) -> None:
        self.calls = self.running = self.most = self.told = 0
        self.go = asyncio.Event()
        self._is_patient = is_patient

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            while not self._is_patient:
                if (await receive())["type"] == "http.disconnect":
                    self.told += 1
                    break
            await self.go.wait()
            await answer_with(send)
        finally:
            self.running -= 1


@in_loop
async def test_a_cancel_is_told_in_the_turn_in_which_it_is_read() -> None:
    app = Counted()
    async with serving(app) as server, speaking(server) as client:
        stream = await client.get()
        await until(lambda: app.running == 1)
        connection = server.connections()[0]
        exchange = connection.streams[stream]
        inner = exchange.request, exchange.response
        told_at: list[tuple[bool, bool]] = []
        received = connection.received

        def spy(raw: bytes) -> None:
            received(raw)
            told_at.append((inner[0].is_broken, inner[1].is_over()))

        try:
            connection.received = spy
        except AttributeError:
            # Compiled: there is nothing to put a spy on.
            connection = None
        await client.send(rst(stream))
        await until(lambda: app.told == 1)
        assert connection is None or told_at == [(True, True)]
        app.go.set()


@pytest.mark.threat(
    "G-039",
    sent="a request, and its RST_STREAM in the same read",
    verdict="the application is not called",
)
@in_loop
async def test_no_application_is_called_for_a_stream_that_the_same_read_resets() -> None:
    app = Counted()
    app.go.set()
    async with serving(app) as server, speaking(server) as client:
        pieces = []
        for _ in range(50):
            number = client.number()
            pieces += [headers(number), rst(number)]
        await client.send(*pieces)
        await client.settled()
        assert app.calls == 0
        assert server.server.site is not None
        assert (server.server.site.running, server.server.site.served) == (0, 0)
        stream = await client.get()
        await until(lambda: app.calls == 1)
        await client.send(rst(stream))


@in_loop
async def test_rapid_reset_never_runs_more_than_the_limit_and_is_told_to_calm_down() -> None:
    # G-039
    app = Counted(is_patient=True)
    async with serving(app, serve={"http2": Limits(streams=10, resets=100)}) as server, speaking(server) as client:
        connection = server.connections()[0]
        try:
            while not connection.wire.is_closing:
                number = client.number()
                await client.send(headers(number))
                while connection.wire.last_id < number and not connection.wire.is_closing:
                    await asyncio.sleep(0)
                await client.send(rst(number))
        except ConnectionError:
            pass
        await client.until(lambda: client.count(GOAWAY) > 0)
        assert client.peer.goaways[-1][1] == ENHANCE_YOUR_CALM
        assert 0 < app.most <= 10
        assert set(client.peer.resets.values()) == {REFUSED_STREAM}
        app.go.set()
        await until(lambda: app.running == 0)


@pytest.mark.parametrize(
    "primitive",
    [
        lambda n: b"\0\0\4\x08\0" + n.to_bytes(4, "big") + bytes(4),
        lambda n: update(n, 0x7FFFFFFF),
        lambda n: b"\0\0\4\x02\0" + n.to_bytes(4, "big") + bytes(4),
        lambda n: b"\0\0\5\x02\0" + n.to_bytes(4, "big") + n.to_bytes(4, "big") + b"\xff",
        lambda n: data(n, b"x"),
        lambda n: headers(n),
    ],
    ids=["empty update", "overflow", "short priority", "self-dependency", "data after end", "headers after end"],
)
@in_loop
async def test_made_you_reset_never_runs_more_than_the_limit(primitive: Any) -> None:
    # G-040
    app = Counted(is_patient=True)
    async with serving(app, serve={"http2": Limits(streams=10, resets=100)}) as server, speaking(server) as client:
        connection = server.connections()[0]
        try:
            while not connection.wire.is_closing:
                number = client.number()
                await client.send(headers(number))
                while connection.wire.last_id < number and not connection.wire.is_closing:
                    await asyncio.sleep(0)
                await client.send(primitive(number))
        except ConnectionError:
            pass
        await client.until(lambda: client.count(GOAWAY) > 0)
        assert 0 < app.most <= 10
        app.go.set()
        await until(lambda: app.running == 0)


@pytest.mark.threat(
    "G-039",
    sent="WSGI: requests that are reset while a thread answers them",
    verdict="each keeps its place until its thread comes back",
)
@in_loop
async def test_a_thread_keeps_its_slot_until_it_comes_back() -> None:
    # G-040, WSGI
    go = threading.Event()
    running = most = 0
    lock = threading.Lock()

    def app(environ: Any, start_response: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        go.wait(20)
        with lock:
            running -= 1
        start_response("200 OK", [])
        return [b"ok"]

    options = {"serve": {"http2": Limits(streams=3)}, "gateway": {"threads": 8}}
    async with serving(app, "wsgi", **options) as server, speaking(server) as client:
        try:
            for _ in range(20):
                number = await client.get()
                await client.settled()
                await client.send(rst(number))
            await client.settled()
            assert most <= 3
            assert list(client.peer.resets.values()) == [REFUSED_STREAM] * 17
        finally:
            go.set()
        await until(lambda: running == 0)
        connection = server.connections()[0]
        await until(lambda: not connection.streams)
        stream = await client.get()
        await client.answered(stream)
        assert client.body(stream) == b"ok"


@in_loop
async def test_a_lost_connection_is_told_to_all_its_streams() -> None:
    app = Counted()
    app.go.set()
    async with serving(app) as server:
        async with speaking(server) as client:
            for _ in range(7):
                await client.get()
            await until(lambda: app.running == 7)
        await until(lambda: app.told == 7)
        await server.settled(0)
        assert server.server.site is not None
        assert server.server.site.running == 0


@in_loop
async def test_sending_on_a_cancelled_stream_raises() -> None:
    raised: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()
        await receive()
        try:
            await send({"type": "http.response.body", "body": b"x"})
        except OSError as error:
            raised.append(error)
            raise

    async with serving(app) as server, speaking(server) as client:
        stream = await client.get()
        await client.settled()
        await client.send(rst(stream))
        await until(lambda: len(raised) == 1)
        assert client.count(RST_STREAM) == 0


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_a_writer_that_waits_for_a_cancelled_stream_is_woken(interface: str) -> None:
    ended: list[str] = []

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": bytes(50_000), "more_body": True})
        except OSError:
            ended.append("asgi")
            raise

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        try:
            while True:
                yield bytes(50_000)
        finally:
            ended.append("wsgi")

    async with serving(asgi if interface == "asgi3" else wsgi, interface) as server, speaking(server) as client:
        stream = await client.get()
        await client.until(lambda: len(client.body(stream)) == 65_535)
        await client.send(rst(stream))
        await until(lambda: len(ended) == 1)
    assert interface.startswith(ended[0])


@pytest.mark.threat(
    "G-050",
    sent="uploads that are cancelled in the middle",
    verdict="their windows are given back",
)
@in_loop
async def test_windows_survive_uploads_that_are_cancelled_half_way() -> None:
    # G-050
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/never":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        body, _ = await read_body(receive)
        await answer_with(send, b"%d" % len(body))

    async with serving(app, serve={"http2": Limits(resets=10_000)}) as server, speaking(server) as client:
        for i in range(100):
            number = client.number()
            path = b"/never" if i % 2 else b"/read"
            await client.send(headers(number, request(path, method=b"POST"), is_end=False))
            for _ in range(10):
                await client.send(data(number, bytes(10_000), padding=200))
            await client.send(rst(number), data(number, bytes(100)))
        await client.settled()
        stream = client.number()
        await client.send(headers(stream, request(b"/", method=b"POST"), is_end=False))
        for i in range(16):
            await client.send(data(stream, bytes(16_000), is_end=i == 15))
        await client.answered(stream)
        assert client.body(stream) == b"256000"
        incoming = server.connections()[0].wire.incoming
        assert incoming.taken == 0
        assert incoming.left + incoming.unannounced == incoming.size
