"""Which connections are kept, in both versions (RFC 9112 section 9.3), and pipelining (G-031)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, read_body, serving, until

CLOSE = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


async def echo_target(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, scope["raw_path"])


def get(target: str, *fields: str, version: str = "1.1") -> bytes:
    return "\r\n".join([f"GET {target} HTTP/{version}", "Host: t", *fields, "", ""]).encode()


@pytest.mark.parametrize(
    ("version", "fields", "is_kept"),
    [
        ("1.1", (), True),
        ("1.1", ("Connection: close",), False),
        ("1.1", ("Connection: Keep-Alive, CLOSE",), False),
        ("1.0", (), False),
        ("1.0", ("Connection: keep-alive",), True),
        ("1.0", ("Connection: Keep-Alive",), True),
        ("1.0", ("Connection: close, keep-alive",), False),
    ],
)
@in_loop
async def test_connection_is_kept_as_version_and_field_say(
    version: str, fields: tuple[str, ...], is_kept: bool
) -> None:
    async with serving(echo_target) as server, await server.connect() as client:
        answer = await client.ask(get("/one", *fields, version=version))
        assert answer.body == b"/one"
        if is_kept:
            assert answer.get("connection") == (b"keep-alive" if version == "1.0" else None)
            assert (await client.ask(get("/two", *fields, version=version))).body == b"/two"
        else:
            assert answer.get("connection") == b"close"
            await client.ended()


@in_loop
async def test_answer_of_unknown_length_ends_a_1_0_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"b"})

    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask(get("/", "Connection: keep-alive", version="1.0"))
        assert (answer.framing, answer.body, answer.is_complete) == ("close", b"ab", True)
        assert answer.get("connection") == b"close"
        assert answer.get("transfer-encoding") is None


@in_loop
async def test_application_may_end_the_connection() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, headers=[(b"connection", b"close")])

    async with serving(app) as server, await server.connect() as client:
        assert (await client.ask()).get("connection") == b"close"
        await client.ended()


@in_loop
async def test_connection_ends_after_its_last_request() -> None:
    async with serving(echo_target, bounds={"keep_alive_requests": 3}) as server, await server.connect() as client:
        answers = [await client.ask() for _ in range(3)]
        assert [answer.get("connection") for answer in answers] == [None, None, b"close"]
        await client.ended()


@in_loop
async def test_thousand_pipelined_requests_are_answered_in_order() -> None:
    running = most = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        await answer_with(send, scope["raw_path"])
        running -= 1

    async with serving(app) as server, await server.connect() as client:
        sending = asyncio.create_task(client.send(b"".join(get(f"/{i}") for i in range(1000))))
        for i in range(1000):
            assert (await client.read()).body == b"/%d" % i
        await sending
        assert most <= 2  # The task of a complete answer may still be ending while the next begins.


@in_loop
async def test_nothing_is_parsed_behind_a_bad_request() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await answer_with(send)

    async with serving(app) as server, await server.connect() as client:
        await client.send(get("/good") + b"BAD\r\n\r\n" + get("/canary"))
        assert (await client.read()).status == 200
        bad = await client.read()
        assert (bad.status, bad.get("connection")) == (400, b"close")
        await client.ended()
    assert seen == ["/good"]


@in_loop
async def test_nothing_is_parsed_behind_connection_close() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await asyncio.sleep(0)
        await answer_with(send)

    async with serving(app) as server, await server.connect() as client:
        await client.send(CLOSE + get("/canary"))
        assert (await client.read()).get("connection") == b"close"
        await client.ended()
        assert not client.is_reset
    assert seen == ["/"]


@in_loop
async def test_body_of_a_get_is_never_the_next_request() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["method"], scope["path"]))
        await answer_with(send)

    canary = get("/canary")
    async with serving(app) as server:
        for method in ("GET", "DELETE", "OPTIONS", "HEAD", "POST"):
            async with await server.connect() as client:
                head = f"{method} /a HTTP/1.1\r\nHost: t\r\nContent-Length: {len(canary)}\r\n\r\n".encode()
                assert (await client.ask(head + canary, method)).status == 200
                assert (await client.ask(get("/next"))).status == 200
    assert {path for _, path in seen} == {"/a", "/next"}


@in_loop
async def test_read_ahead_of_pipelined_requests_is_bounded() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    async with serving(app) as server, await server.connect() as client:
        block = GET * 40_000
        sent = client.send_what_fits(block)
        await until(lambda: len(server.connections()) == 1 and server.connections()[0].request is not None)
        [connection] = server.connections()
        while more := client.send_what_fits(block[sent:]):
            sent += more
            await asyncio.sleep(0.01)
        assert connection.wire.buffered <= 64 * 1024
        assert server.server.site is not None and server.server.site.running == 1
        go.set()
        assert (await client.read()).status == 200


@in_loop
async def test_answers_of_a_client_that_does_not_read_are_not_piled_up() -> None:
    begun = 0
    body = bytes(1024 * 1024)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await answer_with(send, body)

    async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as client:
        await client.send(GET * 200)
        await until(lambda: begun > 0 and server.connections()[0].transport.is_full())
        async with await server.connect() as other:
            for _ in range(50):
                assert (await other.ask()).body == body
        [blocked] = [one for one in server.connections() if one.transport.waiting]
        assert blocked.transport.waiting < 3 * len(body)
        for _ in range(200):
            assert (await client.read()).body == body


@in_loop
async def test_pipelined_bodies_reach_their_own_requests() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        body, is_complete = await read_body(receive)
        assert is_complete
        await answer_with(send, body)

    requests = b"".join(
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nno %02d" % i
        if i % 2
        else b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nno %02d\r\n0\r\n\r\n" % i
        for i in range(50)
    )
    async with serving(app) as server, await server.connect() as client:
        await client.send(requests)
        for i in range(50):
            assert (await client.read()).body == b"no %02d" % i


@in_loop
async def test_a_body_that_is_just_too_much_for_one_read_is_read_to_its_end() -> None:
    """With its head, a body of 64 KiB is. What has come of it is one message, and nothing behind it is read ahead."""
    behind = GET * 3
    body = bytes(range(256)) * 256
    request = b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 65536\r\n\r\n" + body
    messages: list[Any] = []
    ahead: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            messages.append(await receive())
            ahead.append(server.connections()[0].wire.buffered)
        await answer_with(send)

    async with serving(app) as server, await server.connect() as client:
        assert client.send_what_fits(request + behind) == len(request + behind), "the kernel takes all of it at once"
        for _ in range(1 + behind.count(b"GET")):
            assert (await client.read()).status == 200
    assert [(message["body"], message["more_body"]) for message in messages] == [(body, False)]
    assert ahead == [0]
