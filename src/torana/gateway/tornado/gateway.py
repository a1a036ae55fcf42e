"""One Tornado application and its calls, hosted through the delegates that Tornado documents for this.

Whatever starts requests is served: an ``Application``, a router, one's own ``HTTPServerConnectionDelegate``; of an
``HTTPServer`` what it serves. Never here: one request (``call``, ``answer``), WebSocket (Tornado's own).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from contextvars import Context, copy_context
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate as _Delegate
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop

from torana.base.errors import LoadError
from torana.exchange.roles import Gateway
from torana.gateway.failure import ErrorPage
from torana.gateway.options import GatewayOptions
from torana.gateway.tornado.call import Call, new_call
from torana.gateway.tornado.describe import Describer
from torana.gateway.tornado.hooks import hooks_of, run_down, start_up
from torana.gateway.tornado.quiet import keep_still
from torana.gateway.tornado.stream import Stream
from torana.gateway.tornado.watch import Tasks, Watch

_log = logging.getLogger("torana")


class TornadoGateway(Gateway):
    """Answers for one application. ``request_s``: see ``build``."""

    def __init__(
        self, app: Any, options: GatewayOptions, error_page: ErrorPage | None = None, request_s: float = 0.0
    ) -> None:
        self.app = app = served(app)
        self.options = options
        self.error_page = error_page
        self.describer = Describer(options.root_path, options.mount, _knows(app, options.root_path + options.mount))
        self.calls: set[Call] = set()
        #: Those of them whose client has left, at least halfway.
        self.survivors: set[Call] = set()
        self.streams: set[Stream] = set()
        self.tasks = Tasks()
        self.context: Context = copy_context()
        self.loop: Any = None
        #: A future that is done.
        self.done: Any = None
        # Told only where somebody listens.
        is_told = getattr(type(app), "on_close", _Delegate.on_close) is not _Delegate.on_close
        self.on_close: Any = app.on_close if is_told else None
        self._watch = Watch(request_s, self.calls, self.tasks) if request_s else None
        keep_still(app)

    def takes_tunnels(self) -> bool:
        return True

    def answer(self, request: Any, response: Any) -> None:
        call = new_call(self, request, response)
        request.answerer = call
        self.calls.add(call)
        if self._watch is not None:
            call.deadline = time.monotonic() + self._watch.limit_s
        call.start()

    def running(self) -> int:
        """Handlers still running, also those whose client is gone."""
        return len(self.calls) + len(self.streams)

    def tick(self, now_s: float) -> None:
        for call in list(self.survivors):
            call.look()
        if self._watch is not None:
            self._watch.look(now_s)

    # The life

    async def startup(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.done = self.loop.create_future()
        self.done.set_result(None)
        # Tornado's own face of the running loop, made now rather than within the first request.
        IOLoop.current()
        hooks = hooks_of(self.app, "on_startup")
        self.context = await start_up(hooks, self.options.lifespan_startup_timeout_s)

    async def begin_drain(self) -> None:
        await self._run("on_drain")
        if self.survivors:
            # Of those that wait for what will never come, some are held by nothing but themselves.
            gc.collect()

    async def drained(self) -> None:
        # Whose client and connection are gone, nobody else tells.
        for call in list(self.calls):
            call.give_up(503)

    async def shutdown(self) -> None:
        await self._run("on_shutdown")

    async def _run(self, name: str) -> None:
        limit_s = self.options.lifespan_shutdown_timeout_s
        try:
            await run_down(hooks_of(self.app, name), limit_s, self.context.copy(), name)
        except LoadError as error:
            _log.error("%s", error)


def served(app: Any) -> Any:
    """What starts the requests: an ``HTTPServer`` only passes them on, and its sockets are the server's here."""
    if not isinstance(app, HTTPServer):
        return app
    callback = app.request_callback
    if isinstance(callback, _Delegate):
        return callback
    return CallbackApplication(callback)


class CallbackApplication:
    """The plain callable of an ``HTTPServer``: it is given whole requests."""

    def __init__(self, callback: Any) -> None:
        self._callback = callback

    def start_request(self, server_conn: object, request_conn: Any) -> Any:
        """The delegate of one request."""
        return _Whole(self._callback, request_conn)


class _Whole:
    def __init__(self, callback: Any, connection: Any) -> None:
        self._callback = callback
        self._connection = connection
        self._request: Any = None
        self._body = bytearray()

    def headers_received(self, start_line: Any, headers: Any) -> None:
        self._request = HTTPServerRequest(connection=self._connection, start_line=start_line, headers=headers)

    def data_received(self, chunk: bytes) -> None:
        self._body += chunk

    def finish(self) -> None:
        self._request.body = bytes(self._body)
        self._request._parse_body()
        self._callback(self._request)

    def on_connection_close(self) -> None:
        self._body.clear()


def _knows(app: Any, prefix: str) -> bool:
    """Whether the application's own paths begin with the mount point: Jupyter and Bokeh have settings for it."""
    settings = getattr(app, "settings", None)
    own = settings.get("base_url") if isinstance(settings, dict) else None
    own = own or getattr(app, "prefix", None)
    return isinstance(own, str) and (own.rstrip("/") + "/").startswith(prefix + "/")
