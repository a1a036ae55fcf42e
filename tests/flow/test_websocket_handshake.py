"""From a request to a conversation: what is refused, by whom and how, and that nothing of either is lost between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, Serving, answer_with, in_loop, logged, serving, until
from tests.support.talking import (
    CLOSE,
    TEXT,
    Call,
    Talk,
    closing,
    echo,
    frame,
    handshake,
    make_talking,
    read_close,
    read_frame,
    talking,
    text,
    upgraded,
)
from tests.unit.wire.corpus.websocket_handshakes import GOOD, ORDINARY, ORIGINS, REFUSED, changed

BAD = REFUSED | {
    f"origin, {name}": (handshake(*lines), status) for name, (lines, status) in ORIGINS.items() if status != 101
}


@pytest.mark.parametrize("name", BAD)
@in_loop
async def test_a_bad_handshake_is_refused_before_the_application(name: str) -> None:
    request, status = BAD[name]
    async with talking() as (server, talk), await server.connect() as client:
        answer = await client.ask(request + frame(TEXT, b"GET /canary HTTP/1.1\r\nHost: t\r\n\r\n"))
        assert answer.status == status
        assert b"close" in (answer.get("connection") or b"")
        await client.ended()
        assert not talk.calls and not talk.requests
        await server.settled(0)
        assert server.server.site is not None
        assert (server.server.site.running, server.server.site.memory.sockets) == (0, 0)


@in_loop
async def test_426_says_which_version_and_how() -> None:
    async with talking() as (server, _), await server.connect() as client:
        answer = await client.ask(handshake(version=b"12"))
        assert answer.status == 426
        assert answer.get_all("sec-websocket-version") == [b"13"]
        assert answer.get_all("upgrade") == [b"websocket"]
        assert answer.get_all("connection") == [b"upgrade, close"]


@in_loop
async def test_an_origin_that_is_refused_names_the_setting() -> None:
    with logged() as log:
        async with talking() as (server, _), await server.connect() as client:
            assert (await client.ask(handshake(b"Origin: https://evil"))).status == 403
    [line] = log.lines("torana.refused")
    assert "origin" in line and "ws_allowed_origins" in line and "evil" not in line


@in_loop
async def test_a_listed_origin_may() -> None:
    identity = {"websocket_origins": ("https://friend.example",)}
    async with talking(identity=identity) as (server, _), await server.connect() as client:
        await upgraded(client, b"Origin: https://friend.example")


@pytest.mark.parametrize("name", ORDINARY)
@in_loop
async def test_what_does_not_ask_for_it_is_an_ordinary_request(name: str) -> None:
    async with talking() as (server, talk), await server.connect() as client:
        assert (await client.ask(ORDINARY[name])).status == 200
        assert not talk.calls and len(talk.requests) == 1


@in_loop
async def test_a_gateway_without_conversations_answers_the_request() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ.get("HTTP_UPGRADE", "none").encode()]

    async with serving(app, "wsgi") as server, await server.connect() as client:
        assert (await client.ask(GOOD)).body == b"websocket"
        assert (await client.ask(changed(b"websocket", b"h2c"))).body == b"none"


@pytest.mark.parametrize("is_slow", [False, True])
@in_loop
async def test_frames_sent_with_the_handshake_are_kept(is_slow: bool) -> None:
    """WS-29, WS-10: in the same segment or while the application thinks, and in order."""
    go = asyncio.Event()

    async def app(call: Call) -> None:
        if is_slow:
            await go.wait()
            assert call.duplex.take() is None
        await echo(call)

    async with talking(app) as (server, talk), await server.connect() as client:
        await client.send(GOOD + text("first"))
        await until(lambda: bool(talk.calls))
        await client.send(text("second") + frame(TEXT, b"thi", first=0))
        if is_slow:
            for _ in range(5):
                await asyncio.sleep(0.005)
        go.set()
        assert (await client.read_head()).status == 101
        await client.send(frame(0, b"rd"))
        got = [await read_frame(client) for _ in range(3)]
        assert got == [(TEXT, b"first"), (TEXT, b"second"), (TEXT, b"third")]


@in_loop
async def test_much_sent_before_the_101_waits_in_the_kernel() -> None:
    """Whoever does not wait for the 101 is not read ahead without bound (G-060)."""
    go = asyncio.Event()

    async def app(call: Call) -> None:
        await go.wait()
        await echo(call)

    message = frame(2, bytes(10_000))
    async with talking(app) as (server, talk), await server.connect() as client:
        await client.send(GOOD)
        await until(lambda: bool(talk.calls))
        sent = 0
        for _ in range(3000):
            count = client.send_what_fits(message[sent % len(message) :])
            sent += count
            if not count:
                await asyncio.sleep(0)
        [connection] = server.connections()
        assert connection.wire.buffered <= 128 * 1024
        go.set()
        assert (await client.read_head()).status == 101
        for _ in range(sent // len(message)):
            opcode, payload = await read_frame(client)
            assert (opcode, len(payload)) == (2, 10_000)


@in_loop
async def test_subprotocol_and_fields_of_the_application_are_sent() -> None:
    async def app(call: Call) -> None:
        assert call.duplex.subprotocols == ["a", "b", "c"]
        call.accept("b", [(b"x-one", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
        await call.receive()

    async with talking(app) as (server, _), await server.connect() as client:
        answer = await upgraded(client, b"Sec-WebSocket-Protocol: a, b", b"Sec-WebSocket-Protocol: c")
        assert answer.get_all("sec-websocket-protocol") == [b"b"]
        assert answer.get_all("set-cookie") == [b"a=1", b"b=2"]
        assert (answer.get("x-one"), answer.get("upgrade"), answer.get("connection")) == (
            b"1",
            b"websocket",
            b"upgrade",
        )
        assert answer.get("content-length") is None and answer.get("transfer-encoding") is None
        assert answer.get("date") is not None


@in_loop
async def test_compression_is_agreed_on_and_used() -> None:
    async with talking() as (server, _), await server.connect() as client:
        answer = await upgraded(client, b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        assert (answer.get("sec-websocket-extensions") or b"").startswith(b"permessage-deflate")
        await client.send(frame(TEXT, b"x" * 5000))
        first, second = await client.read_exactly(2)
        assert first == 0xC1 and second < 126


@in_loop
async def test_compression_that_is_switched_off_is_declined() -> None:
    from torana.wire.websocket.limits import Limits

    serve = {"websocket": Limits(has_deflate=False)}
    async with talking(serve=serve) as (server, _), await server.connect() as client:
        answer = await upgraded(client, b"Sec-WebSocket-Extensions: permessage-deflate")
        assert answer.get("sec-websocket-extensions") is None


# Before acceptance it is an exchange like others.


@in_loop
async def test_a_close_before_acceptance_is_403_and_the_connection_lives() -> None:
    async def app(call: Call) -> None:
        call.duplex.close(1000, "")
        assert await call.receive() == (1006, "")

    async with talking(app) as (server, talk), await server.connect() as client:
        assert (await client.ask(GOOD)).status == 403
        assert (await client.ask(GET)).status == 200
        await until(lambda: talk.active == 0)
        assert server.server.site is not None and server.server.site.running == 0


@in_loop
async def test_an_application_that_ends_without_a_word_is_cut() -> None:
    async def app(call: Call) -> None:
        pass

    async with talking(app) as (server, _), await server.connect() as client:
        await client.send(GOOD)
        await client.ended()
        await server.settled(0)


@in_loop
async def test_a_denial_response_is_sent_as_the_application_says() -> None:
    piece = bytes(100_000)

    async def app(call: Call) -> None:
        duplex = call.duplex
        duplex.deny(402, [(b"x-why", b"money")])
        for _ in range(10):
            duplex.refuse(piece, False)
        duplex.refuse(b"", True)
        assert await call.receive() == (1006, "")

    async with talking(app) as (server, talk), await server.connect() as client:
        answer = await client.ask(GOOD)
        assert (answer.status, answer.get("x-why"), len(answer.body)) == (402, b"money", 1_000_000)
        await until(lambda: talk.active == 0)


@pytest.mark.parametrize("how", ["close", "reset"])
@in_loop
async def test_a_client_that_leaves_before_the_answer_is_told_of_once(how: str) -> None:
    heard: list[Any] = []

    async def app(call: Call) -> None:
        heard.append(await call.receive())
        with pytest.raises(OSError):
            call.accept()

    async with talking(app) as (server, talk):
        client = await server.connect()
        await client.send(GOOD)
        await until(lambda: bool(talk.calls))
        client.close() if how == "close" else client.reset()
        await server.settled(0)
        await until(lambda: talk.active == 0)
    assert heard == [(1006, "")]


@in_loop
async def test_a_handshake_too_many_gets_503() -> None:
    go = asyncio.Event()

    async def app(call: Call) -> None:
        await go.wait()

    async with talking(app, bounds={"concurrency": 1}) as (server, talk):
        async with await server.connect() as first, await server.connect() as second:
            await first.send(GOOD)
            await until(lambda: bool(talk.calls))
            assert (await second.ask(GOOD)).status == 503
            assert len(talk.calls) == 1
        go.set()


@in_loop
async def test_the_health_path_does_not_stand_in_the_way() -> None:
    from torana.serve.health import HealthGateway

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    talk = Talk(echo)
    assert HealthGateway("/healthz", talk).takes_conversations()
    server, _ = make_talking(serve={"health_path": "/healthz"})
    await server.start()
    try:
        async with await Serving(server).connect() as client:
            assert (await client.ask(b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n")).body == b"ok"
            await upgraded(client, behind=text("x"))
            assert await read_frame(client) == (TEXT, b"x")
    finally:
        server.request_abort()
        await server.finished()


@in_loop
async def test_a_kept_connection_may_upgrade_and_the_first_request_counts_once() -> None:
    async with talking() as (server, talk), await server.connect() as client:
        assert (await client.ask(GET)).status == 200
        # Pipelined behind a request: its turn comes, and the frame behind it is still its own.
        await client.send(GET + GOOD + text("x"))
        assert (await client.read()).status == 200
        assert (await client.read_head()).status == 101
        assert await read_frame(client) == (TEXT, b"x")
        assert server.server.status()["served"] == 3 and server.server.status()["running"] == 1
        await client.send(closing(1000))
        assert await read_close(client) == (1000, "")
        await client.ended()
        await server.settled(0)
        assert server.server.status()["running"] == 0
        assert talk.calls[0].duplex.code == 1000
    assert CLOSE == 8
