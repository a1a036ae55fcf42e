"""Requests and answers over HTTP/2: the same exchange as over HTTP/1, many at once."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.http2 import ACK, DATA, PREFACE, SETTINGS, WINDOW_UPDATE, data, headers, settings
from tests.support.inprocess import GET, answer_with, in_loop, logged, read_body, serving, until
from tests.support.multiplexed import Http2Client, request, speaking

INITIAL_WINDOW = 4


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await answer_with(send, b"hello", headers=[(b"content-type", b"text/plain")])


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body, is_complete = await read_body(receive)
    await answer_with(send, body if is_complete else b"cut")


async def body_of(client: Http2Client, stream: int) -> bytes:
    await client.answered(stream)
    assert client.status(stream) == 200
    return client.body(stream)


@in_loop
async def test_a_request_is_answered_and_the_scope_says_2() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await hello(scope, receive, send)

    async with serving(app) as server, speaking(server) as client:
        stream = await client.get(b"/a%20b?q=1", (b"x-one", b"1"), (b"cookie", b"a=1"), (b"cookie", b"b=2"))
        assert await body_of(client, stream) == b"hello"
        head = client.peer.heads[stream][0]
        assert head[b"content-type"] == b"text/plain"
        assert head[b"content-length"] == b"5"
        assert head[b"server"] == b"torana"
        assert b"date" in head
    scope = seen[0]
    assert (scope["http_version"], scope["method"], scope["path"]) == ("2", "GET", "/a b")
    assert (scope["scheme"], scope["raw_path"], scope["query_string"]) == ("http", b"/a%20b", b"q=1")
    assert scope["headers"] == [(b"host", b"t"), (b"x-one", b"1"), (b"cookie", b"a=1; b=2")]


@in_loop
async def test_wsgi_gets_the_same_request() -> None:
    seen: list[Any] = []

    def app(environ: Any, start_response: Any) -> Any:
        seen.append(environ)
        body = environ["wsgi.input"].read()
        start_response("201 Created", [("Content-Type", "text/plain")])
        return [b"got ", body]

    async with serving(app, "wsgi") as server, speaking(server) as client:
        stream = await client.post(b"abc")
        await client.answered(stream)
        assert (client.status(stream), client.body(stream)) == (201, b"got abc")
    assert seen[0]["SERVER_PROTOCOL"] == "HTTP/2"
    assert seen[0]["HTTP_HOST"] == "t"
    assert seen[0]["CONTENT_LENGTH"] == "3"


@in_loop
async def test_many_streams_at_once_each_have_their_own_answer() -> None:
    is_open = asyncio.Event()
    running = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal running
        running += 1
        if running == 100:
            is_open.set()
        await is_open.wait()
        await answer_with(send, scope["raw_path"])

    async with serving(app) as server, speaking(server) as client:
        streams = [await client.get(b"/%d" % i) for i in range(100)]
        await client.answered(*streams)
        assert [client.body(s) for s in streams] == [b"/%d" % i for i in range(100)]
        assert server.server.site is not None
        assert server.server.site.running == 0


@in_loop
async def test_a_body_comes_in_pieces_and_goes_back_in_pieces() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            event = await receive()
            await send({"type": "http.response.body", "body": event["body"], "more_body": event["more_body"]})
            if not event["more_body"]:
                return

    async with serving(app) as server, speaking(server) as client:
        stream = client.number()
        await client.send(headers(stream, request(method=b"POST"), is_end=False))
        for piece in (b"one", b"two", b"three"):
            await client.send(data(stream, piece, is_end=piece == b"three"))
            await client.until(lambda piece=piece: client.body(stream).endswith(piece))
        await client.answered(stream)
        assert client.body(stream) == b"onetwothree"


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_a_large_body_passes_both_ways_and_windows_are_given_back(interface: str) -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    async with serving(echo if interface == "asgi3" else wsgi, interface) as server:
        async with speaking(server, (INITIAL_WINDOW, 1 << 24)) as client:
            await client.send(b"\0\0\4\x08\0\0\0\0\0\x00\xff\xff\xff")
            sent = os.urandom(3_000_000)
            stream = client.number()
            await client.send(headers(stream, request(method=b"POST"), is_end=False))
            left, allowed, seen = memoryview(sent), 262_144, 0
            while left:
                count = min(len(left), allowed, 16_384)
                if count:
                    await client.send(data(stream, bytes(left[:count]), is_end=count == len(left)))
                    left, allowed = left[count:], allowed - count
                    continue
                await client.read()
                # The stream's window is the narrower one.
                grown = sum(f.number for f in client.peer.frames if f.kind == WINDOW_UPDATE and f.stream == stream)
                allowed, seen = allowed + grown - seen, grown
            await client.answered(stream)
            assert client.body(stream) == sent


@in_loop
async def test_an_application_that_does_not_read_holds_the_client_back() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        body, _ = await read_body(receive)
        await answer_with(send, body[-4:])

    async with serving(app) as server, speaking(server) as client:
        stream = client.number()
        await client.send(headers(stream, request(method=b"POST"), is_end=False))
        for _ in range(15):
            await client.send(data(stream, bytes(16_384)))
        await client.settled()
        assert [f for f in client.peer.frames if f.kind == WINDOW_UPDATE and f.stream == stream] == []
        go.set()
        await client.until(lambda: any(f.kind == WINDOW_UPDATE and f.stream for f in client.peer.frames))
        await client.send(data(stream, b"end", is_end=True))
        await client.answered(stream)
        assert client.body(stream) == b"\0end"


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_an_answer_waits_for_the_window_and_so_does_the_application(interface: str) -> None:
    written = 0

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        nonlocal written
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for i in range(64):
            await send({"type": "http.response.body", "body": bytes([i]) * 16_384, "more_body": i < 63})
            written += 1

    def wsgi(environ: Any, start_response: Any) -> Any:
        nonlocal written
        start_response("200 OK", [])
        for i in range(64):
            yield bytes([i]) * 16_384
            written += 1

    async with serving(asgi if interface == "asgi3" else wsgi, interface) as server:
        async with speaking(server, (INITIAL_WINDOW, 10_000)) as client:
            stream = await client.get()
            await client.until(lambda: len(client.body(stream)) == 10_000)
            await client.settled()
            assert written < 16
            bystander = await client.get()
            await client.until(lambda: len(client.body(bystander)) == 10_000)
            for number in (0, stream, bystander):
                await client.send(b"\0\0\4\x08\0" + number.to_bytes(4, "big") + (1 << 22).to_bytes(4, "big"))
            await client.answered(stream, bystander)
            assert client.body(stream) == b"".join(bytes([i]) * 16_384 for i in range(64)) == client.body(bystander)


@in_loop
async def test_trailers_go_both_ways() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read_body(receive)
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"x"})
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})

    async with serving(app) as server, speaking(server) as client:
        stream = client.number()
        await client.send(
            headers(stream, request(b"/", (b"te", b"trailers"), method=b"POST"), is_end=False),
            data(stream, b"abc"),
            headers(stream, [(b"x-sum", b"1")], is_end=True),
        )
        await client.answered(stream)
        assert client.body(stream) == b"x"
        assert client.peer.heads[stream][1] == {b"grpc-status": b"0"}


@in_loop
async def test_early_hints_come_first() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload"]})
        await send({"type": "http.response.body", "body": b"x"})

    async with serving(app) as server, speaking(server) as client:
        stream = await client.get()
        await client.answered(stream)
        assert client.peer.heads[stream][0] == {b":status": b"103", b"link": b"</a.css>; rel=preload"}
        assert client.peer.heads[stream][1][b":status"] == b"200"


@pytest.mark.parametrize("status, method", [(200, b"HEAD"), (204, b"GET"), (304, b"GET")])
@in_loop
async def test_answers_without_content_have_no_data(status: int, method: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer_with(send, b"content" if method == b"HEAD" else b"", status=status)

    async with serving(app) as server, speaking(server) as client:
        stream = client.number()
        await client.send(headers(stream, request(method=method)))
        await client.answered(stream)
        assert client.status(stream) == status
        assert client.sizes(stream) == []
        assert client.peer.heads[stream][0].get(b"content-length") == (b"7" if method == b"HEAD" else None)


@in_loop
async def test_expect_100_continue_is_told_when_the_body_is_wanted() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await echo(scope, receive, send)

    async with serving(app) as server, speaking(server) as client:
        stream = client.number()
        fields = request(b"/", (b"expect", b"100-continue"), method=b"POST")
        await client.send(headers(stream, fields, is_end=False))
        await client.settled()
        assert stream not in client.peer.heads
        go.set()
        await client.until(lambda: stream in client.peer.heads)
        assert client.peer.heads[stream] == [{b":status": b"100"}]
        await client.send(data(stream, b"abc", is_end=True))
        await client.answered(stream)
        assert client.body(stream) == b"abc"


@pytest.mark.parametrize("size", [0, 1, 70_000, 1_000_000])
@in_loop
async def test_a_file_is_read_as_the_stream_drains(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = os.urandom(size)
    path.write_bytes(content)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(path)})

    async with serving(app) as server, speaking(server, (INITIAL_WINDOW, 50_000)) as client:
        stream = await client.get()
        allowed = 50_000
        while stream not in client.peer.ended:
            await client.read()
            if len(client.body(stream)) == allowed:
                allowed += 50_000
                for number in (0, stream):
                    await client.send(b"\0\0\4\x08\0" + number.to_bytes(4, "big") + (50_000).to_bytes(4, "big"))
        assert client.body(stream) == content
        assert client.peer.heads[stream][0][b"content-length"] == b"%d" % size


@in_loop
async def test_what_follows_a_file_stays_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"f" * 200_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        with path.open("rb") as file:
            await send({"type": "http.response.zerocopysend", "file": file, "more_body": True})
        await send({"type": "http.response.body", "body": b"end"})
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

    async with serving(app) as server, speaking(server, (INITIAL_WINDOW, 1 << 20)) as client:
        await client.send(b"\0\0\4\x08\0\0\0\0\0\x00\x10\x00\x00")
        stream = await client.get(b"/", (b"te", b"trailers"))
        await client.answered(stream)
        assert client.body(stream) == b"f" * 200_000 + b"end"
        assert client.peer.heads[stream][1] == {b"x-sum": b"1"}


@in_loop
async def test_a_file_that_ends_early_cuts_the_stream_only(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"f" * 300_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/ok":
            await answer_with(send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": str(path)})

    async with serving(app) as server, speaking(server) as client:
        stream = await client.get()
        await client.until(lambda: len(client.body(stream)) == 65_535)
        os.truncate(path, 100_000)
        for number in (0, stream):
            await client.send(b"\0\0\4\x08\0" + number.to_bytes(4, "big") + (1 << 20).to_bytes(4, "big"))
        await client.answered(stream)
        assert client.peer.resets == {stream: 2}
        assert await body_of(client, await client.get(b"/ok")) == b"ok"


@pytest.mark.parametrize("interface", ["asgi3", "wsgi"])
@in_loop
async def test_a_failure_before_the_answer_is_a_500_and_later_a_reset(interface: str) -> None:
    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ValueError("wrong")

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        if environ["PATH_INFO"] == "/late":
            yield b"part"
        raise ValueError("wrong")

    with logged() as log:
        async with serving(asgi if interface == "asgi3" else wsgi, interface) as server, speaking(server) as client:
            early, late = await client.get(), await client.get(b"/late")
            await client.answered(early, late)
            assert client.status(early) == 500
            assert client.peer.resets == {late: 2}
            assert late not in client.peer.ended
    assert len(log.errors()) >= 2


@in_loop
async def test_an_answer_before_the_body_ends_the_stream_and_frees_the_windows() -> None:
    async with serving(hello) as server, speaking(server) as client:
        for _ in range(20):
            stream = client.number()
            await client.send(headers(stream, request(method=b"POST"), is_end=False))
            for _ in range(4):
                await client.send(data(stream, bytes(16_384)))
            await client.answered(stream)
            assert client.status(stream) == 200
            assert client.body(stream) == b"hello"
            await client.send(data(stream, b"", is_end=True))
        assert await body_of(client, await client.get()) == b"hello"


@in_loop
async def test_a_declared_and_a_counted_body_that_is_too_large_get_413() -> None:
    async with serving(echo, bounds={"body_bytes": 1000}) as server, speaking(server) as client:
        declared, counted = client.number(), client.number()
        fields = request(b"/", (b"content-length", b"1001"), method=b"POST")
        await client.send(headers(declared, fields, is_end=False))
        await client.send(headers(counted, request(method=b"POST"), is_end=False), data(counted, bytes(1001)))
        await client.answered(declared, counted)
        assert (client.status(declared), client.status(counted)) == (413, 413)
        assert await body_of(client, await client.post(b"x")) == b"x"


@in_loop
async def test_more_requests_than_may_run_get_503() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await go.wait()
        await answer_with(send)

    async with serving(app, bounds={"concurrency": 2}) as server, speaking(server) as client:
        streams = [await client.get() for _ in range(3)]
        await client.answered(streams[2])
        assert client.status(streams[2]) == 503
        assert client.peer.heads[streams[2]][0][b"retry-after"] == b"1"
        go.set()
        await client.answered(*streams)
        assert [client.status(s) for s in streams] == [200, 200, 503]


@in_loop
async def test_the_access_log_has_a_line_for_each_stream(tmp_path: Path) -> None:
    from torana.serve.options import AccessLogOptions

    path = tmp_path / "log"
    log = AccessLogOptions(format="combined", file=str(path))
    async with serving(hello, serve={"access_log": log}) as server, speaking(server) as client:
        first, second = await client.get(b"/a"), await client.get(b"/b")
        await client.answered(first, second)
    lines = path.read_text().splitlines()
    assert ['"GET /a HTTP/2" 200 5' in lines[0], '"GET /b HTTP/2" 200 5' in lines[1]] == [True, True]


@in_loop
async def test_the_health_path_is_answered_and_its_slot_is_free_again() -> None:
    async with serving(hello, serve={"health_path": "/up"}) as server, speaking(server) as client:
        for _ in range(300):
            stream = await client.get(b"/up")
            await client.answered(stream)
            assert (client.status(stream), client.body(stream)) == (200, b"ok")


# --- which HTTP is spoken


@in_loop
async def test_the_preface_may_come_cut_anywhere() -> None:
    async with serving(hello) as server:
        for cut in range(1, len(PREFACE) + 9):
            async with speaking(server, is_greeted=False) as client:
                whole = PREFACE + settings() + settings(flags=ACK) + headers(1)
                await client.send(whole[:cut])
                await asyncio.sleep(0)
                held = server.connections()
                await until(lambda held=held: bool(held) or bool(server.connections()))
                await client.send(whole[cut:])
                await client.answered(1)
                assert client.status(1) == 200
        async with speaking(server, is_greeted=False) as client:
            for i in range(len(whole)):
                await client.send(whole[i : i + 1])
                await asyncio.sleep(0.001)
            await client.answered(1)


@pytest.mark.parametrize("method", [b"P", b"PR", b"PRI", b"PUT", b"POST", b"PROPFIND"])
@in_loop
async def test_methods_that_begin_like_the_preface_are_http1(method: bytes) -> None:
    async with serving(echo) as server, await server.connect() as client:
        await client.send(method[:1])
        await until(lambda: len(server.connections()) == 1)
        await asyncio.sleep(0.005)
        await client.send(method[1:] + b" / HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n")
        assert (await client.read()).status == 200


@in_loop
async def test_http_1_speaks_no_http2() -> None:
    async with serving(hello, serve={"versions": "1"}) as server, await server.connect() as client:
        await client.send(PREFACE + settings())
        answer = await client.read()
        assert answer.status in (400, 505)
        await client.ended()


@in_loop
async def test_http_2_alone_refuses_http1() -> None:
    async with serving(hello, serve={"versions": "2"}) as server:
        async with await server.connect() as client:
            assert (await client.ask(GET)).status == 505
            await client.ended()
        async with speaking(server) as spoken:
            assert await body_of(spoken, await spoken.get()) == b"hello"


@in_loop
async def test_an_upgrade_to_h2c_is_passed_over() -> None:
    async with serving(hello) as server, await server.connect() as client:
        fields = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
        answer = await client.ask(b"GET / HTTP/1.1\r\nHost: t\r\n" + fields + b"\r\n")
        assert (answer.status, answer.body) == (200, b"hello")


@in_loop
async def test_our_settings_come_before_anything_else() -> None:
    async with serving(hello) as server, speaking(server, is_greeted=False) as client:
        await client.send(PREFACE, settings(), headers(1))
        await client.answered(1)
        assert client.peer.frames[0].kind == SETTINGS
        assert not client.peer.frames[0].flags & ACK
        assert client.count(DATA) == 1
