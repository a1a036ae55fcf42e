"""Requests of an aiohttp application that go to their handler without bytes: as its own connection task would do it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from torana.base.endpoints import Endpoints
from torana.exchange.carrier import Upgradable
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.options import GatewayOptions
from torana.wire.events import RequestHead

pytest.importorskip("aiohttp")

from aiohttp import web

from torana.gateway.aiohttp import known
from torana.gateway.aiohttp.gateway import AiohttpGateway

HOST = (b"host", b"t")


class Way(Upgradable):
    """The client's side of one exchange."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.is_cut = False
        self.is_full_now = False
        self.complete = asyncio.Event()
        self.is_over = asyncio.Event()

    def respond(self, status: int, reason: Any, fields: Any, length: int, data: Any, is_end: bool) -> None:
        self.status, self.fields = status, list(fields)
        self.write(data, is_end)

    def write(self, data: Any, is_end: bool) -> None:
        self.body += bytes(data)
        if is_end:
            self.complete.set()

    def abort(self) -> None:
        self.is_cut = True
        self.complete.set()

    def want_body(self) -> None:
        pass

    def is_full(self) -> bool:
        return self.is_full_now

    def ended(self) -> None:
        self.is_over.set()


class Exchange:
    """One request given to a gateway."""

    def __init__(self, gateway: AiohttpGateway, endpoints: Endpoints, head: RequestHead, body: bytes) -> None:
        self.way = Way()
        self.request = Request(head, endpoints, self.way, 0, 65536)
        self.response = Response(self.way, self.request)
        if body:
            self.request.push(body)
            self.request.end([])
        gateway.answer(self.request, self.response)

    async def answer(self) -> tuple[int, bytes]:
        async with asyncio.timeout(20):
            await self.way.complete.wait()
        return self.way.status, self.way.body


class Site:
    """A gateway that runs, and one client of its."""

    def __init__(self, handler: Any, options: dict[str, Any] | None = None) -> None:
        app = web.Application(handler_args=options)
        app.router.add_route("*", "/{tail:.*}", handler)
        self.app = app
        self.gateway = AiohttpGateway(app, GatewayOptions())
        self.endpoints = Endpoints(("10.0.0.1", 5), ("10.0.0.2", 80), "http", None)

    async def __aenter__(self) -> Site:
        await self.gateway.startup()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gateway.begin_drain()
        await self.gateway.shutdown()

    def ask(self, target: bytes = b"/", method: str = "GET", fields: Any = (), body: bytes = b"") -> Exchange:
        head = RequestHead()
        head.method, head.target, head.raw_path, head.fields = method, target, target, [HOST, *fields]
        head.content_length = len(body)
        return Exchange(self.gateway, self.endpoints, head, body)

    async def turned(self) -> None:
        """Let everything that is to happen by itself happen."""
        for _ in range(8):
            await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def spies(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """What is written to protocols, and which are connected."""
    seen: dict[str, list[Any]] = {"written": [], "connected": []}
    receive, connect = web.RequestHandler.data_received, web.RequestHandler.connection_made

    def data_received(protocol: Any, data: bytes) -> None:
        # Not what is shown to it at start-up.
        if protocol.transport is not None and data:
            seen["written"].append(data)
        receive(protocol, data)

    def connection_made(protocol: Any, transport: Any) -> None:
        seen["connected"].append(protocol)
        connect(protocol, transport)

    monkeypatch.setattr(web.RequestHandler, "data_received", data_received)
    monkeypatch.setattr(web.RequestHandler, "connection_made", connection_made)
    return seen


def run(handler: Any, play: Callable[[Site], Awaitable[None]], options: dict[str, Any] | None = None) -> None:
    async def main() -> None:
        async with Site(handler, options) as site:
            await play(site)

    asyncio.run(main())


async def hello(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.method} {request.path_qs} {(await request.read())!r}")


def test_plain_requests_go_without_bytes_on_one_connection(spies: Any) -> None:
    async def play(site: Site) -> None:
        for number in range(3):
            assert await site.ask(b"/%d?a=b" % number).answer() == (200, b"GET /%d?a=b b''" % number)
            await site.turned()
        assert await site.ask(method="POST").answer() == (200, b"POST / b''")
        await site.turned()
        assert await site.ask(method="HEAD").answer() == (200, b"")
        await site.turned()

    run(hello, play)
    assert spies["written"] == [] and len(spies["connected"]) == 1


def test_bytes_and_none_take_turns_on_one_connection(spies: Any) -> None:
    async def play(site: Site) -> None:
        twice = ((b"x", b"1"), (b"x", b"2"))
        for number in range(3):
            assert (await site.ask(b"/direct").answer())[1] == b"GET /direct b''"
            await site.turned()
            assert (await site.ask(method="POST", body=b"abc").answer())[1] == b"POST / b'abc'"
            await site.turned()
            assert (await site.ask(fields=twice).answer())[1] == b"GET / b''"
            await site.turned()
            assert len(spies["written"]) == 2 * (number + 1)

    run(hello, play)
    assert len(spies["connected"]) == 1


def test_requests_at_once_have_connections_of_their_own(spies: Any) -> None:
    async def play(site: Site) -> None:
        asked = [site.ask(b"/%d" % number) for number in range(5)]
        assert [(await each.answer())[1] for each in asked] == [b"GET /%d b''" % number for number in range(5)]
        await site.turned()
        assert (await site.ask().answer())[0] == 200

    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(0)
        return await hello(request)

    run(handler, play)
    assert len(spies["connected"]) == 5


def test_next_request_that_comes_with_the_answer(spies: Any) -> None:
    """A pipelined one is begun from within the end of the one before."""
    rest = [b"/2", b"/3", b"/4"]
    bodies = []

    async def play(site: Site) -> None:
        done = asyncio.Event()

        def follow(exchange: Exchange) -> None:
            def ended() -> None:
                bodies.append(exchange.way.body)
                if rest:
                    follow(site.ask(rest.pop(0)))
                else:
                    done.set()

            if exchange.way.complete.is_set():
                ended()
            else:
                exchange.way.ended = ended  # type: ignore[method-assign]

        follow(site.ask(b"/1"))
        async with asyncio.timeout(20):
            await done.wait()
        await site.turned()

    run(hello, play)
    assert bodies == [b"GET /%d b''" % number for number in range(1, 5)] and spies["written"] == []
    assert len(spies["connected"]) <= 2


def test_request_behind_one_by_bytes_waits_for_its_end(spies: Any) -> None:
    """aiohttp's own task has yet to decide whether the connection goes on."""

    async def play(site: Site) -> None:
        first = site.ask(method="POST", body=b"x")
        second: list[Exchange] = []
        first.way.ended = lambda: second.append(site.ask(b"/2"))  # type: ignore[method-assign]
        assert await first.answer() == (200, b"POST / b'x'")
        await site.turned()
        assert await second[0].answer() == (200, b"GET /2 b''")
        await site.turned()
        assert await site.ask(b"/3").answer() == (200, b"GET /3 b''")

    run(hello, play)
    assert len(spies["written"]) == 2 and len(spies["connected"]) == 1


def test_connection_that_is_to_end_ends_with_the_handler(spies: Any) -> None:
    gate: list[asyncio.Event] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.Response(text="last")
        answer.force_close()
        await answer.prepare(request)
        await answer.write_eof()
        await gate[0].wait()
        return answer

    async def play(site: Site) -> None:
        gate.append(asyncio.Event())
        assert await site.ask().answer() == (200, b"last")
        await site.turned()
        (protocol,) = spies["connected"]
        assert protocol.transport is not None
        gate[0].set()
        await site.turned()
        assert protocol.transport is None and site.gateway.running() == 0

    run(handler, play)


def test_handler_at_work_behind_its_answer_keeps_its_connection(spies: Any) -> None:
    gate: list[asyncio.Event] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.Response(text=request.path)
        if request.path == "/works":
            await answer.prepare(request)
            await answer.write_eof()
            await gate[0].wait()
        return answer

    async def play(site: Site) -> None:
        gate.append(asyncio.Event())
        assert await site.ask(b"/works").answer() == (200, b"/works")
        assert await site.ask(b"/next").answer() == (200, b"/next")
        assert len(spies["connected"]) == 2
        gate[0].set()
        await site.turned()
        asked = [site.ask(b"/a"), site.ask(b"/b")]
        assert [(await each.answer())[1] for each in asked] == [b"/a", b"/b"]
        assert len(spies["connected"]) == 2

    run(handler, play)


def test_each_handler_has_a_context_and_a_task_of_its_own() -> None:
    seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="")
    started: contextvars.ContextVar[str] = contextvars.ContextVar("started", default="")
    tasks = []

    async def handler(request: web.Request) -> web.Response:
        before = seen.get()
        seen.set(request.path)
        tasks.append(asyncio.current_task())
        assert request.task is asyncio.current_task()
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
        return web.Response(text=before + started.get())

    async def start(app: web.Application) -> None:
        started.set("started")

    async def main() -> None:
        site = Site(handler)
        site.app.on_startup.append(start)
        async with site:
            for path in (b"/1", b"/2"):
                assert await site.ask(path).answer() == (200, b"started")
                await site.turned()
            assert seen.get() == ""

    asyncio.run(main())
    assert len(set(tasks)) == 2 and all(task.done() for task in tasks)


def test_failures_are_aiohttps_own(caplog: pytest.LogCaptureFixture, spies: Any) -> None:
    async def handler(request: web.Request) -> Any:
        if request.path == "/http":
            raise web.HTTPNotFound(text="no such thing")
        if request.path == "/timeout":
            raise TimeoutError
        if request.path == "/none":
            return None
        raise RuntimeError("broken")

    async def play(site: Site) -> None:
        assert await site.ask(b"/http").answer() == (404, b"no such thing")
        await site.turned()
        assert (await site.ask(b"/timeout").answer())[0] == 504
        await site.turned()
        assert (await site.ask(b"/none").answer())[0] == 500
        await site.turned()
        assert (await site.ask(b"/broken").answer())[0] == 500
        await site.turned()

    run(handler, play)
    assert "Missing return statement" in caplog.text and "RuntimeError: broken" in caplog.text
    assert spies["written"] == []


@pytest.mark.parametrize("body", [b"", b"by bytes"])
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, web.GracefulExit])
def test_no_exception_of_a_handler_ends_the_worker(
    error: type[BaseException], body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path == "/end":
            raise error
        return web.Response(text="alive")

    async def play(site: Site) -> None:
        assert (await site.ask(b"/end", "POST", body=body).answer())[0] == 500
        await site.turned()
        assert await site.ask().answer() == (200, b"alive")

    run(handler, play)
    assert error.__name__ in caplog.text


def test_connection_that_the_handler_closes_is_not_used_again(spies: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        answer = web.Response(text=request.path)
        if request.path == "/close":
            answer.force_close()
        return answer

    async def play(site: Site) -> None:
        for number in range(1, 3):
            assert await site.ask(b"/close").answer() == (200, b"/close")
            await site.turned()
            assert len(spies["connected"]) == number
            assert all(protocol.transport is None for protocol in spies["connected"])
        assert await site.ask(b"/1").answer() == (200, b"/1")

    run(handler, play)


def test_streamed_answers_and_files_go_by_bytes_on_their_way_back(tmp_path: Any, spies: Any) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path == "/file":
            return web.FileResponse(tmp_path / "file")
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(3):
            await answer.write(b"piece ")
            await asyncio.sleep(0)
        return answer

    async def play(site: Site) -> None:
        assert await site.ask(b"/stream").answer() == (200, b"piece " * 3)
        await site.turned()
        assert await site.ask(b"/file").answer() == (200, b"x" * 100_000)
        await site.turned()

    run(handler, play)
    assert spies["written"] == [] and len(spies["connected"]) == 1


def test_handler_waits_while_the_client_does_not_take() -> None:
    passed = []

    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0)
        answer = web.StreamResponse()
        await answer.prepare(request)
        for number in range(4):
            await answer.write(b"x" * 70_000)
            passed.append(number)
        return answer

    async def play(site: Site) -> None:
        exchange = site.ask()
        exchange.way.is_full_now = True
        await site.turned()
        held = len(passed)
        await site.turned()
        assert held == len(passed) < 4
        exchange.way.is_full_now = False
        answerer = exchange.request.answerer
        assert answerer is not None
        answerer.drained()
        assert await exchange.answer() == (200, b"x" * 280_000)

    run(handler, play)


class Gone:
    """A handler that waits, and what became of it."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.said = ""

    async def __call__(self, request: web.Request) -> web.Response:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.said = "cancelled"
            raise
        self.said = "ended"
        return web.Response()


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_client_that_goes_away_cancels_only_when_the_application_says_so(is_cancelled: bool) -> None:
    async def main() -> None:
        handler = Gone()

        async def handle(request: web.Request) -> web.Response:
            return await handler(request)

        async with Site(handle, {"handler_cancellation": is_cancelled}) as site:
            exchange = site.ask()
            await site.turned()
            exchange.request.lose()
            await site.turned()
            assert (handler.said, site.gateway.running()) == (("cancelled", 0) if is_cancelled else ("", 1))
            handler.gate.set()
            await site.turned()
            assert (handler.said, site.gateway.running()) == ("cancelled" if is_cancelled else "ended", 0)

    asyncio.run(main())


def test_client_that_goes_away_after_a_request_of_the_other_kind() -> None:
    async def main() -> None:
        handler = Gone()

        async def handle(request: web.Request) -> web.Response:
            return await (hello if request.path == "/hello" else handler)(request)

        async with Site(handle, {"handler_cancellation": True}) as site:
            for path, body in ((b"/hello", b""), (b"/", b"by bytes")):
                exchange = site.ask(path, "POST", body=body)
                await site.turned()
            exchange.request.lose()
            await site.turned()
            assert (handler.said, site.gateway.running()) == ("cancelled", 0)

    asyncio.run(main())


def test_client_that_is_gone_before_the_handler_began() -> None:
    async def main() -> None:
        began = []

        async def handle(request: web.Request) -> web.Response:
            began.append(request.path)
            await asyncio.sleep(0)
            return web.Response()

        async with Site(handle) as site:
            exchange = site.ask(b"/gone")
            exchange.request.lose()
            await site.turned()
            assert site.gateway.running() == 0
            assert (await site.ask(b"/here").answer())[0] == 200
            assert "/here" in began

    asyncio.run(main())


def test_second_stop_cancels_the_handler() -> None:
    async def main() -> None:
        handler = Gone()

        async def handle(request: web.Request) -> web.Response:
            return await handler(request)

        async with Site(handle) as site:
            exchange = site.ask()
            await site.turned()
            for _ in range(2):
                answerer = exchange.request.answerer
                assert answerer is not None and handler.said == ""
                answerer.stop()
            assert (await exchange.answer())[0] == 503
            await site.turned()
            assert (handler.said, site.gateway.running()) == ("cancelled", 0)

    asyncio.run(main())


def test_clean_up_waits_for_a_handler_and_then_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torana.gateway.aiohttp.gateway._LEFT_S", 0.05)

    async def main() -> None:
        handler = Gone()

        async def handle(request: web.Request) -> web.Response:
            return await handler(request)

        async with Site(handle) as site:
            site.ask()
            await site.turned()
        assert handler.said == "cancelled"

    asyncio.run(main())


def test_time_limit_shows_where_the_handler_stood(caplog: pytest.LogCaptureFixture) -> None:
    async def stuck_here(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    async def main() -> None:
        site = Site(stuck_here)
        site.gateway = AiohttpGateway(site.app, GatewayOptions(), None, 0.05)
        async with site:
            exchange = site.ask()
            now = asyncio.get_running_loop().time()
            while not exchange.way.complete.is_set():
                await asyncio.sleep(0.01)
                now = max(now, asyncio.get_running_loop().time())
                site.gateway.tick(now)
            assert exchange.way.status == 504
            await site.turned()
            assert site.gateway.running() == 0

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "stuck_here" in caplog.text


@pytest.mark.parametrize(
    "options", [{"access_log": logging.getLogger("x")}, {"max_line_size": 100}, {"max_headers": 5}]
)
def test_application_with_bounds_or_a_log_of_its_own_goes_by_bytes(options: dict[str, Any], spies: Any) -> None:
    async def play(site: Site) -> None:
        assert (await site.ask().answer())[0] == 200

    run(hello, play, options)
    assert len(spies["written"]) == 1


@pytest.mark.parametrize("what", ["steps", "handling", "message", "error"])
def test_version_that_is_not_known_goes_by_bytes(what: str, monkeypatch: pytest.MonkeyPatch, spies: Any) -> None:
    if what == "steps":
        monkeypatch.setattr(known, "_STEPS", known._STEPS - {"_handle_request"})
    elif what == "handling":
        monkeypatch.setattr(known, "_HANDLING", (*known._HANDLING, "more"))
    elif what == "message":
        monkeypatch.setattr(known, "_SHOWN", known._SHOWN.replace(b"host: shown", b"host: shown\r\nHost2: 1"))
        monkeypatch.setattr(known, "plain_message", lambda *_: web.RequestHandler)
    else:
        monkeypatch.setattr(known, "_NEEDED", ("_no_such_name",))

    async def play(site: Site) -> None:
        for number in range(2):
            assert await site.ask(b"/%d" % number).answer() == (200, b"GET /%d b''" % number)
            await site.turned()

    run(hello, play)
    assert len(spies["written"]) == 2 and len(spies["connected"]) == 1


def test_this_version_is_known() -> None:
    async def main() -> None:
        runner = web.AppRunner(web.Application(), access_log=None, handle_signals=False)
        await runner.setup()
        turns = known.turns_of(runner.server, asyncio.get_running_loop(), contextvars.copy_context())
        await runner.cleanup()
        assert turns is not None

    asyncio.run(main())
