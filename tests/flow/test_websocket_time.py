"""Everything about a WebSocket that has to do with time: pings, slow peers, slow messages, the closing handshake."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from tests.support.inprocess import in_loop, logged, until
from tests.support.talking import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Call,
    closing,
    echo,
    frame,
    handshake,
    read_close,
    read_frame,
    talking,
    text,
    upgraded,
)

#: All off: each test turns on what it is about.
OFF: dict[str, Any] = {
    "first_byte_s": 0, "head_s": 0, "body_idle_s": 0, "body_rate": 0, "body_grace_s": 0, "write_idle_s": 0,
    "keep_alive_s": 0, "websocket_ping_s": 0, "websocket_pong_s": 0, "websocket_close_s": 0,
}  # fmt: skip


def only(**timeouts: float) -> dict[str, Any]:
    return OFF | timeouts


@in_loop
async def test_an_idle_client_is_pinged_and_stays() -> None:
    times = only(websocket_ping_s=0.1, websocket_pong_s=3.0)
    async with talking(timeouts=times) as (server, talk), await server.connect() as client:
        await upgraded(client)
        for _ in range(4):
            assert await read_frame(client) == (PING, b"")
            await client.send(frame(PONG))
        await client.send(text("still here"))
        while (got := await read_frame(client))[0] == PING:
            await client.send(frame(PONG))
        assert got == (TEXT, b"still here")
        assert talk.active == 1


@in_loop
async def test_a_client_that_is_heard_needs_no_pong() -> None:
    times = only(websocket_ping_s=0.1, websocket_pong_s=3.0)
    async with talking(timeouts=times) as (server, talk), await server.connect() as client:
        await upgraded(client)
        pings = 0
        while pings < 4:
            await client.send(text("x"))
            pings += (await read_frame(client))[0] == PING
        assert talk.active == 1


@pytest.mark.threat(
    "G-063",
    sent="no pong",
    verdict="the end in time, told once (1006)",
)
@in_loop
async def test_a_client_that_does_not_answer_is_dead() -> None:
    times = only(websocket_ping_s=0.1, websocket_pong_s=0.1)
    with logged() as log:
        async with talking(timeouts=times) as (server, talk), await server.connect() as client:
            await upgraded(client)
            assert (await read_close(client))[0] == 1011
            await client.ended()
            await until(lambda: talk.active == 0)
            duplex = talk.calls[0].duplex
            assert (duplex.code, duplex.reason) == (1006, "")
            await server.settled(0)
    [line] = log.lines("torana.refused")
    assert "pong" in line and "ws_ping_timeout" in line


@in_loop
async def test_an_application_that_is_slow_to_receive_makes_nobody_dead() -> None:
    """The pongs lie behind messages that we do not read."""
    go = asyncio.Event()

    async def app(call: Call) -> None:
        call.accept()
        await go.wait()
        while type(message := await call.receive()) is not tuple:
            if message == "last":
                await call.send(message)

    times = only(websocket_ping_s=0.05, websocket_pong_s=0.5)
    async with talking(app, timeouts=times) as (server, talk), await server.connect() as client:
        await upgraded(client)
        await client.send(text("x") * 100_000)
        await until(lambda: talk.calls[0].duplex.is_full())
        for _ in range(16):
            assert (await read_frame(client))[0] == PING
        assert talk.active == 1
        go.set()
        await client.send(text("last"))
        while (got := await read_frame(client))[0] == PING:
            await client.send(frame(PONG))
        assert got == (TEXT, b"last")


@pytest.mark.threat(
    "G-063",
    sent="nothing read of what the application sends",
    verdict="the end in time, told once",
)
@in_loop
async def test_a_client_that_takes_nothing_is_given_up() -> None:
    """G-063: a slow reader costs its buffer for a while, not for ever."""

    async def app(call: Call) -> None:
        call.accept()
        with contextlib.suppress(OSError):
            while True:
                await call.send(bytes(65_536))

    with logged() as log:
        async with talking(app, timeouts=only(write_idle_s=0.3, write_rate=0)) as (server, talk):
            async with await server.connect(receive_buffer_bytes=4096) as client:
                await client.send(handshake())
                await until(lambda: bool(talk.calls) and talk.active == 0)
                await server.settled(0)
                assert talk.calls[0].duplex.code == 1006
    assert any("timeout_write" in line for line in log.lines("torana.refused"))


@pytest.mark.threat(
    "G-060",
    sent="a message, byte by byte",
    verdict="1008 when it is slower than the least rate",
)
@pytest.mark.parametrize("is_fast", [False, True])
@in_loop
async def test_a_message_may_not_trickle(is_fast: bool) -> None:
    """G-060: large or small, what has begun has to come at a rate."""
    # The fast one is fast enough even if its sleeps are late.
    times = only(body_grace_s=0.3, body_rate=100 if is_fast else 100_000)
    message = frame(BINARY, bytes(3000))

    async def trickle(client: Any) -> None:
        with contextlib.suppress(ConnectionError):
            for at in range(0, len(message), 100):
                await client.send(message[at : at + 100])
                await asyncio.sleep(0.02)

    async with talking(timeouts=times) as (server, talk), await server.connect() as client:
        await upgraded(client)
        sending = asyncio.ensure_future(trickle(client))
        if is_fast:
            assert (await read_frame(client))[0] == BINARY
        else:
            assert (await read_close(client))[0] == 1008
            await until(lambda: talk.active == 0)
            assert talk.calls[0].duplex.code == 1008
        await sending


@pytest.mark.threat(
    "G-061",
    sent="a message that stops, in a frame or between fragments",
    verdict="1008 in time",
)
@in_loop
async def test_a_message_that_stops_halfway_ends_the_conversation() -> None:
    """G-061: also between two fragments."""
    async with talking(timeouts=only(body_idle_s=0.2, body_grace_s=0.2)) as (server, _):
        for half in (frame(TEXT, b"half", first=0), frame(TEXT, b"half")[:-1], b"\x81"):
            async with await server.connect() as client:
                await upgraded(client)
                await client.send(text("whole"))
                assert await read_frame(client) == (TEXT, b"whole")
                await client.send(half)
                assert (await read_close(client))[0] == 1008
                await client.ended()


@in_loop
async def test_silence_between_messages_is_no_fault() -> None:
    async with (
        talking(timeouts=only(body_idle_s=0.1, body_grace_s=0.1)) as (server, _),
        await server.connect() as client,
    ):
        await upgraded(client)
        for _ in range(3):
            await client.send(frame(TEXT, b"hal", first=0))
            await client.send(frame(0, b"f"))
            assert await read_frame(client) == (TEXT, b"half")
            await asyncio.sleep(0.25)


@in_loop
async def test_many_large_messages_are_not_one_slow_one() -> None:
    """Each cut somewhere, so that one is always incomplete."""
    message = frame(BINARY, bytes(999))
    async with talking(timeouts=only(body_grace_s=1.5, body_idle_s=5.0, body_rate=1_000_000)) as (server, _):
        async with await server.connect() as client:
            await upgraded(client)
            await client.send(message[:1])
            for _ in range(12):
                await client.send(message[1:] + message[:1])
                assert (await read_frame(client))[0] == BINARY
                await asyncio.sleep(0.2)


@pytest.mark.threat(
    "G-063",
    sent="our close, never answered",
    verdict="the end in time",
)
@pytest.mark.parametrize("is_flooding", [False, True])
@in_loop
async def test_a_close_that_is_not_answered_ends_in_time(is_flooding: bool) -> None:
    """WS-39, G-063: and frames that come after it are nobody's."""
    got: list[Any] = []

    async def app(call: Call) -> None:
        call.accept()
        await call.receive()
        call.duplex.close(1000, "done")
        got.append(await call.receive())

    async def flood(client: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await client.send(text("x") * 10)
                await asyncio.sleep(0.005)

    async with talking(app, timeouts=only(websocket_close_s=1.0)) as (server, talk), await server.connect() as client:
        await upgraded(client)
        await client.send(text("begin"))
        assert await read_close(client) == (1000, "done")
        flooding = asyncio.ensure_future(flood(client)) if is_flooding else None
        await until(lambda: talk.active == 0)
        assert len(server.connections()) == 1
        await client.read_to_end()
        if flooding is not None:
            flooding.cancel()
        await server.settled(0)
    assert got == [(1000, "done")]


@in_loop
async def test_a_slow_client_still_gets_all_that_was_sent_before_the_close() -> None:
    size = 3_000_000

    async def app(call: Call) -> None:
        call.accept()
        await call.send(bytes(size))
        call.duplex.close(1000, "")

    times = only(websocket_close_s=0.1, write_idle_s=5.0)
    async with talking(app, timeouts=times) as (server, _):
        async with await server.connect(receive_buffer_bytes=65_536) as client:
            await client.send(handshake())
            await client.read_head()
            await client.read_exactly(10)
            taken = 0
            while taken < size:
                taken += len(await client.read_exactly(min(size - taken, 200_000)))
                await asyncio.sleep(0.03)
            assert await read_frame(client) == (CLOSE, b"\x03\xe8")
            assert not client.is_reset


@in_loop
async def test_closing_frames_that_cross_are_one_end() -> None:
    async def app(call: Call) -> None:
        call.accept()
        await call.receive()
        call.duplex.close(3000, "")

    async with talking(app) as (server, talk), await server.connect() as client:
        await upgraded(client)
        await client.send(text("go") + closing(3001))
        assert (await read_close(client))[0] in (3000, 3001)
        await client.ended()
        await until(lambda: talk.active == 0)
        await server.settled(0)


@in_loop
async def test_timers_are_off_when_they_are_zero() -> None:
    async with talking(echo, timeouts=OFF) as (server, _), await server.connect() as client:
        await upgraded(client)
        [tunnel] = server.connections()
        assert tunnel.transport.deadline == 0.0
        await client.send(frame(TEXT, b"ha", first=0))
        await until(lambda: not tunnel.transport.has_unread())
        assert tunnel.transport.deadline == 0.0
