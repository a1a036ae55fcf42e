"""More than a worker may hold: answered, never dropped, and nobody keeps a place by doing nothing (G-064, G-067)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, logged, serving, until


@in_loop
async def test_request_beyond_the_limit_is_told_to_come_again() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    async with serving(app, bounds={"concurrency": 2}) as server:
        clients = [await server.connect() for _ in range(3)]
        for client in clients[:2]:
            await client.send(GET)
        site = server.server.site
        assert site is not None
        await until(lambda: site.running == 2)
        answer = await clients[2].ask()
        assert (answer.status, answer.get("retry-after"), answer.get("connection")) == (503, b"1", None)
        go.set()
        assert [(await client.read()).status for client in clients[:2]] == [200, 200]
        assert (await clients[2].ask()).status == 200
        assert site.running == 0
        for client in clients:
            client.close()


@in_loop
async def test_overload_with_a_body_keeps_the_connection_too() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    async with serving(app, bounds={"concurrency": 1}) as server:
        async with await server.connect() as first, await server.connect() as second:
            await first.send(GET)
            await until(lambda: server.server.site is not None and server.server.site.running == 1)
            post = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"
            assert [(await second.ask(post)).status for _ in range(3)] == [503] * 3
            go.set()
            assert (await first.read()).status == 200
            assert (await second.ask(post)).status == 200


@in_loop
async def test_connection_beyond_the_cap_is_told_and_closed() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    with logged() as log:
        async with serving(app, bounds={"connections": 10}) as server:
            clients = [await server.connect() for _ in range(10)]
            for client in clients:
                await client.send(GET)
            await until(lambda: server.server.site is not None and server.server.site.running == 10)
            async with await server.connect() as surplus:
                answer = await surplus.ask()
                assert (answer.status, answer.get("retry-after")) == (503, b"1")
                assert answer.get("connection") == b"close"
                await surplus.ended()
            go.set()
            for client in clients:
                assert (await client.read()).status == 200
                client.close()
            await server.settled(0)
            async with await server.connect() as client:
                assert (await client.ask()).status == 200
    assert [line for line in log.lines("torana.refused") if "limit_connections" in line]


@in_loop
async def test_door_is_shut_far_beyond_the_cap_and_opens_again() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    async with serving(app, bounds={"connections": 10}) as server:
        clients = []
        for _ in range(30):
            # Asked at once: who is silent is sent away in favour of the next.
            clients.append(await server.connect())
            await clients[-1].send(GET)
        await until(lambda: server.server.site is not None and server.server.site.running == 10)
        assert len(server.connections()) <= 12 + 64
        go.set()
        answers = await asyncio.gather(*(client.read() for client in clients[:10]))
        assert {answer.status for answer in answers} == {200}
        for client in clients[:10]:
            client.close()
        later = await asyncio.gather(*(client.read() for client in clients[10:]))
        assert {answer.status for answer in later} <= {200, 503}
        for client in clients[10:]:
            client.close()


@in_loop
async def test_longest_idle_makes_way_for_the_newest() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    async with serving(app, bounds={"connections": 10}) as server:
        clients = []
        for _ in range(8):
            clients.append(await server.connect())
            assert (await clients[-1].ask()).status == 200
        # The second was used since, so that now the first, the third and the fourth are the oldest.
        assert (await clients[1].ask()).status == 200
        newer = []
        for _ in range(3):
            newer.append(await server.connect())
            assert (await newer[-1].ask()).status == 200
        for gone in (0, 2, 3):
            await clients[gone].ended()
        for i in (1, 4, 5, 6, 7):
            assert (await clients[i].ask()).status == 200
        for client in (*clients, *newer):
            client.close()


@in_loop
async def test_newcomers_do_not_push_each_other_out() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    async with serving(app, bounds={"connections": 10}) as server:
        clients = [await server.connect() for _ in range(10)]
        await server.settled(10)
        for client in clients:
            assert (await client.ask()).status == 200
        for client in clients:
            client.close()


@in_loop
async def test_heads_that_do_not_end_make_way_at_the_cap() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    async with serving(app, bounds={"connections": 10}) as server:
        clients = [await server.connect() for _ in range(10)]
        for client in clients:
            await client.send(b"GET / HTTP/1.1\r\nHost:")
        await server.settled(10)
        await asyncio.sleep(1.2)  # Younger ones are left alone.
        async with await server.connect() as late:
            assert (await late.ask()).status == 200
        for client in clients:
            client.close()


@pytest.mark.parametrize("count", [200])
@in_loop
async def test_connections_come_and_go(count: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send)

    async def one(server: Any, kind: int) -> None:
        client = await server.connect()
        if kind == 0:
            client.reset()
            return
        if kind == 1:
            await client.send(b"GET / HT")
        elif kind == 2:
            assert (await client.ask()).status == 200
        client.close()

    with logged() as log:
        async with serving(app) as server:
            await asyncio.gather(*(one(server, i % 4) for i in range(count)))
            await server.settled(0)
            assert server.server.site is not None and server.server.site.running == 0
    assert log.errors() == []
