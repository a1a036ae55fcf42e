"""Messages between a socket and an application: bounded both ways, whole or not at all, accounted for once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import ssl
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.flow.test_ledger import Row
from tests.support.inprocess import LIMIT_S, Client, Serving, in_loop, logged, serving, until
from tests.support.talking import (
    BINARY,
    CONTINUATION,
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
from torana.net.options import ListenOptions, NetOptions, TlsOptions
from torana.serve.options import AccessLogOptions
from torana.wire.websocket.limits import Limits

SIZES = [0, 1, 125, 126, 127, 8191, 8192, 65535, 65536, 65537, 1_000_000]


def listener() -> tuple[Any, list[int]]:
    """An application that hears messages, each of whose lengths goes into the list; HTTP is told how many there are."""
    heard: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"%d" % len(heard)})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            heard.append(len(message.get("text") or message["bytes"]))

    return app, heard


@in_loop
async def test_every_size_comes_back_as_it_was() -> None:
    async with talking() as (server, _), await server.connect() as client:
        await upgraded(client)
        for size in SIZES:
            payload = bytes(i % 251 for i in range(size))
            await client.send(frame(BINARY, payload))
            assert await read_frame(client) == (BINARY, payload)
            words = "ü" * (size // 2)
            await client.send(text(words))
            assert await read_frame(client) == (TEXT, words.encode())


@in_loop
async def test_a_message_in_fragments_with_a_ping_between() -> None:
    async with talking() as (server, _), await server.connect() as client:
        await upgraded(client)
        for part in (
            frame(TEXT, b"one ", first=0), frame(CONTINUATION, b"two ", first=0), frame(PING, b"?"),
            frame(CONTINUATION, b"three"),
        ):  # fmt: skip
            await client.send(part)
        assert await read_frame(client) == (PONG, b"?")
        assert await read_frame(client) == (TEXT, b"one two three")


@pytest.mark.parametrize("size", [7, 64 * 1024 + 20])
@in_loop
async def test_a_stream_of_frames_in_odd_pieces(size: int) -> None:
    sent = [bytes([i]) * (i * 97 % 3000) for i in range(200)]
    stream = b"".join(frame(BINARY, each) for each in sent)
    async with talking() as (server, _), await server.connect() as client:
        await upgraded(client)
        if size < 100:
            stream, sent = b"".join(frame(BINARY, each) for each in sent[:20]), sent[:20]
        for at in range(0, len(stream), size):
            await client.send(stream[at : at + size])
        for each in sent:
            assert await read_frame(client) == (BINARY, each)


# What ends a conversation, and what each side hears (WS-30 to WS-33, G-059).
ENDS = {
    "1000": (closing(1000), (1000, ""), (1000, "")),
    "4000 and a reason": (closing(4000, "ré"), (4000, ""), (4000, "ré")),
    "no code": (frame(8), (1005, ""), (1005, "")),
    "unmasked": (b"\x81\x01a", (1002, "unmasked-frame"), (1002, "unmasked-frame")),
    "reserved bit": (frame(TEXT, b"x", first=0xC0), (1002, "reserved-bit"), (1002, "reserved-bit")),
    "stray continuation": (frame(CONTINUATION, b"x"), (1002, None), (1002, None)),
    "not UTF-8": (frame(TEXT, b"\xff"), (1007, None), (1007, None)),
    "too large": (b"\x82\xff" + (1 << 40).to_bytes(8, "big"), (1009, None), (1009, None)),
    "close code 1005": (closing(1005), (1002, None), (1002, None)),
    "close of one byte": (frame(8, b"x"), (1002, None), (1002, None)),
}


@pytest.mark.parametrize("name", ENDS)
@in_loop
async def test_an_end_is_told_to_both_sides_once(name: str) -> None:
    data, (code, reason), told = ENDS[name]
    heard: list[Any] = []

    async def app(call: Call) -> None:
        call.accept()
        while type(message := await call.receive()) is not tuple:
            heard.append(message)
        heard.append(message)
        heard.append(await call.receive())

    async with talking(app) as (server, talk), await server.connect() as client:
        await upgraded(client)
        # What follows the end is not looked at.
        await client.send(text("before") + data + text("after"))
        got_code, got_reason = await read_close(client)
        assert got_code == code and (reason is None or got_reason == reason)
        await client.ended()
        assert not client.is_reset
        await until(lambda: talk.active == 0)
        await server.settled(0)
        assert server.server.site is not None and server.server.site.memory.sockets == 0
    message, end, again = heard
    assert message == "before" and end == again
    assert end[0] == told[0] and (told[1] is None or end[1] == told[1])


@in_loop
async def test_a_refused_frame_is_counted_and_logged_with_its_setting() -> None:
    serve = {"websocket": Limits(message_bytes=1000)}
    with logged() as log:
        async with talking(serve=serve) as (server, _), await server.connect() as client:
            await upgraded(client)
            await client.send(frame(BINARY, bytes(1001)))
            assert (await read_close(client))[0] == 1009
    [line] = log.lines("torana.refused")
    assert "large-message" in line and "ws_max_size" in line


@pytest.mark.parametrize("how", ["close", "reset", "half"])
@in_loop
async def test_a_lost_client_is_1006(how: str) -> None:
    async with talking() as (server, talk):
        client = await server.connect()
        await upgraded(client)
        {"close": client.close, "reset": client.reset, "half": client.finish_writing}[how]()
        await until(lambda: talk.active == 0)
        await server.settled(0)
        client.close()
        duplex = talk.calls[0].duplex
        assert (duplex.code, duplex.reason) == (1006, "")


@in_loop
async def test_the_application_closes_and_the_client_answers() -> None:
    async def app(call: Call) -> None:
        call.accept()
        await call.send("last")
        call.duplex.close(4321, "réason")
        assert await call.receive() == (4321, "réason")
        with pytest.raises(OSError):
            await call.send("more")

    async with talking(app) as (server, talk), await server.connect() as client:
        await client.send(handshake())
        assert (await client.read_head()).status == 101
        assert await read_frame(client) == (TEXT, b"last")
        assert await read_close(client) == (4321, "réason")
        await until(lambda: talk.active == 0)
        # Frames after our close are dropped, the answer to it ends the connection.
        await client.send(text("ignored") + frame(PING, b"ignored") + closing(4321))
        await client.ended()
        await server.settled(0)


# Bounds (WS-26, WS-27)


@pytest.mark.parametrize(("size", "count"), [(10, 50_000), (20_000, 1000)])
@in_loop
async def test_an_application_that_does_not_receive_stops_the_reading(size: int, count: int) -> None:
    go = asyncio.Event()
    got = 0

    async def app(call: Call) -> None:
        nonlocal got
        call.accept()
        await go.wait()
        while type(await call.receive()) is not tuple:
            got += 1

    message = frame(BINARY, bytes(size))
    async with talking(app) as (server, talk), await server.connect() as client:
        await upgraded(client)
        sending = asyncio.ensure_future(client.send(message * count + closing(1000)))
        await until(lambda: bool(talk.calls) and talk.calls[0].duplex.is_full())
        await asyncio.sleep(0.05)
        duplex = talk.calls[0].duplex
        assert duplex.is_full() and duplex.buffered <= 64 * 1024 + size + 64
        [tunnel] = server.connections()
        assert not tunnel.transport.is_reading and tunnel.transport.has_unread()
        go.set()
        await sending
        assert (await read_close(client))[0] == 1000
        await until(lambda: talk.active == 0)
    assert got == count


@in_loop
async def test_control_frames_that_were_read_are_answered_while_messages_wait() -> None:
    """Nothing is read on, but what is behind the messages of one read is not forgotten either."""
    go = asyncio.Event()

    async def app(call: Call) -> None:
        call.accept()
        await go.wait()
        await echo_on(call)

    async def echo_on(call: Call) -> None:
        while type(message := await call.receive()) is not tuple:
            await call.send(message)

    async with talking(app) as (server, talk), await server.connect() as client:
        await upgraded(client)
        await client.send(text("x") * 40 + frame(PING, b"late"))
        await until(lambda: talk.calls[0].duplex.is_full())
        go.set()
        got = [await read_frame(client) for _ in range(41)]
        assert sorted(got) == [(TEXT, b"x")] * 40 + [(PONG, b"late")]


@pytest.mark.threat(
    "G-059",
    sent="9,000 messages of one byte in one write",
    verdict="handed on in turns: a request that comes meanwhile is answered first",
)
@in_loop
async def test_many_small_messages_leave_turns_to_others() -> None:
    app, heard = listener()

    async with serving(app) as server, await server.connect() as talker, await server.connect() as other:
        await upgraded(talker)
        await talker.send(text("x") * 9000)
        answer = await other.ask(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        # Not even the first read's worth of them.
        assert int(answer.body) < 4000
        await until(lambda: len(heard) == 9000)
        await talker.send(text("and the next"))
        await until(lambda: heard[-1] == 12)


@pytest.mark.threat(
    "G-060", sent="clients that leave in the middle of 8 MiB", verdict="all is given back at once, not in time"
)
@pytest.mark.parametrize("how", ["close", "reset"])
@in_loop
async def test_what_a_lost_client_had_sent_is_given_back_at_once(how: str) -> None:
    size = 8 * 1024 * 1024
    half = b"\x82\xff" + (2 * size).to_bytes(8, "big") + bytes(4 + size)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        async with talking() as (server, talk):
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(3):
                client = await server.connect()
                await upgraded(client)
                await client.send(half)
                await until(lambda: tracemalloc.get_traced_memory()[0] - before > size - 65536)
                getattr(client, how)()
                await server.settled(0)
            await until(lambda: talk.active == 0)
            assert tracemalloc.get_traced_memory()[0] - before < size
    finally:
        tracemalloc.stop()
        gc.enable()


@pytest.mark.threat(
    "G-062",
    sent="15 MiB of zeros in 15 KiB, by ten clients at once",
    verdict="inflated in turns: a request that comes meanwhile is answered first",
)
@in_loop
async def test_messages_that_unfold_leave_turns_to_others() -> None:
    app, heard = listener()
    size = 15 * 1024 * 1024
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = stream.compress(bytes(size)) + stream.flush(zlib.Z_SYNC_FLUSH)[:-4]
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(app))
        talkers = [await stack.enter_async_context(await server.connect()) for _ in range(10)]
        other = await stack.enter_async_context(await server.connect())
        for talker in talkers:
            await upgraded(talker, b"Sec-WebSocket-Extensions: permessage-deflate")
        for talker in talkers:
            await talker.send(frame(BINARY, packed, first=0xC0))
        answer = await other.ask(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
        assert answer.body == b"0"
        await until(lambda: heard == [size] * 10)


@in_loop
async def test_send_waits_for_a_client_that_does_not_read() -> None:
    sent = 0

    async def app(call: Call) -> None:
        nonlocal sent
        call.accept()
        for _ in range(400):
            await call.send(bytes(65_536))
            sent += 1

    async with talking(app) as (server, _talk), await server.connect(receive_buffer_bytes=4096) as client:
        await client.send(handshake())
        await until(lambda: bool(server.connections()) and server.connections()[0].transport.is_full())
        await asyncio.sleep(0.05)
        [tunnel] = server.connections()
        before = sent
        assert before < 400 and tunnel.transport.waiting <= 64 * 1024 + 65_546
        await client.read_head()
        for _ in range(400):
            opcode, payload = await read_frame(client)
            assert (opcode, len(payload)) == (BINARY, 65_536)
        assert (await read_close(client))[0] == 1000


@pytest.mark.threat(
    "G-063",
    sent="pings by a client that does not read",
    verdict="the last one is answered, once",
)
@in_loop
async def test_pings_of_a_client_that_does_not_read_are_answered_once() -> None:
    """G-063: the last one counts, whatever came before it; nothing piles up."""
    stop = asyncio.Event()

    async def app(call: Call) -> None:
        call.accept()
        with contextlib.suppress(OSError):
            while not stop.is_set():
                await call.send(bytes(65_536))

    async with talking(app) as (server, _talk), await server.connect(receive_buffer_bytes=4096) as client:
        await client.send(handshake())
        await until(lambda: bool(server.connections()) and server.connections()[0].transport.is_full())
        [tunnel] = server.connections()
        waiting = tunnel.transport.waiting
        for i in range(200):
            await client.send(frame(PING, b"%d" % i))
            await asyncio.sleep(0)
        await until(lambda: not tunnel.transport.has_unread())
        assert tunnel.transport.waiting == waiting
        stop.set()
        await client.read_head()
        pongs = []
        while (got := await read_frame(client))[0] != 8:
            if got[0] == PONG:
                pongs.append(got[1])
        assert pongs == [b"199"]


@pytest.mark.threat(
    "G-060",
    sent="large messages of many clients at once",
    verdict="reading pauses beyond the bound for all, and goes on",
)
@in_loop
async def test_large_messages_of_all_together_are_bounded() -> None:
    """G-060: beyond the bound nobody reads on whose message grows, until somebody is done."""
    async with talking() as (server, talk):
        assert server.server.site is not None
        budget = server.server.site.memory
        assert budget.most >= 256 * 1024 * 1024
        budget.most = 2_000_000
        size = 1_000_000
        message = frame(BINARY, bytes(size))
        async with contextlib.AsyncExitStack() as stack:
            clients: list[Client] = []
            for _ in range(8):
                client = await stack.enter_async_context(await server.connect())
                await upgraded(client)
                clients.append(client)
            sending = [asyncio.ensure_future(client.send(message[:-10])) for client in clients]
            await until(lambda: budget.held > budget.most)
            for _ in range(20):
                await asyncio.sleep(0.005)
                # One step each may go beyond it before it is seen; buffers grow in steps of their own.
                assert budget.held <= budget.most + 8 * 2 * 256 * 1024
            assert sum(not tunnel.transport.is_reading for tunnel in server.connections()) >= 4
            # The first two give up, which makes room for others; and so on to the last.
            for client, sent in zip(clients, sending, strict=True):
                sent.cancel()
                client.reset()
                await asyncio.sleep(0.01)
            await server.settled(0)
            assert (budget.held, budget.sockets) == (0, 0)
        async with await server.connect() as client:
            await upgraded(client)
            await client.send(message)
            assert len((await read_frame(client))[1]) == size
        assert budget.most == 2_000_000
        await until(lambda: talk.active == 0)


@in_loop
async def test_starved_messages_go_on_when_there_is_room() -> None:
    async with talking() as (server, _):
        assert server.server.site is not None
        budget = server.server.site.memory
        budget.most = 1_000_000
        message = frame(BINARY, bytes(900_000))
        async with await server.connect() as first, await server.connect() as second, await server.connect() as third:
            for client in (first, second, third):
                await upgraded(client)
            await first.send(message[:850_000])
            await until(lambda: budget.held >= 800_000)
            # There is no room for this one, but one may always go on.
            await second.send(message[:850_000])
            await until(lambda: budget.held >= 1_600_000)
            sending = asyncio.ensure_future(third.send(message))
            await until(budget.has_starved)
            for client in (first, second):
                await client.send(message[850_000:])
                assert len((await read_frame(client))[1]) == 900_000
            assert len((await read_frame(third))[1]) == 900_000
            await sending
            await until(lambda: budget.held == 0)


# The account


@in_loop
async def test_one_line_in_the_access_log_at_the_end(tmp_path: Path | None = None) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "access.log")
        log = AccessLogOptions(is_on=True, format="json", file=str(path))
        async with talking(serve={"access_log": log}) as (server, _):
            async with await server.connect() as client:
                await upgraded(client)
                for _ in range(3):
                    await client.send(text("12345"))
                    await read_frame(client)
                assert path.read_text() == "" if path.exists() else True
                await client.send(closing(1000))
                await read_close(client)
                await client.ended()
            async with await server.connect() as client:
                assert (await client.ask(handshake(b"Origin: https://evil"))).status == 403
            await server.settled(0)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["status"] for line in lines] == [101, 403]
    assert 15 in lines[0].values() and "/ws" in lines[0].values()


@in_loop
async def test_the_ledger_shows_a_conversation_until_its_end() -> None:
    row = Row()
    async with talking(server={"ledger_row": row.memory}) as (server, _), await server.connect() as client:
        await upgraded(client)
        assert row.texts() == ["GET /ws"] and server.server.status()["running"] == 1
        await client.send(closing(1000))
        await read_close(client)
        await client.ended()
        await server.settled(0)
        assert not row.read().in_flight and server.server.status()["running"] == 0


@in_loop
async def test_an_application_that_goes_on_keeps_its_place_until_it_ends() -> None:
    go = asyncio.Event()

    async def app(call: Call) -> None:
        call.accept()
        await call.receive()
        await go.wait()

    row = Row()
    async with talking(app, server={"ledger_row": row.memory}) as (server, _):
        async with await server.connect() as client:
            await upgraded(client)
        [tunnel] = server.connections()
        await until(lambda: tunnel.transport.is_closed)
        await asyncio.sleep(0)
        assert server.connections() == [tunnel] and row.texts() == ["GET /ws"]
        assert tunnel.doing() == [(True, "GET /ws")]
        go.set()
        await server.settled(0)
        assert row.texts() == []


# TLS


def test_over_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    async def run() -> None:
        from tests.support import talking as ends

        made, talk = ends.make_talking(echo)
        made._net = NetOptions(ListenOptions(("127.0.0.1:0",), tls=TlsOptions(str(chain), str(key))))
        await made.start()
        server = Serving(made)
        try:
            reader, writer = await asyncio.open_connection(*server.address, ssl=trust, server_hostname="localhost")
            writer.write(handshake(b"Origin: https://t") + text("with it"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
            assert await reader.readexactly(9) == b"\x81\x07with it"
            for size in (10, 20_000, 300_000):
                payload = bytes(i % 253 for i in range(size))
                writer.write(frame(BINARY, payload))
                head = await reader.readexactly({10: 2, 20_000: 4, 300_000: 10}[size])
                assert head[0] == 0x82
                assert await reader.readexactly(size) == payload
            writer.write(closing(1000))
            assert await reader.read() == b"\x88\x02\x03\xe8"
            writer.close()
            await server.settled(0)
            assert talk.calls[0].duplex.code == 1000
        finally:
            made.request_abort()
            await made.finished()

    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(asyncio.wait_for(run(), LIMIT_S))


@pytest.mark.threat(
    "G-059", sent="20 clients with 2,000 messages each at once", verdict="others are answered between their turns"
)
@in_loop
async def test_many_who_have_much_to_say_take_turns() -> None:
    app, heard = listener()
    async with serving(app) as server, contextlib.AsyncExitStack() as stack:
        healthy = await stack.enter_async_context(await server.connect())
        await healthy.ask()
        many = [await stack.enter_async_context(await server.connect()) for _ in range(20)]
        for client in many:
            await upgraded(client)
        for client in many:
            await client.send(text("x") * 2000)
        # All are in the midst of it.
        await until(lambda: len(heard) >= 20 * 64)
        asked_at = len(heard)
        answer = await healthy.ask()
        assert answer.status == 200
        assert int(answer.body) - asked_at < 1000
        await until(lambda: len(heard) == 20 * 2000)
