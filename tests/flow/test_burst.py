"""Answers that leave together (``base/burst``): all of them, in order, and none because of a slow neighbour late."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.support.inprocess import Client, Serving, in_loop, serving

MANY = 40


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: t\r\n\r\n".encode()


async def crowd(server: Serving, count: int) -> list[Client]:
    """Clients whose next requests the server will find all at once."""
    clients = [await server.connect() for _ in range(count)]
    for client in clients:
        assert (await client.ask(request("/hello"))).body == b"/hello"
    return clients


@in_loop
async def test_answers_of_a_thread_do_not_wait_for_its_next_call_that_blocks() -> None:
    blocked, is_free = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/block":
            blocked.set()
            assert is_free.wait(20)
        return [environ["PATH_INFO"].encode()]

    async with serving(app, "wsgi", gateway={"threads": 1}) as server:
        clients = await crowd(server, MANY + 2)
        *quick, blocker, behind = clients
        for number, client in enumerate(quick):
            await client.send(request(f"/{number}"))
        await blocker.send(request("/block"))
        await behind.send(request("/behind"))
        for number, client in enumerate(quick):
            assert (await client.read()).body == b"/%d" % number
        assert blocked.wait(20) and not is_free.is_set()
        is_free.set()
        assert (await blocker.read()).body == b"/block"
        assert (await behind.read()).body == b"/behind"
        for client in clients:
            client.close()


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_a_client_that_does_not_read_or_is_gone_disturbs_no_neighbour(interface: str) -> None:
    size = 7000

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        body = scope["path"].encode().ljust(size)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": body})

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", str(size))])
        return [environ["PATH_INFO"].encode().ljust(size)]

    app = asgi if interface == "asgi3" else wsgi
    async with serving(app, interface, gateway={"threads": 2}, transport={"write_high_bytes": 16384}) as server:
        idle = await server.connect(receive_buffer_bytes=4096)
        others = [await server.connect() for _ in range(8)]
        gone = await server.connect()
        pipelined = 1000
        asked = "".join(f"GET /{number} HTTP/1.1\r\nHost: t\r\n\r\n" for number in range(pipelined)).encode()
        sending = asyncio.ensure_future(idle.send(asked))
        for turn in range(20):
            for client in others:
                await client.send(request(f"/{turn}"))
            if turn == 3:
                await gone.send(request("/gone"))
                gone.reset()
            for client in others:
                assert (await client.read()).body == (b"/%d" % turn).ljust(size)
        # Nothing of the slow reader's was lost or changed places either.
        for number in range(pipelined):
            assert (await idle.read()).body == (b"/%d" % number).ljust(size)
        await sending
        for client in (idle, *others):
            client.close()


@in_loop
async def test_the_last_answer_of_a_connection_arrives_before_its_end() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async with serving(app) as server:
        clients = [await server.connect() for _ in range(MANY)]
        for number, client in enumerate(clients):
            await client.send(request(f"/{number}"))
        for number, client in enumerate(clients):
            answer = await client.read()
            assert answer.is_complete and answer.body == b"/%d" % number
            await client.ended()
            client.close()
