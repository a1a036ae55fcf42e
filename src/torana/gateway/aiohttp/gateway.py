"""One aiohttp application: its life, and a connection in memory for each of its requests.

aiohttp makes of the application what it would give to a listening socket (``web.AppRunner``), and answers exactly as
it would there. Names of aiohttp's that are not public are only asked for, and done without where a version has them no
more (``connection``, ``writer``). Its connections are kept for the next request of the same client.
Never here: the connections themselves (``connection``), how a request is carried (``gateway/inner_http1``).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from aiohttp import http, web

from torana.base.errors import LoadError
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.gateway.aiohttp.connection import Call, Home, InnerConnection
from torana.gateway.aiohttp.known import turns_of
from torana.gateway.aiohttp.turn import Turns
from torana.gateway.aiohttp.watch import Watch
from torana.gateway.aiohttp.writer import with_direct_writers
from torana.gateway.failure import ErrorPage
from torana.gateway.options import GatewayOptions
from torana.gateway.readings import encoded

if TYPE_CHECKING:
    from torana.base.endpoints import Endpoints

_log = logging.getLogger("torana.lifespan")

#: Connections that wait for their client's next request: how many, and for how long; seconds.
_MOST_IDLE = 4096
_IDLE_S = 15.0
#: What handlers that have lost their client get at the very end; seconds.
_LEFT_S = 2.0
#: What the server in front has judged is not judged again; bytes.
_LINE_BYTES = 1024 * 1024
#: Said to aiohttp's server, where its version takes it. The application's own ``handler_args`` have the last word.
_WANTED = {
    "access_log": None,
    "tcp_keepalive": False,
    "lingering_time": 0.0,
    "keepalive_timeout": 24 * 3600.0,
    "max_line_size": _LINE_BYTES,
    "max_field_size": _LINE_BYTES,
    "max_headers": 10_000,
}


class AiohttpGateway(Home):
    """Answers for one ``aiohttp.web.Application``. ``request_s``: see ``build``."""

    def __init__(
        self, app: Any, options: GatewayOptions, error_page: ErrorPage | None = None, request_s: float = 0.0
    ) -> None:
        self.app = app
        self.options = options
        #: aiohttp's name for itself, which the server in front leaves to its own settings.
        self.own_server = http.SERVER_SOFTWARE.encode("latin-1")
        #: aiohttp's paths begin behind the mount point: it knows nothing of such.
        self.prefixes = tuple(encoded(path) for path in (options.root_path, options.mount) if path)
        #: Every connection that is not lost, busy or idle; and those whose handlers may run all the same.
        self._open: set[InnerConnection] = set()
        self._leaving: set[InnerConnection] = set()
        #: Idle connections by what they say of their client.
        self._idle: dict[Any, list[InnerConnection]] = {}
        self._idle_count = 0
        self._now = 0.0
        self._runner: Any = None
        self._server: Any = None
        self._turns: Turns | None = None
        self._context: Context = copy_context()
        self._loop: Any = None
        self._limit_s = request_s
        self._watch = Watch(request_s, self.calls) if request_s else None

    # A request

    def takes_tunnels(self) -> bool:
        return True

    def answer(self, request: Request, response: Response) -> None:
        """Give the request to aiohttp, on a connection that this client has used before if there is one."""
        endpoints = request.endpoints
        memo = endpoints.memo
        waiting = memo[1] if memo is not None and memo[0] is self else self._waiting_of(endpoints)
        connection = None
        while waiting:
            self._idle_count -= 1
            connection = waiting.pop()
            if connection.is_ready():
                break
            connection.close()
            connection = None
        if connection is None:
            connection = InnerConnection(
                self, self._server(), endpoints, waiting, self._loop, self.own_server, self.prefixes, self._turns
            )
            self._open.add(connection)
            self._context.copy().run(connection.open)
        call = connection.exchange
        call.begin(request, response, self._limit_s)

    def _waiting_of(self, endpoints: Endpoints) -> list[InnerConnection]:
        """The idle connections for a client; where it comes by a proxy, each request has its own ``endpoints``."""
        # Connections keep their ``tls`` alive, so that nobody else's has its number.
        key = (endpoints.client, endpoints.server, endpoints.scheme, id(endpoints.tls))
        waiting = self._idle.get(key)
        if waiting is None:
            waiting = self._idle[key] = []
        endpoints.memo = (self, waiting)
        return waiting

    def over(self, connection: InnerConnection, is_reusable: bool) -> None:
        if not is_reusable:
            return
        if connection.exchange.is_last or self._idle_count >= _MOST_IDLE:
            connection.close()
            return
        connection.since = self._now
        self._idle_count += 1
        connection.waiting.append(connection)

    def is_leaving(self, connection: InnerConnection) -> None:
        self._open.discard(connection)
        self._leaving.add(connection)

    def has_left(self, connection: InnerConnection) -> None:
        self._leaving.discard(connection)

    def calls(self) -> list[Call]:
        """The exchanges under way."""
        return [connection.exchange for connection in self._open if not connection.exchange.is_over]

    def running(self) -> int:
        """Handlers that run, also those whose client is gone, and WebSockets."""
        return len(self.calls()) + len(self._leaving)

    def tick(self, now_s: float) -> None:
        self._now = now_s
        if self._idle:
            self._forget(now_s - _IDLE_S)
        for call in self.calls():
            if call.is_left_open():
                call.complain()
        if self._watch is not None:
            self._watch.look(now_s)

    def _forget(self, before: float) -> None:
        """Close the connections that are idle since ``before``, and forget the clients that have none."""
        for key, waiting in list(self._idle.items()):
            late = [connection for connection in waiting if connection.since <= before]
            for connection in late:
                waiting.remove(connection)
                connection.close()
            self._idle_count -= len(late)
            if not waiting:
                # Whoever still knows this list goes on with it; nobody else finds it.
                del self._idle[key]

    # The application's life

    async def startup(self) -> None:
        """Run ``on_startup`` and the beginnings of ``cleanup_ctx``. Raises ``LoadError`` when one of them fails."""
        self._loop = asyncio.get_running_loop()
        runner = self._runner = _runner(self.app)
        limit_s = self.options.lifespan_startup_timeout_s
        try:
            async with asyncio.timeout(limit_s or None) as limit:
                await runner.setup()
        except Exception as error:
            await self._clean_up()
            if limit.expired():
                raise LoadError(
                    f"the application did not complete its start-up within {limit_s:g} s (setting: timeout_startup)"
                ) from None
            raise LoadError(f"the application refused to start: {type(error).__name__}: {error}") from error
        except BaseException:
            await self._clean_up()
            raise
        # As it stood when start-up ended: what ``on_startup`` has set there, handlers find, as under aiohttp's server.
        self._context = copy_context()
        server = runner.server
        self._turns = turns_of(server, self._loop, self._context)
        server.request_handler = _survived(server.request_handler)
        self._server = with_direct_writers(server)

    async def begin_drain(self) -> None:
        """Run ``on_shutdown``: there an application closes its WebSockets."""
        await self._in_time(self._runner.say_shutdown(), "on_shutdown")

    async def shutdown(self) -> None:
        """Run ``on_cleanup`` and the ends of ``cleanup_ctx``."""
        self._forget(self._now + 1.0)
        await self._clean_up()

    async def _clean_up(self) -> None:
        await self._in_time(self._runner.cleanup(), "on_cleanup")

    async def _in_time(self, said: Any, what: str) -> None:
        limit_s = self.options.lifespan_shutdown_timeout_s
        try:
            async with asyncio.timeout(limit_s or None) as limit:
                await said
        except Exception as error:
            if limit.expired():
                _log.error("the application's %s did not end within %g s", what, limit_s)
            else:
                _log.error("the application's %s failed", what, exc_info=error)


def _survived(handle: Any) -> Any:
    """``handle``, aiohttp's way to a request's handler, so that none ends the worker: an error like all others.

    ``web.GracefulExit`` is a ``SystemExit``, too.
    """

    async def survive(request: Any) -> Any:
        try:
            return await handle(request)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(f"{type(error).__name__} in a handler does not stop the server") from error

    return survive


def _runner(app: Any) -> Any:
    """aiohttp's runner for ``app``; it says ``on_shutdown`` when it is told to, and then not again."""

    class Runner(web.AppRunner):
        has_said = False

        async def say_shutdown(self) -> None:
            if not self.has_said:
                self.has_said = True
                await super().shutdown()

        async def shutdown(self) -> None:
            await self.say_shutdown()

    known = set(inspect.signature(web.RequestHandler.__init__).parameters)
    wanted: dict[str, Any] = {name: value for name, value in _WANTED.items() if name in known}
    if "shutdown_timeout" in inspect.signature(web.AppRunner.__mro__[1].__init__).parameters:
        wanted["shutdown_timeout"] = _LEFT_S
    return Runner(app, handle_signals=False, **wanted)
