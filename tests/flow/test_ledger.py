"""What a whole server writes into its ledger, so that a supervisor knows whether it moves and what it is doing."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.flow import test_wsgi_threads
from tests.support.inprocess import GET, Serving, answer_with, in_loop, serving, until
from torana.base import board_row
from torana.process.board import Reading, read_row


async def prompt(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send)


class Row:
    """The memory that a supervisor would share with the server."""

    def __init__(self) -> None:
        self.memory = memoryview(bytearray(board_row.ROW_BYTES))

    def read(self) -> Reading:
        return read_row(self.memory)

    def texts(self) -> list[str]:
        return [request.text for request in self.read().requests]


@in_loop
async def test_without_a_supervisor_nothing_is_written() -> None:
    async with serving(prompt) as server, await server.connect() as client:
        assert (await client.ask()).status == 200
        assert server.server.site is not None and server.server.site.ledger is None


@in_loop
async def test_a_request_is_shown_from_its_head_to_the_end_of_its_answer() -> None:
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"y"})

    row = Row()
    async with serving(app, server={"ledger_row": row.memory}) as server, await server.connect() as client:
        assert row.read().is_open and not row.read().in_flight
        await client.send(b"PUT /things/1?secret=2 HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhe")
        await until(lambda: row.texts() == ["PUT /things/1"])
        await client.send(b"llo")
        await client.read_head()
        assert row.texts() == ["PUT /things/1"]
        go_on.set()
        await until(lambda: not row.read().in_flight)
        assert row.texts() == []
        assert (row.read().served, row.read().ended) == (1, 1)


@in_loop
async def test_a_loop_without_requests_beats_and_counts_its_connections() -> None:
    row = Row()
    times = {"keep_alive_s": 0.2}  # the shortest limit sets how often the server looks
    async with serving(prompt, timeouts=times, server={"ledger_row": row.memory}) as server:
        async with await server.connect(), await server.connect():
            before = row.read().beat
            await until(lambda: row.read().beat > before + 1)
            await until(lambda: row.read().connections == 2)
        assert row.read().served == 0


@in_loop
async def test_requests_that_wait_for_a_thread_are_counted() -> None:
    go_on = threading.Event()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        go_on.wait()
        start_response("200 OK", [])
        return [b""]

    row = Row()
    async with serving(
        app, "wsgi", gateway={"threads": 1}, timeouts={"keep_alive_s": 0.2}, server={"ledger_row": row.memory}
    ) as server:
        clients = [await server.connect() for _ in range(3)]
        for client in clients:
            await client.send(GET)
        await until(lambda: (row.read().queue, row.read().in_flight) == (2, 3))
        go_on.set()
        for client in clients:
            await client.read()
            client.close()
        # An answer leaves before it is written down.
        await until(lambda: row.read().queue == 0 and not row.read().in_flight)


@pytest.mark.threat(
    "G-107", sent="every way a request may end", verdict="the shared count of running requests is right"
)
@pytest.mark.parametrize(
    ("request_bytes", "way"),
    [
        (GET, "read"),
        (b"GARBAGE\r\n\r\n", "read"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 99\r\n\r\n", "read"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n9\r\n123456789\r\n", "read"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "read"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhel", "close"),
        (b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhel", "reset"),
        (GET + GET + GET, "close"),
        (GET + GET + GET, "reset"),
        (b"GET /fail HTTP/1.1\r\nHost: t\r\n\r\n", "read"),
        (b"GET /cut HTTP/1.1\r\nHost: t\r\n\r\n", "read_to_end"),
    ],
)
@in_loop
async def test_every_way_to_end_is_counted_once(request_bytes: bytes, way: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/fail":
            raise RuntimeError("on purpose")
        while (event := await receive())["type"] == "http.request" and event["more_body"]:
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/cut":
            await send({"type": "http.response.body", "body": b"o", "more_body": True})
            raise RuntimeError("on purpose")
        await send({"type": "http.response.body", "body": b"ok"})

    row = Row()
    async with serving(app, bounds={"body_bytes": 10}, server={"ledger_row": row.memory}) as server:
        for _ in range(3):
            client = await server.connect()
            await client.send(request_bytes)
            done = getattr(client, way)()
            if done is not None:
                await done
            client.close()
            await server.settled()
        assert row.read().ended == row.read().served
        assert row.texts() == []


@in_loop
async def test_connections_lent_to_threads_leave_nothing_behind() -> None:
    row = Row()
    async with serving(
        test_wsgi_threads.app, "wsgi", gateway={"threads": 3}, server={"ledger_row": row.memory}
    ) as server:
        done = await asyncio.gather(*(hammered(server, seed) for seed in range(4)))
        await server.settled()
        await until(lambda: row.read().in_flight == 0)
        reading = row.read()
        assert reading.served == reading.ended >= sum(done)
        assert reading.requests == ()


async def hammered(server: Serving, seed: int) -> int:
    return await test_wsgi_threads.hammer(server, seed, 60)
