"""One ASGI application and its calls: each request is a task of its own, in a copy of the context that start-up left.

Never here: what an event or a message means (``body``, ``answer``).
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextvars import Context, copy_context
from typing import Any

from torana.exchange.duplex import Duplex
from torana.exchange.request import Request
from torana.exchange.response import Response
from torana.exchange.roles import Gateway
from torana.exchange.states import CUT, IDLE
from torana.gateway.asgi.answer import Answer, new_answer
from torana.gateway.asgi.body import Body, new_body
from torana.gateway.asgi.conversation import WebSocketCall
from torana.gateway.asgi.describe import Describer
from torana.gateway.asgi.gone import follows_disconnect, is_disconnect, log_gone
from torana.gateway.asgi.lifespan import Lifespan
from torana.gateway.asgi.watch import Watch
from torana.gateway.eager import plain_maker, start, start_waiting
from torana.gateway.failure import ErrorPage, internal_error, log_failure, log_warning, plain, shown
from torana.gateway.options import GatewayOptions
from torana.gateway.steps import Steps

_log = logging.getLogger("torana.error")


class AsgiGateway(Gateway):
    """Calls an ASGI 3 application (an ASGI 2 one is adapted before). ``request_s``: see ``build``."""

    def __init__(
        self, app: Any, options: GatewayOptions, error_page: ErrorPage | None = None, request_s: float = 0.0
    ) -> None:
        self.app = app
        self.options = options
        self.error_page = error_page
        self.is_debug = error_page is not None
        self.describer = Describer(options.root_path, None, self.is_debug, options.mount)
        self.calls: set[HttpCall] = set()
        self.conversations: set[WebSocketCall] = set()
        self._lifespan = Lifespan(app, options)
        self._context: Context = copy_context()
        self._loop: Any = None
        self._make_task: Any = None
        self._limit_s = request_s
        self._watch = Watch(request_s, self.calls) if request_s else None

    async def startup(self) -> None:
        """Run lifespan start-up; keeps its context for the requests. Raises ``LoadError`` when it fails."""
        loop = asyncio.get_running_loop()
        await self._lifespan.startup()
        options = self.options
        self.describer = Describer(options.root_path, self._lifespan.state, self.is_debug, options.mount)
        self._context = self._lifespan.context
        self._loop = loop
        self._make_task = plain_maker(loop)

    async def ready(self) -> None:
        """As ``begin_drain`` and ``drained``: for an application that asked to be told (``lifespan``)."""
        await self._lifespan.ready()

    async def begin_drain(self) -> None:
        await self._lifespan.begin_drain()

    async def drained(self) -> None:
        await self._lifespan.drained()

    async def shutdown(self) -> None:
        """Run lifespan shutdown, within its time."""
        await self._lifespan.shutdown()

    def running(self) -> int:
        """Applications still running, also those whose answer or conversation is over."""
        return len(self.calls) + len(self.conversations)

    def answer(self, request: Request, response: Response) -> None:
        """Start the application on a task of its own."""
        call = HttpCall.__new__(HttpCall)
        call.begin(self, request, response)
        request.answerer = call
        self.calls.add(call)
        if self._limit_s:
            call.limit_s = self._limit_s
            call.deadline = time.monotonic() + self._limit_s
        try:
            call.task = self._start(call, False)
        except BaseException:
            # For want of memory, say: nobody would step it any further.
            self.calls.discard(call)
            call.close()
            raise

    def takes_conversations(self) -> bool:
        return True

    def converse(self, duplex: Duplex) -> None:
        """As ``answer``; how long a conversation lasts is limited by nobody."""
        call = WebSocketCall(self.conversations, self.app, self.describer, self.error_page, self._loop, duplex)
        duplex.answerer = call
        self.conversations.add(call)
        call.task = self._start(call, True)

    def _start(self, call: Steps, is_conversation: bool) -> Any:
        """The task; None when it is done already, so that it and its call do not hold each other."""
        context = self._context.copy()
        if self._make_task is not None:
            task = self._make_task(call, context=context)
            return None if task.done() else task
        if is_conversation:
            return start_waiting(call, self._loop, "torana-websocket", context)
        return start(call, self._loop, "torana-request", context)

    def tick(self, now_s: float) -> None:
        """End the calls whose time is over."""
        if self._watch is not None:
            self._watch.look(now_s)


class HttpCall(Steps):
    """One request under way."""

    def __init__(self, gateway: AsgiGateway, request: Request, response: Response) -> None:
        self.begin(gateway, request, response)

    def begin(self, gateway: AsgiGateway, request: Request, response: Response) -> None:
        """What ``__init__`` does, without the cost of a call through the type."""
        self.gateway = gateway
        self.request = request
        self.response = response
        #: Made when the application first asks for an event; many never do.
        self.body: Body | None = None
        self.reply: Answer = new_answer(response, gateway.is_debug)
        self.task: Any = None
        self._inner: Any = None
        self._ahead: Any = None
        self._is_stopped = False
        #: The application's time, and when it is over (monotonic seconds; 0: never); kept by ``watch``.
        self.limit_s = 0.0
        self.deadline = 0.0
        self.seen = 0

    # Told by the channel

    def body_arrived(self) -> None:
        if self.body is not None:
            self.body.wake()

    def drained(self) -> None:
        self.reply.wake()

    def disconnected(self) -> None:
        if self.body is not None:
            self.body.wake()
        self.reply.wake()

    def stop(self) -> None:
        """First time: tell the application. Second time: cancel it."""
        if self._is_stopped:
            if self.task is not None:
                self.task.cancel()
        else:
            self._is_stopped = True
            self._body().stop()

    # What the application is called with

    def receive(self) -> Any:
        """Awaitable of the next event."""
        return self._body().receive()

    def _body(self) -> Body:
        if self.body is None:
            self.body = new_body(self.request, self.response)
            self.body.is_timed = self.limit_s > 0.0
        return self.body

    # The task's steps

    def _call(self) -> Any:
        gateway = self.gateway
        return gateway.app(gateway.describer.http_scope(self.request), self.receive, self.reply.send)

    def _ended(self, error: BaseException | None, result: Any) -> BaseException | None:
        """See to it that the exchange ends with the application."""
        ending = None
        response = self.response
        if error is not None:
            ending = self._failed(error)
        elif result is not None:
            log_warning(f"The application returned {type(result).__name__}, not None", self.request.head)
        if not response.is_over():
            self._left_open()
        self.gateway.calls.discard(self)
        # The cycles call-task and call-request end here, so that no garbage collector has to find them.
        self.task = None
        self.request.answerer = None
        if response.state == CUT:
            # Told of a disconnect while the client may still hold its end: close ours.
            response.channel.abort()
        response.channel.ended()
        return ending

    def _failed(self, error: BaseException) -> BaseException | None:
        head = self.request.head
        if isinstance(error, asyncio.CancelledError):
            if self._is_stopped:
                # Ours, at a stop: nobody will finish this answer.
                self._answer_error(None)
                return error
            if self.response.is_over():
                return None
        elif is_disconnect(error):
            return None
        elif follows_disconnect(error):
            log_gone(error, head)
            return None
        log_failure(error, head)
        self._answer_error(error)
        return None

    def _left_open(self) -> None:
        """The application is done and its answer is not."""
        how = "starting" if self.response.state == IDLE else "completing"
        _log.error("%s %s: the application ended without %s its response",
                   self.request.head.method, shown(self.request.head.target), how)  # fmt: skip
        self._answer_error(None)

    def _answer_error(self, error: BaseException | None) -> None:
        response = self.response
        if response.is_over():
            return
        fields, body = plain(500) if error is None else internal_error(error, self.gateway.error_page)
        try:
            if not response.replace(500, fields, body):
                response.abort()
        except OSError:
            response.abort()
