"""Bodies in pieces of every size and kind arrive whole and in order, also when the socket takes parts of a piece."""

from __future__ import annotations

import asyncio
import fcntl
import random
import socket
import struct
import sys
import threading
from typing import Any

import pytest

from tests.support.inprocess import GET, Client, in_loop, serving

#: Around the sizes at which a piece is copied, gathered, or split.
SIZES = (0, 1, 100, 8_191, 8_192, 8_193, 20_000, 65_535, 65_536, 65_537, 131_071, 131_072, 200_001)
KINDS = (bytes, bytearray, memoryview)


def pieces() -> list[Any]:
    chance = random.Random(7)
    sizes = [*SIZES * 3]
    chance.shuffle(sizes)
    return [KINDS[number % 3](chance.randbytes(size)) for number, size in enumerate(sizes)]


@pytest.mark.parametrize("has_length", [False, True], ids=["chunked", "length"])
@pytest.mark.parametrize("receive_buffer_bytes", [0, 4096], ids=["fast", "slow"])
@in_loop
async def test_asgi(has_length: bool, receive_buffer_bytes: int) -> None:
    sent = pieces()
    whole = b"".join(sent)
    fields = [(b"content-length", b"%d" % len(whole))] if has_length else []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for piece in sent:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if type(piece) is bytearray:
                # What was sent is captured: changing it afterwards changes nothing.
                piece[:] = bytes(len(piece))
        await send({"type": "http.response.body"})

    async with serving(app) as server, await server.connect(receive_buffer_bytes=receive_buffer_bytes) as client:
        answer = await client.ask(GET)
        assert (answer.is_complete, answer.body == whole) == (True, True)
        assert answer.framing == ("length" if has_length else "chunked")


@pytest.mark.parametrize("receive_buffer_bytes", [0, 4096], ids=["fast", "slow"])
@in_loop
async def test_wsgi(receive_buffer_bytes: int) -> None:
    sent = [bytes(piece) for piece in pieces()]

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return iter(sent)

    async with (
        serving(app, "wsgi") as server,
        await server.connect(receive_buffer_bytes=receive_buffer_bytes) as client,
    ):
        answer = await client.ask(GET)
        assert (answer.is_complete, answer.body == b"".join(sent)) == (True, True)


@pytest.mark.parametrize("size", SIZES)
@in_loop
async def test_one_piece(size: int) -> None:
    body = random.Random(size).randbytes(size)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as client:
        for _ in range(3):
            answer = await client.ask(GET)
            assert (answer.framing, answer.body == body) == ("length", True)


def streaming(interface: str, piece: bytes, count: int, may_go_on: threading.Event) -> Any:
    """An application that gives ``count`` pieces in quick succession, and ends when it may."""

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(count):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        assert await asyncio.to_thread(may_go_on.wait, 20)
        await send({"type": "http.response.body"})

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        for _ in range(count):
            yield piece
        assert may_go_on.wait(20)

    return asgi if interface == "asgi3" else wsgi


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@pytest.mark.parametrize("size", [8_192, 65_535, 65_536, 70_000, 200_001])
@in_loop
async def test_all_that_was_given_is_there_while_the_application_pauses(interface: str, size: int) -> None:
    piece = random.Random(size).randbytes(size)
    may_go_on = threading.Event()
    async with serving(streaming(interface, piece, 5, may_go_on), interface) as server:
        async with await server.connect() as client:
            await client.send(GET)
            await client.read_head()
            for _ in range(5):
                # With the line before it and the one behind it.
                chunk = b"%x\r\n%b\r\n" % (size, piece)
                assert await client.read_exactly(len(chunk)) == chunk
            may_go_on.set()
            assert await client.read_exactly(5) == b"0\r\n\r\n"


def segments(client: Client) -> int:
    """Segments with data that the client's socket has received (``tcpi_data_segs_in`` of Linux)."""
    info = client.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    number: int = struct.unpack_from("=I", info, 152)[0]
    return number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told that more follows")
@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_large_pieces_in_quick_succession_fill_their_segments(interface: str) -> None:
    may_go_on = threading.Event()
    may_go_on.set()
    # With its lines each is a little larger than a segment of the loopback device: alone it takes two.
    count = 12
    async with (
        serving(streaming(interface, bytes(65_536), count, may_go_on), interface) as server,
        await server.connect() as client,
    ):
        # Not every time: the client may acknowledge at once, and on a busy machine they may not be that quick.
        for _ in range(100):
            before = segments(client)
            assert len((await client.ask(GET)).body) == 65_536 * count
            if segments(client) - before < 2 * count - 4:
                break
        else:
            pytest.fail("each piece was sent by itself, a hundred times")


#: ``SIOCOUTQNSD`` of Linux: bytes in the kernel's buffer that were never sent.
_UNSENT = 0x894B


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told that more follows")
@in_loop
async def test_what_turns_out_to_be_the_end_leaves_at_once() -> None:
    unsent = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [(b"content-length", b"%d" % (2 * 65_536))]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        for _ in range(2):
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
        sock = server.connections()[0].transport.sock
        await send({"type": "http.response.body"})
        unsent.append(int.from_bytes(fcntl.ioctl(sock, _UNSENT, bytes(4)), sys.byteorder))

    # So much fits into the client's buffer that nothing waits for it to be read.
    async with serving(app) as server, await server.connect(receive_buffer_bytes=1024 * 1024) as client:
        for _ in range(50):
            assert len((await client.ask(GET)).body) == 2 * 65_536
    assert unsent == [0] * 50
