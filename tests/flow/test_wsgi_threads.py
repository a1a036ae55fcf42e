"""Connections lent to threads and given back, while clients come and go at random."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.inprocess import GET, Serving, in_loop, logged, serving, until


def app(environ: Any, start_response: Any) -> Any:
    data = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
    size = int(environ["QUERY_STRING"] or 3)
    if environ["PATH_INFO"] == "/stream":
        return (bytes(size) for _ in range(4))
    return [data or bytes(size)]


async def hammer(server: Serving, seed: int, rounds: int) -> int:
    """Ask at random; leave at random. Returns how many answers were read whole."""
    dice = random.Random(seed)
    done = 0
    client = await server.connect(receive_buffer_bytes=dice.choice([0, 8192]))
    for number in range(rounds):
        kind = dice.randrange(12)
        path = f"/{seed}-{number}"
        if kind == 0:
            # Leave, in one of three ways, at one of several moments.
            if dice.random() < 0.6:
                await client.send(f"GET {path}?{dice.choice([3, 300_000])} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            if dice.random() < 0.5:
                await asyncio.sleep(0)
            client.reset() if dice.random() < 0.5 else client.close()
            client = await server.connect()
        elif kind == 1:
            body = dice.randbytes(dice.choice([1, 1000, 200_000]))
            head = f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            assert (await client.ask(head + body)).body == body
            done += 1
        elif kind == 2:
            answer = await client.ask(b"GET /stream?50000 HTTP/1.1\r\nHost: t\r\n\r\n")
            assert answer.is_complete and len(answer.body) == 200_000
            done += 1
        elif kind == 3:
            targets = [f"{path}-{i}" for i in range(5)]
            await client.send("".join(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n" for target in targets).encode())
            for target in targets:
                assert (await client.read()).get("x-path") == target.encode()
                done += 1
        else:
            answer = await client.ask(f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
            assert (answer.get("x-path"), answer.body) == (path.encode(), bytes(3))
            done += 1
    client.close()
    return done


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads that change at almost every step show what was left to luck."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless_threads")
@pytest.mark.parametrize("threads", [1, 4])
@in_loop
async def test_two_hundred_restless_connections(threads: int) -> None:
    with logged() as log:
        async with serving(app, "wsgi", gateway={"threads": threads}, timeouts={"linger_s": 0.1}) as server:
            done = await asyncio.gather(*(hammer(server, seed, 20) for seed in range(200)))
            assert sum(done) > 200 * 15
            await server.settled(0)
            site = server.server.site
            assert site is not None
            assert site.running == 0
            assert site.gateway.running() == 0
            async with await server.connect() as client:
                assert (await client.ask()).status == 200
    assert log.errors() == []


@in_loop
async def test_client_that_left_while_a_thread_works_is_let_go() -> None:
    loop = asyncio.get_running_loop()
    is_running = asyncio.Event()
    go = threading.Event()

    def waiting(environ: Any, start_response: Any) -> Any:
        loop.call_soon_threadsafe(is_running.set)
        go.wait(20)
        start_response("200 OK", [])
        return [bytes(100), bytes(100)]

    with logged() as log:
        async with serving(waiting, "wsgi") as server:
            for way in ("close", "reset"):
                is_running.clear()
                go.clear()
                client = await server.connect()
                await client.send(GET)
                await is_running.wait()
                getattr(client, way)()
                await asyncio.sleep(0.02)
                assert len(server.connections()) == 1
                go.set()
                await server.settled(0)
    assert log.errors() == []


@in_loop
async def test_half_closed_client_gets_what_a_thread_makes() -> None:
    async with serving(app, "wsgi") as server:
        for data in (GET, GET * 3, b"GET /stream?500000 HTTP/1.1\r\nHost: t\r\n\r\n"):
            async with await server.connect(receive_buffer_bytes=8192) as client:
                await client.send(data)
                client.finish_writing()
                for _ in range(data.count(b"GET")):
                    answer = await client.read()
                    assert (answer.status, answer.is_complete) == (200, True)
                await client.ended()


@in_loop
async def test_request_that_finds_no_thread_in_time_is_told_so() -> None:
    go = threading.Event()
    loop = asyncio.get_running_loop()
    is_running = asyncio.Event()

    def waiting(environ: Any, start_response: Any) -> Any:
        loop.call_soon_threadsafe(is_running.set)
        go.wait(20)
        start_response("200 OK", [])
        return [b"ok"]

    # The last request has to find the thread in this time, on a slow machine too.
    gateway = {"threads": 1, "thread_queue_timeout_s": 0.6}
    async with serving(waiting, "wsgi", gateway=gateway) as server:
        async with await server.connect() as first, await server.connect() as second:
            await first.send(GET)
            await is_running.wait()
            answer = await second.ask()
            assert answer.status == 503
            go.set()
            assert (await first.read()).body == b"ok"
            assert (await second.ask()).body == b"ok"


@in_loop
async def test_upload_that_breaks_off_never_reaches_the_application() -> None:
    seen = []

    def noting(environ: Any, start_response: Any) -> Any:
        seen.append(environ["PATH_INFO"])
        start_response("200 OK", [])
        return [b""]

    async with serving(noting, "wsgi") as server:
        for data in (
            b"POST /cut HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello",
            b"POST /cut HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        ):
            for way in ("close", "finish_writing", "reset"):
                client = await server.connect()
                await client.send(data)
                await until(lambda: bool(server.connections()) and server.connections()[0].request is not None)
                getattr(client, way)()
                await server.settled(0)
                client.close()
        async with await server.connect() as client:
            assert (await client.ask(b"GET /whole HTTP/1.1\r\nHost: t\r\n\r\n")).status == 200
    assert seen == ["/whole"]
