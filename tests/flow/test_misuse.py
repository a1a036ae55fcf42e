"""Applications that break the rules or fail: a plain 500, or a cut that nobody takes for the whole (G-035 to G-038)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from tests.support.inprocess import GET, answer_with, in_loop, logged, serving

START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}
GET_1_0 = b"GET / HTTP/1.0\r\n\r\n"


def start(status: Any = 200, *headers: Any, **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: Any = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def saying(*messages: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


@pytest.mark.parametrize(
    "messages",
    [
        [START, START],
        [body(b"x")],
        [start("200")],
        [start(None)],
        [start(True)],
        [start(99)],
        [start(103)],
        [start(799)],
        [start(200, (b"x", "text"))],
        [start(200, ("x", b"text"))],
        [start(200, (b"a",))],
        [start(200, 7)],
        [{"type": "http.response.start", "status": 200, "headers": 7}],
        [START, body("text")],
        [START, body(None)],
        [start(200, (b"content-length", b"3")), body(b"ab")],
        [start(200, (b"content-length", b"3")), body(b"abcd")],
        [start(200, (b"content-length", b"+3")), body(b"abc")],
        [start(200, (b"content-length", b"3"), (b"content-length", b"4")), body(b"abc")],
        [{"type": "http.response.unknown"}],
        [{"no": "type"}],
        ["text"],
        [None],
        [],
        [START],
        [{"type": "http.response.debug", "info": {}}],
        [{"type": "websocket.accept"}],
    ],
)
@in_loop
async def test_mistake_before_the_first_byte_is_a_plain_500(messages: list[Any]) -> None:
    with logged() as log:
        async with serving(saying(*messages)) as server, await server.connect() as client:
            answer = await client.ask()
            assert answer.status == 500 and answer.body.endswith(b"Internal Server Error\n")
            # Nothing of it is wrong with the connection.
            assert (await client.ask()).status == 500
    assert len(log.errors()) == 2


@pytest.mark.parametrize("byte", [b"\r", b"\n", b"\0", b"\r\nX: y", b"\x7f"])
@pytest.mark.parametrize("place", ["name", "value", "trailer", "hint"])
@in_loop
async def test_nothing_can_be_slipped_into_a_head(byte: bytes, place: str) -> None:
    value = b"a" + byte + b"b"
    if place == "name":
        messages = [start(200, (value, b"x"))]
    elif place == "value":
        messages = [start(200, (b"x", value))]
    elif place == "hint":
        messages = [{"type": "http.response.early_hint", "links": [value]}]
    else:
        messages = [
            start(trailers=True), body(b"x"), {"type": "http.response.trailers", "headers": [(b"x", value)]},
        ]  # fmt: skip
    with logged() as log:
        async with serving(saying(*messages)) as server, await server.connect() as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: t\r\nTE: trailers\r\nConnection: close\r\n\r\n")
            got = await client.read_to_end()
    assert value not in got and b"X: y" not in got
    if place == "trailer":
        assert got.startswith(b"HTTP/1.1 200") and not got.endswith(b"0\r\n\r\n")
    else:
        assert got.startswith(b"HTTP/1.1 500")
    assert len(log.errors()) == 1


@in_loop
async def test_mistake_can_be_mended_by_who_made_it() -> None:
    """A message that was refused has changed nothing."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for wrong in (body(b"x"), start(99), start(200, (b"a b", b"x"))):
            with pytest.raises(RuntimeError):
                await send(wrong)
        await send(start(200, (b"content-length", b"2")))
        for wrong in (START, body("text"), body(b"xyz"), body(b"x")):
            with pytest.raises(RuntimeError):
                await send(wrong)
        await send(body(b"ok"))
        await send(START)  # Too late to matter.

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            assert (await client.ask()).body == b"ok"
            assert (await client.ask()).body == b"ok"
    assert log.errors() == []


class _Own(BaseException):
    pass


def _deep() -> None:
    _deep()


ERRORS = [
    ValueError,
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    _Own,
    GeneratorExit,
    MemoryError,
    StopIteration,
]


@pytest.mark.parametrize("error", [*ERRORS, "recursion"])
@pytest.mark.parametrize("moment", ["at once", "after start", "after data", "after all"])
@in_loop
async def test_failing_application_ends_nothing_but_its_own_answer(error: Any, moment: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/well":
            return await answer_with(send)
        if moment != "at once":
            await send(START)
        if moment == "after data":
            await send(body(b"part", True))
        if moment == "after all":
            await send(body(b"all"))
        if error == "recursion":
            _deep()
        raise error()

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            answer = await client.ask()
            if moment == "after data":
                assert (answer.status, answer.body, answer.is_complete) == (200, b"part", False)
                await client.ended()
            elif moment == "after all":
                assert (answer.status, answer.body, answer.is_complete) == (200, b"all", True)
            else:
                assert (answer.status, answer.is_complete) == (500, True)
            async with await server.connect() as other:
                assert (await other.ask(b"GET /well HTTP/1.1\r\nHost: t\r\n\r\n")).status == 200
            assert server.server.site is not None and server.server.site.running == 0
    assert len(log.errors()) == (0 if moment == "after all" and error is asyncio.CancelledError else 1)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt, _Own, "recursion"])
@pytest.mark.parametrize("moment", ["at once", "after start", "after data", "in close"])
@in_loop
async def test_failing_wsgi_application_ends_nothing_but_its_own_answer(error: Any, moment: str) -> None:
    def fail() -> None:
        if error == "recursion":
            _deep()
        raise error()

    class Body:
        def __iter__(self) -> Any:
            yield b"part"
            if moment == "after data":
                fail()

        def close(self) -> None:
            if moment == "in close":
                fail()

    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/well":
            start_response("200 OK", [])
            return [b"ok"]
        if moment == "at once":
            fail()
        start_response("200 OK", [])
        if moment == "after start":
            fail()
        return Body()

    with logged() as log:
        async with serving(app, "wsgi") as server, await server.connect() as client:
            answer = await client.ask()
            if moment == "after data":
                assert (answer.status, answer.is_complete) == (200, False)
            elif moment == "in close":
                assert (answer.body, answer.is_complete) == (b"part", True)
            else:
                assert (answer.status, answer.is_complete) == (500, True)
            async with await server.connect() as other:
                assert (await other.ask(b"GET /well HTTP/1.1\r\nHost: t\r\n\r\n")).status == 200
    assert len(log.errors()) == 1


@in_loop
async def test_cut_of_an_answer_that_only_the_close_ends_is_a_reset() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(body(b"part", True))
        raise ValueError

    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask(GET_1_0)
        assert answer.framing == "close" and not answer.is_complete
        assert client.is_reset


@pytest.mark.parametrize("status", [204, 304, 205])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@in_loop
async def test_answer_without_a_body_has_none_whatever_is_sent(status: int, method: str) -> None:
    app = saying(start(status, (b"content-length", b"5")), body(b"hello"))
    async with serving(app) as server, await server.connect() as client:
        for _ in range(2):
            answer = await client.ask(f"{method} / HTTP/1.1\r\nHost: t\r\n\r\n".encode(), method)
            assert (answer.status, answer.body) == (status, b"")


@in_loop
async def test_fields_of_the_connection_are_the_servers() -> None:
    app = saying(
        start(200, (b"transfer-encoding", b"gzip"), (b"upgrade", b"x"), (b"keep-alive", b"timeout=9"), (b"TE", b"x")),
        body(b"ok"),
    )
    async with serving(app) as server, await server.connect() as client:
        answer = await client.ask()
        assert answer.body == b"ok"
        assert [answer.get(name) for name in ("transfer-encoding", "upgrade", "keep-alive", "te")] == [None] * 4


@pytest.mark.parametrize("data", [b"four", bytearray(b"four"), memoryview(b"four"), memoryview(b"f o u r ")[::2]])
@in_loop
async def test_body_may_be_any_kind_of_bytes(data: Any) -> None:
    app = saying(START, body(data, True), body(data))
    async with serving(app) as server, await server.connect() as client:
        assert (await client.ask()).body == b"fourfour"
        assert (await client.ask(GET_1_0)).body == b"fourfour"


@in_loop
async def test_view_of_wide_items_is_counted_in_bytes() -> None:
    wide = memoryview(bytes(range(8))).cast("I")
    async with serving(saying(START, body(wide))) as server, await server.connect() as client:
        assert (await client.ask()).body == bytes(range(8))
    app = saying(start(200, (b"content-length", b"8")), body(wide))
    async with serving(app) as server, await server.connect() as client:
        assert (await client.ask()).body == bytes(range(8))


@in_loop
async def test_buffer_may_be_reused_after_send() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        buffer = bytearray(100_000)
        await send(START)
        for i in range(30):
            buffer[:] = bytes([i]) * len(buffer)
            await send(body(buffer, True))
        await send(body())

    async with serving(app) as server, await server.connect(receive_buffer_bytes=8192) as client:
        assert (await client.ask()).body == b"".join(bytes([i]) * 100_000 for i in range(30))


@in_loop
async def test_errors_say_nothing_of_the_request() -> None:
    probe = b"%3Cscript%3E\x1b[31mprobe"
    async with serving(saying()) as server:
        for data in (
            b"GET /" + probe.replace(b"\x1b", b"%1b") + b" HTTP/1.1\r\nHost: t\r\nX-probe: probe\r\n\r\n",
            b"GET /" + probe + b" HTTP/1.1\r\nHost: t\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: t\r\nprobe probe: probe\r\n\r\n",
            b"probe\r\n\r\n",
            b"GET /" + b"probe" * 3000 + b" HTTP/1.1\r\nHost: t\r\n\r\n",
        ):
            async with await server.connect() as client:
                answer = await client.ask(data)
                assert answer.status >= 400 and answer.is_complete
                assert b"probe" not in answer.body and b"script" not in answer.body
                assert answer.get("x-content-type-options") == b"nosniff"
                assert answer.get("content-type") == b"text/plain; charset=utf-8"
                assert all(b"probe" not in value for _, value in answer.fields)


@in_loop
async def test_log_of_a_failure_names_the_applications_line_and_no_raw_bytes() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(body(b"x"))

    with logged() as log:
        async with serving(app) as server, await server.connect() as client:
            await client.ask(b"GET /%1b[31m HTTP/1.1\r\nHost: t\r\n\r\n")
            await client.ask(GET)
    assert "test_misuse.py" in log.errors()[0]
    assert "\x1b" not in log.errors()[0]


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        ([START, START], "http.response.start"),
        ([body(b"x")], "http.response.body"),
        ([start(200, (b"content-length", b"3")), body(b"abcd")], "http.response.body"),
        ([START, {"type": "http.response.trailers"}], "http.response.trailers"),
        ([{"type": "http.response.early_hint", "links": [b"a\nb"]}], "http.response.early_hint"),
    ],
)
@in_loop
async def test_the_error_names_the_message_and_the_line(messages: Any, named: str) -> None:
    with logged() as log:
        async with serving(saying(*messages)) as server, await server.connect() as client:
            assert (await client.ask(GET)).status == 500
    [record] = [record for record in log.records if record.levelno >= logging.ERROR]
    # The line of saying() above that sent it, and what was sent.
    assert "test_misuse.py, line" in record.getMessage()
    assert record.exc_info is not None and str(record.exc_info[1]).startswith(named + ": ")
