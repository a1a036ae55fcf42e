"""Bodies in pieces of every size and kind arrive whole and in order, also when the socket takes parts of a piece."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.inprocess import GET, in_loop, serving

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
