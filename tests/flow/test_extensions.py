"""The extensions of ASGI's http scope over a real connection (``spec.md`` EXT)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, logged, serving, until

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
HEAD = b"HEAD / HTTP/1.1\r\nHost: t\r\n\r\n"
GET_1_0 = b"GET / HTTP/1.0\r\n\r\n"
DATA = bytes(range(256)) * 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


async def offered() -> list[set[str]]:
    """The names of the extensions in the scopes of a request of HTTP/1.1 and of HTTP/1.0."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(set(scope["extensions"]))
        await answer_with(send)

    async with serving(app) as server:
        for data in (GET, GET_1_0):
            async with await server.connect() as client:
                await client.ask(data)
    return seen


@in_loop
async def test_scope_names_what_is_there() -> None:
    common = {"http.response.early_hint", "http.response.pathsend", "http.response.zerocopysend"}
    assert await offered() == [common | {"http.response.trailers"}, common]


@in_loop
async def test_files_by_path_are_not_offered_to_what_would_drop_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Middleware that lets only messages through that it knows: Starlette's answer with a file would never begin."""
    monkeypatch.setitem(sys.modules, "brotli_asgi", ModuleType("brotli_asgi"))
    assert not {"http.response.pathsend"} & set.union(*await offered())


@pytest.mark.parametrize("is_first", [True, False])
@in_loop
async def test_early_hints_come_ahead_of_the_head(is_first: bool) -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (hint, START) if is_first else (START, hint):
            await send(message)
        await send({"type": "http.response.body", "body": b"ok"})
        await send(hint)

    async with serving(app) as server, await server.connect() as client:
        hinted = await client.ask()
        assert hinted.status == 200
        await client.send(GET)
        hinted = await client.read(skip_interim=False)
        assert (hinted.status, hinted.get_all("link")) == (103, hint["links"])
        assert (await client.read(skip_interim=False)).status == 200
        async with await server.connect() as old:
            await old.send(GET_1_0)
            assert (await old.read(skip_interim=False)).status == 200


@pytest.mark.parametrize("takes", [True, False])
@in_loop
async def test_trailers_reach_who_takes_them(takes: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START | {"trailers": True, "headers": [(b"trailer", b"x-sum")]})
        await send({"type": "http.response.body", "body": b"data"})
        await send({"type": "http.response.trailers", "headers": [(b"X-Sum", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-more", b"2")]})

    te = b"TE: trailers\r\nConnection: TE\r\n" if takes else b""
    async with serving(app) as server, await server.connect() as client:
        for _ in range(2):
            answer = await client.ask(b"GET / HTTP/1.1\r\nHost: t\r\n" + te + b"\r\n")
            assert (answer.body, answer.is_complete) == (b"data", True)
            assert answer.trailers == ([(b"x-sum", b"1"), (b"x-more", b"2")] if takes else [])


@pytest.mark.parametrize("request_bytes", [GET, GET_1_0, HEAD])
@in_loop
async def test_pathsend(file: Path, request_bytes: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(file)})

    method = request_bytes.split()[0].decode()
    async with serving(app) as server, await server.connect() as client:
        for _ in range(1 if request_bytes is GET_1_0 else 3):
            answer = await client.ask(request_bytes, method)
            assert answer.get("content-length") == b"%d" % len(DATA)
            assert answer.body == (b"" if method == "HEAD" else DATA)


@in_loop
async def test_missing_file_can_still_be_answered(tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        try:
            await send({"type": "http.response.pathsend", "path": str(tmp_path / "none")})
        except FileNotFoundError:
            await answer_with(send, b"none", 404)

    async def careless(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": str(tmp_path / "none")})

    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask()
        assert (answer.status, answer.body) == (404, b"none")
    async with serving(careless) as server, await server.connect() as client:
        assert (await client.ask()).status == 500


@pytest.mark.parametrize("kind", ["directory", "relative", "fifo"])
@in_loop
async def test_only_a_regular_file_has_a_path_to_send(tmp_path: Path, kind: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    path = {"directory": str(tmp_path), "relative": "file", "fifo": str(tmp_path / "fifo")}[kind]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.pathsend", "path": path})

    async with serving(app) as server, await server.connect() as client:
        assert (await client.ask()).status == 500


@pytest.mark.parametrize("request_bytes", [GET, GET_1_0, HEAD])
@in_loop
async def test_zerocopysend_of_a_part_closed_right_after(file: Path, request_bytes: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        with file.open("rb") as source:
            await send({"type": "http.response.zerocopysend", "file": source, "offset": 1000, "count": 500_000})

    method = request_bytes.split()[0].decode()
    async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as client:
        answer = await client.ask(request_bytes, method)
        assert answer.get("content-length") == b"500000"
        assert answer.body == (b"" if method == "HEAD" else DATA[1000:501_000])


@in_loop
async def test_zerocopysend_moves_on_from_where_the_file_stands(file: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"<", "more_body": True})
        with file.open("rb", buffering=0) as source:
            source.seek(10)
            for _ in range(3):
                await send({"type": "http.response.zerocopysend", "file": source, "count": 100_000, "more_body": True})
        await send({"type": "http.response.body", "body": b">"})

    async with serving(app) as server, await server.connect() as client:
        for _ in range(2):
            answer = await client.ask()
            assert (answer.body, answer.framing) == (b"<" + DATA[10:300_010] + b">", "chunked")


@pytest.mark.parametrize("request_bytes", [GET, HEAD])
@in_loop
async def test_zerocopysend_from_a_pipe(request_bytes: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        reader, writer = os.pipe()

        def fill() -> None:
            # The answer to HEAD is complete before all of the data is read.
            with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as pipe:
                pipe.write(DATA)

        filling = threading.Thread(target=fill)
        filling.start()
        await send(START)
        with os.fdopen(reader, "rb") as pipe:
            await send({"type": "http.response.zerocopysend", "file": pipe})
        filling.join()

    method = request_bytes.split()[0].decode()
    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask(request_bytes, method)
        assert (answer.body, answer.is_complete) == (b"" if method == "HEAD" else DATA, True)


@pytest.mark.parametrize("how", ["path", "file", "stream", "stream-1.0"])
@in_loop
async def test_file_that_shrinks_cuts_the_connection(tmp_path: Path, how: str) -> None:
    path = tmp_path / "large"
    with path.open("wb") as made:
        made.truncate(50_000_000)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        if how == "path":
            await send({"type": "http.response.pathsend", "path": str(path)})
            return
        with path.open("rb") as source:
            await send({"type": "http.response.zerocopysend", "file": source, "more_body": how != "file"})
        if how != "file":
            await send({"type": "http.response.body"})

    with logged() as log:
        async with serving(app) as server, await server.connect(receive_buffer_bytes=4096) as client:
            await client.send(GET_1_0 if how == "stream-1.0" else GET)
            await until(lambda: any(one.transport.waiting for one in server.connections()))
            os.truncate(path, 1000)
            answer = await client.read()
            assert (answer.status, answer.is_complete) == (200, False)
            await server.settled(0)
    assert log.errors() == []


@in_loop
async def test_no_descriptor_is_left_open(file: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        if scope["path"] == "/path":
            await send({"type": "http.response.pathsend", "path": str(file)})
        else:
            with file.open("rb") as source:
                await send({"type": "http.response.zerocopysend", "file": source})

    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    os.truncate(file, 50_000_000)
    async with serving(app) as server:
        # What earlier tests have left shall not be closed meanwhile.
        gc.collect()
        before = count()
        for target in (b"/path", b"/file"):
            async with await server.connect() as client:
                await client.ask(b"HEAD " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n", "HEAD")
            for _ in range(5):
                client = await server.connect(receive_buffer_bytes=4096)
                await client.send(b"GET " + target + b" HTTP/1.1\r\nHost: t\r\n\r\n")
                await until(lambda: any(one.transport.waiting for one in server.connections()))
                client.reset()
                await server.settled(0)
        await server.settled(0)
        await asyncio.sleep(0)
        assert count() == before
