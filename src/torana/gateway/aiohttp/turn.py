"""A request's turn: aiohttp's handler of it, on a task of its own, when its message is there without any bytes.

aiohttp's protocol has a task that waits for messages, makes a request of each and another task for its handler, waits
for that, and decides whether the connection goes on. Here the handler's task is made at once, and does what the first
one would do (``RequestHandler.start``), while that goes on waiting for messages by bytes. Which versions have no more
steps than those taken here, ``known`` finds out. Never here: how messages are made, connections.
"""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import Any

from torana.gateway.eager import plain_maker, start
from torana.gateway.steps import Steps

_current_task: Any = asyncio.current_task


class Turns:
    """What all turns of one server of aiohttp's have in common.

    ``make_request``: its factory of requests. ``payload``: aiohttp's empty body. ``context``: what each turn gets a
    copy of.
    """

    def __init__(
        self, server: Any, make_request: Any, message_type: Any, payload: Any, writers: tuple[Any, Any], loop: Any,
        context: Context,
    ) -> None:  # fmt: skip
        self.server = server
        self.handler = server.request_handler
        self.make_request = make_request
        self.message_type = message_type
        self.payload = payload
        #: Writers of answers, and of those to HEAD.
        self.writer, self.head_writer = writers
        self.loop = loop
        self.context = context
        self._make_task = plain_maker(loop)

    def begin(self, owner: Any, protocol: Any, message: Any, is_head: bool) -> Any:
        """Give ``message`` to its handler; ``owner.turn_over()`` is called at the end. The task, None if it is done."""
        turn = Turn.__new__(Turn)
        turn.begin(self, owner, protocol, message, is_head)
        context = self.context.copy()
        if self._make_task is None:
            return start(turn, self.loop, "torana-request", context)
        task = self._make_task(turn, context=context)
        return None if task.done() else task


class Turn(Steps):
    """One request under way."""

    def __init__(self, turns: Turns, owner: Any, protocol: Any, message: Any, is_head: bool) -> None:
        self.begin(turns, owner, protocol, message, is_head)

    def begin(self, turns: Turns, owner: Any, protocol: Any, message: Any, is_head: bool) -> None:
        """What ``__init__`` does, without the cost of a call through the type."""
        self._inner = None
        self._ahead = None
        self.turns = turns
        self.owner = owner
        self.protocol = protocol
        self.message = message
        self.is_head = is_head
        #: aiohttp's request, once there is one.
        self.request: Any = None
        #: aiohttp's own task of the connection.
        self.waiting: Any = None

    def _call(self) -> Any:
        turns, protocol = self.turns, self.protocol
        if protocol._request_handler is None:
            # The connection was lost before the first step.
            raise asyncio.CancelledError
        loop = turns.loop
        turns.server.requests_count += 1
        writer = (turns.head_writer if self.is_head else turns.writer)(protocol, loop)
        task = _current_task(loop)
        self.waiting = protocol._task_handler
        # Whoever ends the connection's task means the handler.
        protocol._task_handler = task
        request = self.request = turns.make_request(self.message, turns.payload, protocol, writer, task)
        # aiohttp's own log of accesses is off: no time is taken.
        return protocol._handle_request(request, None, turns.handler)

    def _ended(self, error: BaseException | None, result: Any) -> BaseException | None:
        protocol = self.protocol
        ending = None
        is_kept = False
        if error is None:
            answer, is_reset = result
            if is_reset:
                protocol.log_debug("Ignored premature client disconnection 2")
            else:
                is_kept = bool(answer.keep_alive)
                protocol._keepalive = is_kept
        elif isinstance(error, ConnectionError):
            protocol.log_debug("Ignored premature client disconnection")
        elif isinstance(error, asyncio.CancelledError):
            ending = error
            protocol.force_close()
        else:
            # SystemExit and its like too: raised in a task, they would end the worker.
            protocol.log_exception("Unhandled exception", exc_info=error)
            protocol.force_close()
        if self.request is not None:
            # As aiohttp does: the task has the exception, whose traceback has the request.
            self.request._task = None
        if self.waiting is not None and protocol._task_handler is not None:
            protocol._task_handler = self.waiting
        if not is_kept or protocol._close:
            transport = protocol.transport
            if transport is not None:
                transport.close()
        self.owner.turn_over()
        return ending
