"""One ASGI application and its calls: each request is a task of its own, in a copy of the context that start-up left.

Never here: what an event or a message means (``body``, ``answer``).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from torana.exchange.request import Request
from torana.exchange.response import ClientDisconnected, Response
from torana.exchange.roles import Answerer, Gateway
from torana.exchange.states import CUT, IDLE
from torana.gateway.asgi.answer import Answer, new_answer
from torana.gateway.asgi.body import Body, new_body
from torana.gateway.asgi.describe import Describer
from torana.gateway.asgi.lifespan import Lifespan
from torana.gateway.culprit import last_place
from torana.gateway.options import GatewayOptions

_log = logging.getLogger("torana.error")

#: Makes the fields and the body of a 500 from what went wrong; without one the text is fixed.
ErrorPage = Callable[[BaseException], tuple[list[tuple[bytes, bytes]], bytes]]

_TEXT = [(b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")]
_HAS_EAGER = sys.version_info >= (3, 12)
#: Starts at once instead of in the loop's next turn, where Python can do that.
_EagerTask: Any = functools.partial(asyncio.Task, eager_start=True)  # type: ignore[call-arg,unused-ignore]


class AsgiGateway(Gateway):
    """Calls an ASGI 3 application (an ASGI 2 one is adapted before)."""

    def __init__(self, app: Any, options: GatewayOptions, error_page: ErrorPage | None = None) -> None:
        self.app = app
        self.options = options
        self.error_page = error_page
        self.is_debug = error_page is not None
        self.describer = Describer(options.root_path, None, self.is_debug)
        self.calls: set[HttpCall] = set()
        self._lifespan = Lifespan(app, options)
        self._context: Context = copy_context()
        self._loop: Any = None
        self._make_task: Any = None

    async def startup(self) -> None:
        """Run lifespan start-up; keeps its context for the requests. Raises ``LoadError`` when it fails."""
        loop = asyncio.get_running_loop()
        await self._lifespan.startup()
        self.describer = Describer(self.options.root_path, self._lifespan.state, self.is_debug)
        self._context = self._lifespan.context
        self._loop = loop
        # A task factory that the application or its tools installed is theirs to keep.
        self._make_task = None if loop.get_task_factory() is None else loop.create_task

    async def shutdown(self) -> None:
        """Run lifespan shutdown, within its time."""
        await self._lifespan.shutdown()

    def running(self) -> int:
        """Applications still running, also those whose answer is complete."""
        return len(self.calls)

    def answer(self, request: Request, response: Response) -> None:
        """Start the application on a task of its own."""
        call = HttpCall.__new__(HttpCall)
        call.begin(self, request, response)
        request.answerer = call
        self.calls.add(call)
        context = self._context.copy()
        if self._make_task is not None:
            call.task = self._make_task(call.run(), context=context)
        elif _HAS_EAGER:
            call.task = _EagerTask(call.run(), loop=self._loop, name="torana-request", context=context)
        else:
            call.task = asyncio.Task(call.run(), loop=self._loop, name="torana-request", context=context)


class HttpCall(Answerer):
    """One request under way."""

    def __init__(self, gateway: AsgiGateway, request: Request, response: Response) -> None:
        self.begin(gateway, request, response)

    def begin(self, gateway: AsgiGateway, request: Request, response: Response) -> None:
        """What ``__init__`` does, without the cost of a call through the type."""
        self.gateway = gateway
        self.request = request
        self.response = response
        self.body: Body = new_body(request, response)
        self.reply: Answer = new_answer(response, gateway.is_debug)
        self.task: Any = None
        self._is_stopped = False

    # Told by the channel

    def body_arrived(self) -> None:
        self.body.wake()

    def drained(self) -> None:
        self.reply.wake()

    def disconnected(self) -> None:
        self.body.wake()
        self.reply.wake()

    def stop(self) -> None:
        """First time: tell the application. Second time: cancel it."""
        if self._is_stopped:
            if self.task is not None:
                self.task.cancel()
        else:
            self._is_stopped = True
            self.body.stop()

    # The task

    async def run(self) -> None:
        """Call the application and see to it that its exchange ends."""
        gateway = self.gateway
        try:
            scope = gateway.describer.http_scope(self.request)
            result = await gateway.app(scope, self.body.receive, self.reply.send)
            if result is not None:
                _log.warning("the application returned %s; an ASGI application returns None", type(result).__name__)
            if not self.response.is_over():
                self._left_open()
        except asyncio.CancelledError:
            # Ours at a stop, or the application's own: either way nobody will finish this answer.
            self._fail(None)
            if self._is_stopped:
                raise
        except BaseException as error:
            # SystemExit and KeyboardInterrupt too: raised in a task they would end the worker.
            if _is_disconnect(error):
                pass
            elif _follows_disconnect(error):
                self._log_leaving(error)
            else:
                self._fail(error)
        finally:
            gateway.calls.discard(self)
            # The cycles call-task and call-request end here, so that no garbage collector has to find them.
            self.task = None
            self.request.answerer = None
            if self.response.state == CUT:
                # Told of a disconnect while the client may still hold its end: close ours.
                self.response.channel.abort()

    def _left_open(self) -> None:
        if self.response.state == IDLE:
            self._log("returned without starting a response", None)
            self._answer_error(None)
        else:
            self._log("returned without completing its response", None)
            self._answer_error(None)

    def _fail(self, error: BaseException | None) -> None:
        if error is not None:
            self._log("raised", error)
        self._answer_error(error)

    def _answer_error(self, error: BaseException | None) -> None:
        if self.response.is_over():
            return
        page = self.gateway.error_page
        if page is not None and error is not None:
            fields, body = page(error)
        else:
            fields, body = _TEXT, b"500 Internal Server Error\n"
        try:
            if not self.response.replace(500, list(fields), body):
                self.response.abort()
        except OSError:
            self.response.abort()

    def _log_leaving(self, error: BaseException) -> None:
        """One line and no traceback: frameworks put an exception of their own in the place of our word."""
        _log.info("%s %s: the client left; the application raised %s%s", self.request.head.method, self._path(),
                  type(error).__name__, _where(error))

    def _path(self) -> str:
        return self.request.head.raw_path.decode("latin-1").encode("unicode_escape").decode("ascii")

    def _log(self, what: str, error: BaseException | None) -> None:
        where = _where(error) if error is not None else ""
        _log.error("%s %s: the application %s%s", self.request.head.method, self._path(), what, where, exc_info=error)


def _where(error: BaseException) -> str:
    place = last_place(error)
    return f" at {place}" if place else ""


def _is_disconnect(error: BaseException) -> bool:
    """Whether an error is only our own word that the client is gone, however many groups it is wrapped in."""
    if isinstance(error, ClientDisconnected):
        return True
    if isinstance(error, BaseExceptionGroup):
        return all(_is_disconnect(part) for part in error.exceptions)
    return False


def _follows_disconnect(error: BaseException, depth: int = 16) -> bool:
    """Whether an error was raised while our word that the client is gone was handled (Starlette's ClientDisconnect)."""
    if depth == 0:
        return False
    if isinstance(error, BaseExceptionGroup):
        return all(_is_disconnect(part) or _follows_disconnect(part, depth - 1) for part in error.exceptions)
    earlier = error.__cause__ or error.__context__
    return earlier is not None and (_is_disconnect(earlier) or _follows_disconnect(earlier, depth - 1))
